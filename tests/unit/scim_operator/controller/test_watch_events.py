"""What is kept of an object that a watch shows. ScimTokens: test_cache.py."""

from typing import Any

import pytest

from scim_operator.controller.watch_events import cached_scimwebhook, cached_secret
from scim_operator.planning.ports import Key


def scim_webhook(status: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    meta = {"namespace": "ns", "name": "app", "uid": "u1", "generation": 1, "resourceVersion": "1"}
    return {"metadata": {**meta, **metadata}, "spec": {}, "status": status or {}}


def test_a_scim_webhook_is_known_by_its_name_and_uid() -> None:
    seen = cached_scimwebhook(scim_webhook())
    assert (seen.key, seen.uid, seen.is_deleting) == (Key("ns", "app"), "u1", False)
    assert cached_scimwebhook(scim_webhook(deletionTimestamp="2030-01-01T00:00:00Z")).is_deleting


@pytest.mark.parametrize(
    "change",
    [
        {"generation": 2},
        {"annotations": {"scim-operator.io/test": "1"}},
        {"labels": {"team": "hr"}},
        {"deletionTimestamp": "2030-01-01T00:00:00Z"},
    ],
)
def test_what_others_change_of_a_scim_webhook_has_another_fingerprint(change: dict[str, Any]) -> None:
    assert (
        cached_scimwebhook(scim_webhook(**change)).fingerprint
        != cached_scimwebhook(scim_webhook()).fingerprint
    )


def test_a_status_a_finalizer_and_empty_annotations_leave_the_fingerprint_as_it_is() -> None:
    seen = cached_scimwebhook(
        scim_webhook(
            {"observedGeneration": 1}, resourceVersion="2", annotations={}, finalizers=["example.com/x"]
        )
    )
    assert seen.fingerprint == cached_scimwebhook(scim_webhook()).fingerprint


@pytest.mark.parametrize(
    ("labels", "scimtoken", "scimwebhook"),
    [
        ({"scim-operator.io/token": "entra"}, Key("ns", "entra"), None),
        ({"scim-operator.io/webhook": "app"}, None, Key("ns", "app")),
        ({"scim-operator.io/webhook": ""}, None, None),
        (None, None, None),
    ],
)
def test_a_secret_is_whose_its_label_says(
    labels: dict[str, str] | None, scimtoken: Key | None, scimwebhook: Key | None
) -> None:
    meta = {"namespace": "ns", "name": "s", "uid": "s1", "resourceVersion": "1", "labels": labels}
    seen = cached_secret({"metadata": meta, "data": {"signing-secret": "c2VjcmV0"}})
    assert (seen.scimtoken, seen.scimwebhook) == (scimtoken, scimwebhook)
    assert "c2VjcmV0" not in repr(seen)

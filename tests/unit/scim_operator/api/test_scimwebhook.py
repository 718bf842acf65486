import re
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_api.contract.webhooks import REQUEST_LIMIT, PutWebhook
from scim_api.outbound.addresses import HttpUrl
from scim_operator.api import scimwebhook as models
from scim_operator.api.custom_object import MANAGED_BY_LABEL, ROTATE_ANNOTATION, Key
from scim_operator.api.scimwebhook import ScimWebhook
from support.webhook_urls import BAD_URLS, GOOD_URLS

SPEC = {"tenant": "contoso", "url": "https://app.example.com/scim-events"}


def scim_webhook(spec: dict[str, Any] | None = None, **metadata: Any) -> ScimWebhook:
    return ScimWebhook.from_object(
        {
            "metadata": {"name": "app", "namespace": "hr", "uid": "u-1", **metadata},
            "spec": {**SPEC, **(spec or {})},
        }
    )


def test_what_is_left_out_has_its_default() -> None:
    webhook = scim_webhook()
    assert webhook.spec is not None
    assert (webhook.key, webhook.secret_name) == (Key("hr", "app"), "app-scim-webhook")
    assert (webhook.spec.types, webhook.spec.content, webhook.spec.timeout) == ((), "Thin", "15s")
    assert (webhook.spec.rotate_after, webhook.spec.overlap, webhook.spec.suspend) == ("90d", "7d", False)
    assert webhook.not_understood == ()


@pytest.mark.parametrize(
    ("written", "period"), [("never", None), ("12h", timedelta(hours=12)), ("90d", timedelta(days=90))]
)
def test_a_signing_secret_is_replaced_after_what_is_written_or_never(
    written: str, period: timedelta | None
) -> None:
    spec = scim_webhook({"rotateAfter": written}).spec
    assert spec is not None
    assert models.rotation_period(spec) == period


@pytest.mark.parametrize(
    ("spec", "field"),
    [({"types": ["user.renamed"]}, "types"), ({"content": "Huge"}, "content"), ({"timeout": "x"}, "timeout")],
)
def test_a_value_of_a_newer_crd_is_named_and_spec_is_none(spec: dict[str, Any], field: str) -> None:
    webhook = scim_webhook(spec)
    assert webhook.spec is None
    assert field in " ".join(webhook.not_understood)


def test_while_spec_is_not_understood_status_says_which_secret() -> None:
    body = {
        "metadata": {"name": "app", "namespace": "hr"},
        "spec": {**SPEC, "content": "Huge", "secret": {"name": "mine"}},
        "status": {"secretName": "mine"},
    }
    assert ScimWebhook.from_object(body).secret_name == "mine"


def test_what_is_unreadable_of_a_status_is_dropped_and_the_rest_kept() -> None:
    body = {
        "metadata": {"name": "app"},
        "spec": SPEC,
        "status": {"backlog": {"events": -1}, "secretName": "mine", "new": 1},
    }
    status = ScimWebhook.from_object(body).status
    assert (status.backlog, status.secret_name) == (None, "mine")


def test_an_operator_finds_the_secret_by_labels_that_spec_cannot_take() -> None:
    labels = {models.WEBHOOK_LABEL: "other", MANAGED_BY_LABEL: "me", "team": "hr"}
    assert scim_webhook({"secret": {"labels": labels}}).secret_labels() == {
        models.WEBHOOK_LABEL: "app",
        MANAGED_BY_LABEL: "scim-operator",
        "team": "hr",
    }
    annotations = {models.ANSWERED_ROTATE_ANNOTATION: "now", "team": "hr"}
    assert scim_webhook({"secret": {"annotations": annotations}}).secret_annotations() == {"team": "hr"}


def test_requests_are_as_long_as_what_is_remembered_of_them_and_empty_is_none() -> None:
    webhook = scim_webhook(
        annotations={
            ROTATE_ANNOTATION: "r" * 300,
            models.TEST_ANNOTATION: "",
            models.REDELIVER_FROM_ANNOTATION: "2026-11-23T14:00:00Z",
        }
    )
    assert webhook.rotate_request == "r" * REQUEST_LIMIT
    assert webhook.test_request is None
    assert webhook.redeliver_request == "2026-11-23T14:00:00Z"


def is_taken(url: str) -> bool:
    return scim_webhook({"url": url}).spec is not None


@pytest.mark.parametrize("url", GOOD_URLS)
def test_a_url_that_is_taken_is_one_that_the_dispatcher_asks(url: str) -> None:
    assert is_taken(url)
    assert HttpUrl.read(url) is not None


@pytest.mark.parametrize("url", BAD_URLS)
def test_a_url_that_the_dispatcher_would_refuse_is_not_taken(url: str) -> None:
    assert not is_taken(url)
    assert HttpUrl.read(url) is None


@given(st.from_regex(re.compile(models.URL_PATTERN, re.ASCII), fullmatch=True))
def test_whatever_the_crd_takes_the_dispatcher_asks(url: str) -> None:
    assert HttpUrl.read(url) is not None


@pytest.mark.parametrize("url", GOOD_URLS)
def test_the_admin_api_takes_it_too(url: str) -> None:
    assert re.search(str(PutWebhook.model_json_schema()["properties"]["url"]["pattern"]), url)


def test_what_is_denied_is_left_out_of_the_secret_and_named() -> None:
    webhook = scim_webhook(
        {"secret": {"labels": {"team": "hr"}, "annotations": {"tool.example.com/copy": "1"}}}
    )
    denying = webhook.denying(["example.com"])
    assert denying.denied_keys == ("tool.example.com/copy",)
    assert denying.secret_annotations() == {}
    assert denying.secret_labels()["team"] == "hr"
    assert webhook.denying(["other.example"]) is webhook

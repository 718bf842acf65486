"""Which keys of labels and annotations a list of domains denies."""

import pytest

from scim_operator.api.denied_metadata import is_denied
from scim_operator.api.scimtoken import ScimToken
from scim_operator.settings import MIRRORING_TOOLS


@pytest.mark.parametrize(
    "key",
    [
        "reflector.v1.k8s.emberstack.com/reflection-allowed",
        "reflector.v2.emberstack.com/reflects",
        "replicator.v1.mittwald.de/replicate-to",
        "kubed.appscode.com/sync",
        "config-syncer.appscode.com/sync",
        "clustersecret.io/synced",
        "emberstack.com",
    ],
)
def test_tools_that_copy_secrets_are_denied_by_default(key: str) -> None:
    assert is_denied(key, MIRRORING_TOOLS)


@pytest.mark.parametrize(
    "key",
    [
        "team",
        "example.com/emberstack.com",
        "notemberstack.com/a",
        "emberstack.com.example/a",
        "app.kubernetes.io/part-of",
    ],
)
def test_other_keys_are_not(key: str) -> None:
    assert not is_denied(key, MIRRORING_TOOLS)


def test_an_empty_list_denies_nothing_and_a_key_without_a_domain_can_be_named() -> None:
    assert not is_denied("kubed.appscode.com/sync", ())
    assert is_denied("copy-me", ("copy-me",))
    assert not is_denied("copy-me-not", ("copy-me",))


def test_a_scimtoken_without_denied_keys_is_as_it_was() -> None:
    body = {"metadata": {"name": "entra"}, "spec": {"secret": {"labels": {"team": "a"}}}}
    token = ScimToken.from_object(body)
    assert token.denying(MIRRORING_TOOLS) is token


def test_what_is_denied_is_named_and_left_out_of_labels_and_annotations() -> None:
    secret = {"labels": {"a.mittwald.de/x": "1", "team": "a"}, "annotations": {"b.mittwald.de/y": "2"}}
    token = ScimToken.from_object(
        {"metadata": {"name": "entra"}, "spec": {"secret": secret, "lifetime": "1h"}}
    )
    denying = token.denying(MIRRORING_TOOLS)
    assert denying.denied_keys == ("a.mittwald.de/x", "b.mittwald.de/y")
    assert (denying.understood_spec.secret.labels, denying.understood_spec.secret.annotations) == (
        {"team": "a"},
        {},
    )
    assert denying.understood_spec.lifetime == "1h"

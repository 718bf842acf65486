from typing import Any

import pytest

from scim_api.contract.oauth import CLOUDS, Cloud
from scim_operator.api.auth import AuthSpec
from scim_operator.api.scimtoken import ScimToken

TENANT = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
IDENTITY: dict[str, Any] = {"tenantID": TENANT, "subjects": ["s"], "audiences": ["api://app", "app"]}


def auth(**spec: Any) -> AuthSpec:
    return AuthSpec.model_validate(spec)


def identity(**more: Any) -> AuthSpec:
    return auth(type="WorkloadIdentity", workloadIdentity=IDENTITY | more)


def scimtoken(spec: dict[str, Any]) -> ScimToken:
    return ScimToken.from_object({"metadata": {"name": "entra"}, "spec": {"auth": spec}})


def test_without_auth_it_is_a_bearer_token() -> None:
    for token in (
        ScimToken.from_object({"metadata": {"name": "entra"}, "spec": {}}),
        scimtoken({}),
        ScimToken.from_object({"metadata": {"name": "entra"}}),
    ):
        assert token.understood_spec.auth == AuthSpec()
        assert (AuthSpec().kind, AuthSpec().trust) == ("BearerToken", None)


def test_each_type_has_its_kind_of_credential() -> None:
    assert auth(type="OAuthClientCredentials").kind == "ClientSecret"
    assert identity().kind == "WorkloadIdentity"


@pytest.mark.parametrize(
    ("text", "seconds"), [("1h", 3600), ("60m", 3600), ("3600s", 3600), ("90m", 5400), ("6h", 21_600)]
)
def test_access_tokens_live_as_long_as_the_chosen_type_says(text: str, seconds: int) -> None:
    assert auth(
        type="OAuthClientCredentials", oauthClientCredentials={"accessTokenLifetime": text}
    ).access_token_seconds == seconds  # fmt: skip
    assert identity(accessTokenLifetime=text).access_token_seconds == seconds


def test_access_tokens_live_for_an_hour_unless_somebody_says_otherwise() -> None:
    assert auth(type="OAuthClientCredentials").access_token_seconds == 3600
    assert identity().access_token_seconds == 3600


@pytest.mark.parametrize("cloud", list(Cloud))
def test_issuers_and_keys_follow_from_the_cloud(cloud: Cloud) -> None:
    trust = identity(cloud=cloud.value).trust
    assert trust is not None
    assert set(trust.issuers) == set(CLOUDS[cloud].issuers(TENANT))
    assert trust.keys_url == CLOUDS[cloud].keys_url(TENANT)
    assert (trust.tenant_id, trust.subjects, trust.audiences) == (TENANT, ("s",), ("api://app", "app"))


def test_issuers_and_keys_that_are_written_win() -> None:
    trust = identity(issuers=["https://sts.test/"], keysURL="http://127.0.0.1:8099/keys").trust
    assert trust is not None
    assert (trust.issuers, trust.keys_url) == (("https://sts.test/",), "http://127.0.0.1:8099/keys")


def test_neither_order_nor_repetition_makes_another_trust() -> None:
    assert (
        identity(audiences=["b", "a", "b"], subjects=["z", "y"]).trust
        == identity(audiences=["a", "b"], subjects=["y", "z"]).trust
    )


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ({"type": "WorkloadIdentity"}, "spec.auth ("),
        ({"type": "Kerberos"}, "spec.auth.type (should be"),
        (
            {"type": "OAuthClientCredentials", "oauthClientCredentials": {"accessTokenLifetime": "59m"}},
            "spec.auth.oauthClientCredentials.accessTokenLifetime",
        ),
        (
            {"type": "OAuthClientCredentials", "oauthClientCredentials": {"accessTokenLifetime": "7h"}},
            "should be from 1h to 6h",
        ),
        (
            {"type": "WorkloadIdentity", "workloadIdentity": IDENTITY | {"cloud": "Moon"}},
            "spec.auth.workloadIdentity.cloud",
        ),
        (
            {"type": "WorkloadIdentity", "workloadIdentity": IDENTITY | {"tenantID": "contoso.com"}},
            "spec.auth.workloadIdentity.tenantID",
        ),
        (
            {"type": "WorkloadIdentity", "workloadIdentity": IDENTITY | {"audiences": ["api://*"]}},
            "spec.auth.workloadIdentity.audiences[0]",
        ),
        (
            {"type": "WorkloadIdentity", "workloadIdentity": IDENTITY | {"subjects": []}},
            "spec.auth.workloadIdentity.subjects",
        ),
    ],
)
def test_what_a_newer_crd_might_take_is_named_and_not_guessed(spec: dict[str, Any], named: str) -> None:
    token = scimtoken(spec)
    assert token.spec is None
    assert named in "; ".join(token.not_understood)

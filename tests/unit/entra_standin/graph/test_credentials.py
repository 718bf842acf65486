"""What is stored of credentials: merges, refusals, masks."""

import pytest

from entra_standin.graph.behaviour import Behaviour, SecretsPut
from entra_standin.graph.credentials import KEYS, SECRET_KEYS, after_patch, after_put, check_keys, masked
from entra_standin.graph.errors import GraphError

HELD = {"BaseAddress": "https://a.example", "SecretToken": "old", "SyncAll": "false"}
WHOLE = {
    "BaseAddress": "https://b.example",
    "SecretToken": "new",
    "SyncAll": "false",
    "SyncNotificationSettings": "{}",
}
OAUTH = {
    "authenticationType": "OAuth2ClientCredentialsGrant",
    "baseAddress": "https://a.example",
    "oauth2ClientId": "id",
    "oauth2ClientSecret": "secret",
    "oauth2TokenExchangeUri": "https://a.example/oauth2/token",
    "credentialLocationInRequest": "Header",
}
BEARER = {"authenticationType": "AuthenticationToken", "baseAddress": "https://a.example", "secretToken": "t"}


def refused(sent: dict[str, str], *, template: str = "scim", **behaviour: bool) -> tuple[int, str]:
    with pytest.raises(GraphError) as error:
        after_put(HELD, sent, Behaviour(**behaviour), template)  # type: ignore[arg-type]
    return error.value.status, error.value.code


def test_there_are_forty_five_keys() -> None:
    assert len(KEYS) == 45
    assert SECRET_KEYS < KEYS


def test_a_put_merges_and_an_empty_value_deletes() -> None:
    after = after_put(HELD, {"SecretToken": "new", "SyncAll": ""}, Behaviour(), "scim")
    assert after == {"BaseAddress": "https://a.example", "SecretToken": "new"}


def test_a_put_can_be_made_to_replace() -> None:
    replace = Behaviour(secrets_put=SecretsPut.REPLACE)
    assert after_put(HELD, {"SecretToken": "new"}, replace, "scim") == {"SecretToken": "new"}


def test_a_put_can_be_made_to_drop_silently_what_is_incomplete() -> None:
    drop = Behaviour(secrets_put=SecretsPut.DROP_INCOMPLETE)
    assert after_put(HELD, {"SecretToken": "new"}, drop, "scim") == HELD
    assert after_put(HELD, WHOLE, drop, "scim") == WHOLE


def test_a_put_can_be_made_to_drop_everything_silently() -> None:
    assert after_put(HELD, WHOLE, Behaviour(secrets_put=SecretsPut.DROP), "scim") == HELD


def test_the_notification_settings_take_an_object_and_no_empty_text() -> None:
    assert refused({"SyncNotificationSettings": ""}) == (400, "BadRequest")
    assert after_put({}, {"SyncNotificationSettings": "{}"}, Behaviour(), "scim")


def test_a_token_endpoint_is_refused_for_one_template_and_by_a_switch() -> None:
    sent = {"Oauth2TokenExchangeUri": "https://a.example/oauth2/token"}
    assert after_put({}, sent, Behaviour(), "scim") == sent
    assert refused(sent, template="isvonboarding") == (400, "NotInAllowList")
    assert refused(sent, refuses_token_exchange_uri=True) == (400, "NotInAllowList")


def test_the_us_government_cloud_takes_one_kilobyte() -> None:
    fits = {"SecretToken": "x" * (1024 - len("SecretToken"))}
    assert after_put({}, fits, Behaviour(us_government=True), "scim") == fits
    assert refused({"SecretToken": "x" * 1024}, us_government=True) == (400, "BadRequest")
    assert after_put({}, {"SecretToken": "x" * 5000}, Behaviour(), "scim")
    with pytest.raises(GraphError, match="1 KB"):
        after_patch({}, {**BEARER, "secretToken": "x" * 1024}, Behaviour(us_government=True))


@pytest.mark.parametrize("key", ["Nonsense", "secretToken", ""])
def test_an_unknown_key_is_an_internal_error(key: str) -> None:
    with pytest.raises(GraphError) as error:
        check_keys([key])
    assert (error.value.status, error.value.code) == (500, "InternalError")


def test_secrets_are_masked_and_what_the_beta_alone_stores_is_not_shown() -> None:
    held = after_patch(HELD, OAUTH, Behaviour())
    shown = {one["key"]: one["value"] for one in masked(held, Behaviour())}
    assert shown["Oauth2ClientSecret"] == shown["SecretToken"] == "*"
    assert shown["BaseAddress"] == "https://a.example"
    assert "CredentialLocationInRequest" not in shown
    hidden = masked(held, Behaviour(masks_everything=True))
    assert {one["value"] for one in hidden} == {"*"}
    assert {one["key"] for one in hidden} == set(shown)


def test_the_beta_takes_each_of_both_sets_and_goes_from_one_to_the_other() -> None:
    behaviour = Behaviour()
    held = after_patch({}, BEARER, behaviour)
    assert held == {
        "AuthenticationType": "AuthenticationToken",
        "BaseAddress": "https://a.example",
        "SecretToken": "t",
    }
    held = after_patch(held, OAUTH, behaviour)
    assert held["AuthenticationType"] == "OAuth2ClientCredentialsGrant"
    assert held["Oauth2ClientSecret"] == "secret"
    assert after_patch(held, {"oauth2ClientSecret": "next"}, behaviour)["Oauth2ClientSecret"] == "next"
    assert after_patch(held, BEARER, behaviour)["AuthenticationType"] == "AuthenticationToken"


@pytest.mark.parametrize(
    "sent",
    [
        {**BEARER, "oauth2ClientId": "id"},
        {**OAUTH, "secretToken": "t"},
        {**OAUTH, "authenticationType": "AuthenticationToken"},
        {**BEARER, "authenticationType": "OAuth2ClientCredentialsGrant"},
        {**BEARER, "authenticationType": "Nonsense"},
        {"secretToken": "t"},
        {**BEARER, "syncAll": "false"},
        {**BEARER, "SecretToken": "t"},
        {**OAUTH, "credentialLocationInRequest": "Nowhere"},
    ],
    ids=["bearer+", "oauth+", "type-1", "type-2", "type-3", "no-type", "sync-all", "capital", "location"],
)
def test_the_beta_refuses_a_mixture_and_what_it_does_not_know(sent: dict[str, str]) -> None:
    with pytest.raises(GraphError) as error:
        after_patch({}, sent, Behaviour())
    assert error.value.status == 400

"""What the options of ``connection create`` ask for, and one sentence for each that is wrong."""

import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from scim_api.cli.mistake import ConnectionMistake
from scim_api.cli.sign_in import AuthType, BearerToken, ClientCredentials, Typed, WorkloadIdentity, sign_in_of
from scim_api.contract.oauth import CLOUDS, LOGIN_HOSTS, Cloud

DAY = timedelta(days=1)
TENANT = "5e1f0c7a-2b6d-4c38-9a41-7d3e8f60b9c2"
COMPLETE = Typed(entra_tenant=TENANT, subjects=("s",), audiences=("a",))


def trusted(typed: Typed) -> WorkloadIdentity:
    sign_in = sign_in_of(AuthType.WORKLOAD_IDENTITY, typed)
    assert isinstance(sign_in, WorkloadIdentity)
    return sign_in


def test_without_options_a_token_or_secret_lives_90_days_and_an_access_token_an_hour() -> None:
    assert sign_in_of(AuthType.BEARER_TOKEN, Typed()) == BearerToken(90 * DAY)
    assert sign_in_of(AuthType.OAUTH_CLIENT_CREDENTIALS, Typed()) == ClientCredentials(90 * DAY, 3600)
    assert trusted(COMPLETE).access_token_seconds == 3600


def test_lifetimes_are_those_that_were_typed() -> None:
    typed = Typed(lifetime=DAY, access_token_lifetime=timedelta(hours=6))
    assert sign_in_of(AuthType.OAUTH_CLIENT_CREDENTIALS, typed) == ClientCredentials(DAY, 21_600)
    longest = dataclasses.replace(COMPLETE, access_token_lifetime=timedelta(hours=6))
    assert trusted(longest).access_token_seconds == 21_600


@pytest.mark.parametrize("cloud", list(Cloud))
def test_issuers_and_keys_follow_from_the_cloud(cloud: Cloud) -> None:
    trust = trusted(dataclasses.replace(COMPLETE, cloud=cloud.value)).trust
    assert trust.issuers == CLOUDS[cloud].issuers(TENANT)
    assert trust.keys_url == CLOUDS[cloud].keys_url(TENANT)
    assert trust.keys_url.split("/")[2] in LOGIN_HOSTS


def test_a_tenant_in_capitals_is_the_same_tenant() -> None:
    assert trusted(dataclasses.replace(COMPLETE, entra_tenant=TENANT.upper())).trust.tenant_id == TENANT


def test_values_keep_their_order_and_come_once() -> None:
    trust = trusted(dataclasses.replace(COMPLETE, audiences=("b", "a", "b"))).trust
    assert trust.audiences == ("b", "a")


@pytest.mark.parametrize("address", ["http://127.0.0.1:8099/k", "http://[::1]/k", "http://localhost/k"])
def test_clear_text_is_taken_on_the_loopback_address(address: str) -> None:
    trust = trusted(dataclasses.replace(COMPLETE, issuers=(address,), keys_url=address)).trust
    assert (trust.issuers, trust.keys_url) == ((address,), address)


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"entra_tenant": None}, "--entra-tenant is missing"),
    ({"entra_tenant": "contoso.onmicrosoft.com"}, "write the GUID of the tenant"),
    ({"entra_tenant": TENANT + "0"}, "write the GUID of the tenant"),
    ({"entra_tenant": f"{{{TENANT}}}"}, "write the GUID of the tenant"),
    ({"subjects": ()}, "--subject is missing"),
    ({"subjects": ("",)}, "--subject '': write it as Entra shows it"),
    ({"subjects": ("a b",)}, "--subject 'a b': it has no blanks"),
    ({"subjects": ("a\n",)}, r"--subject 'a\\n': write it as Entra shows it"),
    ({"subjects": ("ä",)}, "--subject 'ä': write it as Entra shows it"),
    ({"subjects": ("a" * 257,)}, "in 1 to 256 ASCII characters"),
    ({"subjects": tuple(map(str, range(17)))}, "--subject: there may be 16 values, not 17"),
    ({"audiences": ()}, "--audience is missing"),
    ({"audiences": ("a,b c",)}, "--audience 'a,b c': it has no blanks"),
    ({"issuers": ("login.test",)}, "--issuer 'login.test': write an https address"),
    ({"issuers": ("http://login.test",)}, "--issuer 'http://login.test': write https://"),
    ({"keys_url": "http://127.0.0.1.login.test/k"}, "write https://; clear text is for tests"),
    ({"keys_url": ""}, "--keys-url '': write an https address"),
    ({"keys_url": "file:///etc/passwd"}, "write an https address"),
    ({"keys_url": "https://user@login.test/k"}, "write an https address"),
    ({"keys_url": "https://"}, "write an https address"),
    ({"keys_url": "https://[::1/k"}, "write an https address"),
    ({"keys_url": "https://login.test:99999/k"}, "write an https address"),
    ({"keys_url": "https://login.test/k ey"}, "write an https address"),
    ({"keys_url": f"https://login.test/{'k' * 500}"}, "write an https address"),
    ({"lifetime": DAY}, "there is no secret that could expire; leave it out"),
]


@pytest.mark.parametrize(("change", "message"), MISTAKES, ids=lambda value: str(value)[:60])
def test_a_mistake_is_one_sentence_that_names_the_option(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConnectionMistake, match=message) as told:
        sign_in_of(AuthType.WORKLOAD_IDENTITY, dataclasses.replace(COMPLETE, **change))
    assert str(told.value).startswith("--")
    assert "\n" not in str(told.value)


def test_at_the_most_sixteen_values_are_taken() -> None:
    sixteen = tuple(map(str, range(16)))
    assert trusted(dataclasses.replace(COMPLETE, subjects=sixteen)).trust.subjects == sixteen


OF_WORKLOAD_IDENTITY: list[tuple[dict[str, Any], str]] = [
    ({"entra_tenant": TENANT}, "--entra-tenant"),
    ({"cloud": "Public"}, "--cloud"),
    ({"subjects": ("s",)}, "--subject"),
    ({"audiences": ("a",)}, "--audience"),
    ({"issuers": ("https://i",)}, "--issuer"),
    ({"keys_url": "https://k"}, "--keys-url"),
]


@pytest.mark.parametrize(("typed", "option"), OF_WORKLOAD_IDENTITY, ids=str)
@pytest.mark.parametrize("auth", [AuthType.BEARER_TOKEN, AuthType.OAUTH_CLIENT_CREDENTIALS])
def test_an_option_of_another_type_is_refused(auth: AuthType, typed: dict[str, Any], option: str) -> None:
    with pytest.raises(
        ConnectionMistake, match=f"^{option} goes with --auth WorkloadIdentity, not with {auth}"
    ):
        sign_in_of(auth, Typed(**typed))


def test_a_bearer_token_has_no_access_token() -> None:
    with pytest.raises(
        ConnectionMistake, match="goes with --auth OAuthClientCredentials or WorkloadIdentity"
    ):
        sign_in_of(AuthType.BEARER_TOKEN, Typed(access_token_lifetime=timedelta(hours=1)))

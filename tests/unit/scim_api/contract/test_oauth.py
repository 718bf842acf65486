"""Where the token endpoint is, what a client is called, and who issues for a tenant of Entra's."""

import re

import pytest

from scim_api.contract.oauth import CLOUDS, LOGIN_HOSTS, Cloud, client_id_of, token_endpoint

TENANT = "0f0e0d0c-0b0a-0908-0706-050403020100"


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("https://scim.example/scim/v2", "https://scim.example/oauth2/token"),
        ("https://example/people/scim/v2", "https://example/people/oauth2/token"),
        ("https://scim.example/scim/v2/", "https://scim.example/oauth2/token"),
    ],
)
def test_the_token_endpoint_stands_beside_the_scim_base_url(endpoint: str, expected: str) -> None:
    assert token_endpoint(endpoint) == expected


def test_a_client_id_is_the_same_again_and_nobody_elses() -> None:
    first = client_id_of("installation-1", "apps", "entra")
    assert first == client_id_of("installation-1", "apps", "entra")
    assert re.fullmatch(r"[0-9a-f-]{36}", first)
    others = [
        client_id_of("installation-2", "apps", "entra"),
        client_id_of("installation-1", "apps", "other"),
        client_id_of("installation-1", "other", "entra"),
    ]
    assert len({first, *others}) == 4


def test_the_issuers_of_the_public_cloud_are_those_that_microsofts_pages_and_tokens_have() -> None:
    login = CLOUDS[Cloud.PUBLIC]
    assert set(login.issuers(TENANT)) == {
        f"https://login.microsoftonline.com/{TENANT}/v2.0",
        f"https://login.microsoftonline.com/{TENANT}",
        f"https://login.windows.net/{TENANT}/v2.0",
        f"https://login.windows.net/{TENANT}",
        f"https://sts.windows.net/{TENANT}/",
    }
    assert login.keys_url(TENANT) == f"https://login.microsoftonline.com/{TENANT}/discovery/v2.0/keys"


@pytest.mark.parametrize("cloud", list(Cloud))
def test_the_keys_of_each_cloud_are_at_a_host_that_is_allowed(cloud: Cloud) -> None:
    assert CLOUDS[cloud].keys_url(TENANT).split("/")[2] in LOGIN_HOSTS

"""OAuth 2.0 clients that nobody here wrote get and use access tokens of a real service: authlib, requests-oauthlib."""

import asyncio
from collections.abc import Iterator

import httpx
import pytest
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from oauthlib.oauth2 import BackendApplicationClient, InvalidClientError
from requests_oauthlib import OAuth2Session

from scim_api.contract.oauth import token_endpoint
from scim_api.contract.tokens import kind_of, new_token
from scim_api.store.factory import create_store
from support.scim_service import ScimService
from support.token_requests import SecretClient, register


@pytest.fixture
def client(service: ScimService, unused_name: str) -> SecretClient:
    """A client with a tenant of its own."""

    async def make() -> SecretClient:
        store = create_store(service.database_url)
        await store.open()
        try:
            return await register(store, name=unused_name, tenant=unused_name, seconds=7200)
        finally:
            await store.close()

    return asyncio.run(make())


@pytest.fixture(params=["client_secret_basic", "client_secret_post"])
def authlib(request: pytest.FixtureRequest, client: SecretClient) -> Iterator[OAuth2Client]:
    with OAuth2Client(
        client.client_id,
        client.secret,
        token_endpoint_auth_method=request.param,
        scope="scim",
        trust_env=False,
    ) as session:
        yield session


def test_authlib_gets_a_token_and_uses_it(service: ScimService, authlib: OAuth2Client) -> None:
    token = authlib.fetch_token(token_endpoint(service.url), grant_type="client_credentials")
    assert kind_of(token["access_token"]) == "AccessToken"
    assert (token["token_type"], token["expires_in"], token["scope"]) == ("Bearer", 7200, "scim")
    found = authlib.get(f"{service.url}/Users", params={"startIndex": 1, "count": 1})
    assert (found.status_code, found.json()["totalResults"]) == (200, 0)


def test_authlib_gets_a_new_token_by_itself_when_one_has_ended(
    service: ScimService, client: SecretClient
) -> None:
    with OAuth2Client(
        client.client_id,
        client.secret,
        token_endpoint=token_endpoint(service.url),
        grant_type="client_credentials",
        trust_env=False,
    ) as session:
        first = session.fetch_token()
        session.token = {**first, "expires_at": 1}
        assert session.get(f"{service.url}/Users").status_code == 200
        assert session.token["access_token"] != first["access_token"]


def test_authlib_understands_a_refusal(service: ScimService, client: SecretClient) -> None:
    with (
        OAuth2Client(client.client_id, new_token("ClientSecret"), trust_env=False) as session,
        pytest.raises(OAuthError) as caught,
    ):
        session.fetch_token(token_endpoint(service.url), grant_type="client_credentials")
    assert caught.value.error == "invalid_client"
    assert "ScimToken" in caught.value.description


@pytest.mark.parametrize("in_the_form", [False, True])
def test_requests_oauthlib_gets_a_token_and_uses_it(
    service: ScimService, client: SecretClient, in_the_form: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    with OAuth2Session(client=BackendApplicationClient(client.client_id, scope=["scim"])) as session:
        session.trust_env = False
        token = session.fetch_token(
            token_endpoint(service.url),
            client_id=client.client_id,
            client_secret=client.secret,
            include_client_id=in_the_form,
        )
        assert (token["token_type"], token["expires_in"]) == ("Bearer", 7200)
        found = session.get(f"{service.url}/Users?startIndex=1&count=1")
        assert (found.status_code, found.json()["totalResults"]) == (200, 0)


def test_requests_oauthlib_understands_a_refusal(
    service: ScimService, client: SecretClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    with OAuth2Session(client=BackendApplicationClient(client.client_id)) as session:
        session.trust_env = False
        with pytest.raises(InvalidClientError):
            session.fetch_token(
                token_endpoint(service.url), client_id=client.client_id, client_secret="wrong"
            )


@pytest.mark.parametrize("how", ["Header", "Body", "Both"])
def test_validate_credentials_of_microsofts_validator_passes(
    service: ScimService, client: SecretClient, how: str
) -> None:
    """The validator asks for a token of 60 to 360 minutes, then for one user with it."""
    form = {"grant_type": "client_credentials", "baseAddress": ""}
    if how != "Header":
        form |= {"client_id": client.client_id, "client_secret": client.secret}
    headers = {} if how == "Body" else client.header()
    issued = httpx.post(token_endpoint(service.url), data=form, headers=headers, trust_env=False)
    assert issued.is_success
    minutes = issued.json().get("expires_in", 3600) / 60
    assert 60 <= minutes <= 360
    bearer = {"authorization": f"Bearer {issued.json()['access_token']}"}
    found = httpx.get(f"{service.url}/Users?startIndex=1&count=1", headers=bearer, trust_env=False)
    assert found.is_success

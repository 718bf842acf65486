"""What a test of credentials answers, by what the SCIM endpoint or its token endpoint did."""

import json
from typing import Any

import httpx
import pytest

from entra_standin.graph.connection import Connector, Unclosed, try_connection
from entra_standin.graph.errors import GraphError
from unit.entra_standin.faulty_service import TOKEN, URL, error, instead
from unit.entra_standin.token_service import CLIENT_ID, CLIENT_SECRET, TOKEN_URL, World, refusal

FAMILY = "SystemForCrossDomainIdentityManagement"
BEARER = {"BaseAddress": URL, "SecretToken": TOKEN}
OAUTH = {
    "BaseAddress": URL,
    "Oauth2TokenExchangeUri": TOKEN_URL,
    "Oauth2ClientId": CLIENT_ID,
    "Oauth2ClientSecret": CLIENT_SECRET,
}


@pytest.fixture
def connector(world: World) -> Connector:
    return Connector(Unclosed(world.transport, {}))


def cause(connector: Connector, credentials: dict[str, str], application: str | None = None) -> Any:
    """The document within the message."""
    with pytest.raises(GraphError) as refused:
        try_connection(connector, credentials, application=application)
    assert (refused.value.status, refused.value.code) == (400, "CredentialValidationUnavailable")
    for secret in (TOKEN, CLIENT_SECRET):
        assert secret not in refused.value.message
    return json.loads(refused.value.message)


def test_users_and_groups_are_asked_for_somebody_who_is_nowhere(connector: Connector, world: World) -> None:
    try_connection(connector, BEARER)
    paths = [request.url.path for request in world.scim.requests]
    assert paths == ["/scim/v2/Users", "/scim/v2/Groups"]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "InvalidCredentials"),
        (403, "InvalidCredentials"),
        (500, "ServiceUnavailable"),
        (503, "ServiceUnavailable"),
    ],
)
def test_a_status_of_the_endpoint_has_its_cause(
    connector: Connector, world: World, status: int, code: str
) -> None:
    world.scim.fault = instead("GET", lambda: error(status, detail="no"))
    assert cause(connector, BEARER)["code"] == f"{FAMILY}{code}"


def test_groups_that_are_not_found_make_the_endpoint_incompatible(connector: Connector, world: World) -> None:
    world.scim.fault = lambda request, answer: (
        error(404, detail="no groups here") if request.url.path.endswith("/Groups") else answer
    )
    told = cause(connector, BEARER)
    assert told["code"] == "InvalidCredentials"
    assert told["innerError"]["code"] == f"{FAMILY}ServiceIncompatible"
    assert "HTTP/404" in told["message"]


def test_an_endpoint_out_of_reach_is_unavailable() -> None:
    def down(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    assert cause(Connector(httpx.MockTransport(down)), BEARER)["code"] == f"{FAMILY}ServiceUnavailable"


@pytest.mark.parametrize("missing", ["BaseAddress", "SecretToken"])
def test_without_address_or_token_nothing_is_sent(connector: Connector, world: World, missing: str) -> None:
    credentials = {key: value for key, value in BEARER.items() if key != missing}
    assert cause(connector, credentials)["code"] == f"{FAMILY}InvalidCredentials"
    assert world.scim.requests == []


def test_the_token_endpoint_is_asked_first(connector: Connector, world: World) -> None:
    try_connection(connector, OAUTH)
    assert len(world.tokens.forms) == 1
    assert world.tokens.headers[0]["authorization"].startswith("Basic ")
    assert len(world.scim.requests) == 2


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (httpx.Response(415), "Supported CredentialLocationInRequest is required"),
        (refusal("invalid_client", 401, basic=True), "invalid_client"),
        (refusal("invalid_client", 503), "503"),
    ],
    ids=["415", "401", "503"],
)
def test_a_token_endpoint_that_refuses_is_told(
    connector: Connector, world: World, answer: httpx.Response, text: str
) -> None:
    world.tokens.fault = lambda _answer: answer
    told = cause(connector, OAUTH)
    assert told["code"] == f"{FAMILY}CredentialValidationFailure"
    assert text in told["message"]
    assert world.scim.requests == []


def test_stored_client_credentials_are_of_no_use_without_their_type_or_a_seeded_access_token(
    connector: Connector, world: World
) -> None:
    assert cause(connector, OAUTH, "app")["code"] == f"{FAMILY}InvalidCredentials"
    assert world.tokens.forms == []
    seeded = {**OAUTH, "Oauth2AccessToken": "x", "Oauth2AccessTokenCreationTime": "2026-01-01T00:00:00Z"}
    for stored in (seeded, {**OAUTH, "AuthenticationType": "OAuth2ClientCredentialsGrant"}):
        try_connection(connector, stored, application="app")
    assert len(world.tokens.forms) == 2


def test_stored_credentials_of_the_other_way_stay_out_of_the_way(connector: Connector, world: World) -> None:
    both = {**OAUTH, **BEARER, "AuthenticationType": "AuthenticationToken"}
    try_connection(connector, both, application="app")
    assert world.tokens.forms == []


def test_incomplete_client_credentials_send_nothing(connector: Connector, world: World) -> None:
    credentials = {key: value for key, value in OAUTH.items() if key != "Oauth2ClientSecret"}
    assert cause(connector, credentials)["code"] == f"{FAMILY}InvalidCredentials"
    assert world.tokens.forms == []


@pytest.mark.parametrize("key", ["BaseAddress", "Oauth2TokenExchangeUri"])
@pytest.mark.parametrize("url", ["http://scim.example:port", "nonsense"])
def test_what_is_no_url_does_not_pass(scim_url: str, key: str, url: str) -> None:
    held = {
        "BaseAddress": scim_url,
        "Oauth2TokenExchangeUri": scim_url.replace("/scim/v2", "/oauth2/token"),
        "Oauth2ClientId": CLIENT_ID,
        "Oauth2ClientSecret": CLIENT_SECRET,
    }
    with httpx.HTTPTransport() as transport:
        assert cause(Connector(Unclosed(transport, {})), {**held, key: url})


def test_a_public_host_name_can_be_asked_elsewhere(world: World) -> None:
    public = {"BaseAddress": "https://scim.example.com/scim/v2", "SecretToken": TOKEN}
    origin = URL[: URL.index("/", 8)]
    try_connection(Connector(Unclosed(world.transport, {"https://scim.example.com": origin})), public)
    assert {str(request.url.host) for request in world.scim.requests} == {"scim.test"}

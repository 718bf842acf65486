"""Entra's requests for access tokens in each form, and what is wrong with an answer."""

import base64
from collections.abc import Callable

import httpx
import pytest

from entra_standin.errors import EntraError, Finding, Rejected, Unreachable
from entra_standin.token_endpoint import (
    ASSERTION_TYPE,
    ClientSecret,
    Location,
    SignedAssertion,
    TokenEndpoint,
)
from unit.entra_standin.faulty_service import Service
from unit.entra_standin.token_service import (
    CLIENT_ID,
    CLIENT_SECRET,
    TOKEN_URL,
    TokenService,
    answer,
    basic,
    grant,
    refusal,
)


@pytest.fixture
def tokens(service: Service) -> TokenService:
    return TokenService(service)


def asking(
    tokens: TokenService, location: Location = Location.HEADER, scope: str | None = None
) -> TokenEndpoint:
    secret = ClientSecret(CLIENT_ID, CLIENT_SECRET, location)
    return TokenEndpoint(TOKEN_URL, secret, scope=scope, transport=tokens.transport())


@pytest.mark.parametrize(
    ("location", "in_header", "in_body"),
    [(Location.HEADER, True, False), (Location.BODY, False, True), (Location.BOTH, True, True)],
)
def test_credentials_go_where_the_portal_says(
    tokens: TokenService, location: Location, in_header: bool, in_body: bool
) -> None:
    assert asking(tokens, location).fetch().value == "sca_0"
    [form], [headers] = tokens.forms, tokens.headers
    assert ("authorization" in headers) is in_header
    assert not in_header or basic(headers["authorization"]) == (CLIENT_ID, CLIENT_SECRET)
    pair = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET} if in_body else {}
    assert form == {"grant_type": "client_credentials", **pair}


def test_id_and_secret_are_form_encoded_before_base64() -> None:
    request = ClientSecret("a:b", "c d%").request()
    assert request.authorization == f"Basic {base64.b64encode(b'a%3Ab:c%20d%25').decode()}"


@pytest.mark.parametrize("scope", ["scim", "scim scim.readwrite"])
def test_a_scope_is_sent_when_there_is_one(tokens: TokenService, scope: str) -> None:
    assert asking(tokens, scope=scope).fetch().scope == scope
    assert tokens.forms[0]["scope"] == scope


def test_an_assertion_is_signed_for_each_request(tokens: TokenService) -> None:
    numbers = iter(range(10))
    credentials = SignedAssertion(CLIENT_ID, lambda: f"h.{next(numbers)}.s")
    assert [credentials.request().form["client_assertion"] for _ in range(2)] == ["h.0.s", "h.1.s"]
    assert credentials.request().form == {
        "grant_type": "client_credentials",
        "client_id": CLIENT_ID,
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": "h.2.s",
    }
    assert credentials.request().authorization is None


GOOD = {"access_token": "sca_x"}
FAULTS: list[tuple[Callable[[], httpx.Response], str]] = [
    (grant, "access_token is missing"),
    (lambda: grant(access_token=""), "access_token is missing"),
    (lambda: grant(access_token="a\nb"), "no text for a header"),
    (lambda: grant(access_token=7), "access_token is missing"),
    (lambda: grant(**GOOD, token_type="mac"), "token_type is not Bearer"),
    (lambda: grant(**GOOD, token_type=None), "token_type is not Bearer"),
    (lambda: grant(**GOOD, expires_in=None), "expires_in is no number"),
    (lambda: grant(**GOOD, expires_in="3600"), "expires_in is no number"),
    (lambda: grant(**GOOD, expires_in=3599), "expires_in is no number from 3600 to 21600"),
    (lambda: grant(**GOOD, expires_in=21_601), "expires_in is no number"),
    (lambda: grant(**GOOD, expires_in=True), "expires_in is no number"),
    (lambda: grant(**GOOD, refresh_token="r"), "refresh_token has no place"),
    (lambda: grant(**GOOD, scope="other"), "scope is not the one"),
    (lambda: answer(200, GOOD, **{"cache-control": "private"}), "not no-store"),
    (lambda: answer(200, GOOD, pragma=""), "not no-cache"),
    (lambda: answer(200, GOOD, **{"content-type": "text/html"}), "instead of application/json"),
    (lambda: answer(200, [GOOD]), "not a JSON object"),
    (lambda: httpx.Response(200, text="{", headers={"content-type": "application/json"}), "not JSON"),
    (lambda: answer(201, GOOD), "a refusal is 400 or 401"),
    (lambda: answer(302, {}), "a refusal is 400 or 401"),
    (lambda: refusal("invalid_client", 403), "a refusal is 400 or 401"),
    (lambda: refusal("server_error", 400), "none of RFC 6749's codes"),
    (lambda: answer(401, {"detail": "no"}), "none of RFC 6749's codes"),
    (lambda: refusal("invalid_client", 401), "no WWW-Authenticate: Basic"),
    (lambda: answer(400, {"error": "invalid_request"}, pragma=""), "not no-cache"),
    (lambda: answer(429, {}), "Retry-After is missing"),
]


@pytest.mark.parametrize(("made", "message"), FAULTS, ids=[message for _, message in FAULTS])
def test_a_planted_fault_is_found(
    tokens: TokenService, made: Callable[[], httpx.Response], message: str
) -> None:
    tokens.fault = lambda _right: made()
    with pytest.raises(Finding, match=message):
        asking(tokens, scope="scim").fetch()


@pytest.mark.parametrize("seconds", [3600, 21_600])
def test_the_bounds_of_a_lifetime_belong_to_it(tokens: TokenService, seconds: int) -> None:
    tokens.fault = lambda _right: grant(**GOOD, expires_in=seconds, token_type="bearer")
    assert asking(tokens).fetch().expires_in == seconds


@pytest.mark.parametrize(
    ("made", "status", "code"),
    [
        (lambda: refusal("invalid_request"), 400, "invalid_request"),
        (lambda: refusal("invalid_client", 401, basic=True), 401, "invalid_client"),
        (lambda: answer(429, {}, **{"retry-after": "5"}), 429, ""),
        (lambda: httpx.Response(503, text="<html>"), 503, ""),
    ],
)
def test_a_refusal_in_the_right_form_is_one(
    tokens: TokenService, made: Callable[[], httpx.Response], status: int, code: str
) -> None:
    tokens.fault = lambda _right: made()
    with pytest.raises(Rejected) as refused:
        asking(tokens).fetch()
    assert (refused.value.status, refused.value.scim_type) == (status, code)


def test_a_401_to_credentials_in_the_body_needs_no_challenge(tokens: TokenService) -> None:
    tokens.fault = lambda _right: refusal("invalid_client", 401)
    with pytest.raises(Rejected):
        asking(tokens, Location.BODY).fetch()


@pytest.mark.parametrize("location", list(Location))
def test_a_secret_that_the_endpoint_reflects_is_not_in_the_message(
    tokens: TokenService, location: Location
) -> None:
    def reflecting(_right: httpx.Response) -> httpx.Response:
        header = tokens.headers[-1].get("authorization", "-")
        return refusal("invalid_client", 401, basic=True, error_description=f"{CLIENT_SECRET} {header}")

    tokens.fault = reflecting
    with pytest.raises(EntraError) as raised:
        asking(tokens, location).fetch()
    encoded = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
    assert "[secret]" in str(raised.value)
    assert CLIENT_SECRET not in str(raised.value)
    assert encoded not in str(raised.value)


def test_secrets_are_in_no_repr(tokens: TokenService) -> None:
    secret = ClientSecret(CLIENT_ID, CLIENT_SECRET)
    for shown in (repr(secret), repr(secret.request()), repr(asking(tokens))):
        assert CLIENT_SECRET not in shown
        assert "Basic" not in shown


def test_an_endpoint_that_does_not_answer_is_unreachable_without_the_secret() -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError(f"refused {request.content!r}")

    secret = ClientSecret(CLIENT_ID, CLIENT_SECRET, Location.BODY)
    with pytest.raises(Unreachable, match="POST /oauth2/token: ConnectError") as raised:
        TokenEndpoint(TOKEN_URL, secret, transport=httpx.MockTransport(fail)).fetch()
    assert CLIENT_SECRET not in str(raised.value)

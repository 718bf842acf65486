"""The operator's calls to the SCIM API: signed as the API checks them, and what each answer is taken for."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from scim_api.contract import proof, signing, tokens
from scim_api.contract.admin import AdminError, Connection, ConnectionPage, Credential, PutConnection
from scim_api.contract.urns import LIST_RESPONSE
from scim_operator.adapters.admin_api import HttpAdminApi, HttpCredentialVerifier
from scim_operator.adapters.admin_client import CALL_SECONDS
from scim_operator.planning.ports import (
    Conflict,
    Key,
    ScimApiRejected,
    ScimApiUnreachable,
    VerificationFailed,
)

BASE = "http://scim-api-internal:8081"
SCIM = "https://scim.example.com/scim/v2"
KEY = Key("team", "entra")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SIGNER = Ed25519PrivateKey.generate()
TOKEN = tokens.new_token()
ANSWER = Connection(namespace="team", name="entra", exists=True, revision="r2", now=NOW, resources=3)
WANTED = PutConnection(
    tenant="contoso",
    credentials=(Credential(id="id1", digest="ab" * 32, issued_at=NOW, expires_at=NOW + timedelta(days=1)),),
)
Handler = Callable[[httpx.Request], httpx.Response]


def answering(status: int = 200, body: Any = None) -> Handler:
    content = ANSWER.model_dump_json(by_alias=True) if body is None else body
    return lambda _request: httpx.Response(status, content=content)


def failing(error: Exception) -> Handler:
    def handle(_request: httpx.Request) -> httpx.Response:
        raise error

    return handle


def admin(handler: Handler) -> HttpAdminApi:
    client = httpx.AsyncClient(transport=httpx.MockTransport(handler))
    return HttpAdminApi(BASE, SIGNER, "installation-1", client)


def verifier(handler: Handler) -> HttpCredentialVerifier:
    client = httpx.AsyncClient(transport=httpx.MockTransport(handler))
    return HttpCredentialVerifier(SCIM, client, admin(handler).sign_proof)


class Api:
    """Checks each call's signature against what was received, as the real one does, and answers."""

    def __init__(self, body: str | None = None) -> None:
        self.requests: list[httpx.Request] = []
        self._body = body or ANSWER.model_dump_json(by_alias=True)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if_match = request.headers.get("if-match")
        assert if_match is None or (if_match[0], if_match[-1]) == ('"', '"')
        head = signing.verify(
            request.headers["authorization"].removeprefix("Bearer "),
            lambda kid: SIGNER.public_key() if kid == signing.key_id(SIGNER.public_key()) else None,
            audience="installation-1",
            method=request.method,
            target=request.url.raw_path.decode(),
            if_match=if_match.strip('"') if if_match else None,
        )
        signing.verify_body(head.body_digest, request.content)
        return httpx.Response(200, content=self._body)


async def test_get_is_signed_and_read() -> None:
    api = Api()
    assert await admin(api).get(KEY) == ANSWER
    (request,) = api.requests
    assert (request.method, request.url.path) == ("GET", "/admin/v1/connections/team/entra")
    assert "if-match" not in request.headers


async def test_put_sends_the_whole_state_in_camel_case_at_a_revision() -> None:
    api = Api()
    assert await admin(api).put(KEY, WANTED, revision="r1") == ANSWER
    (request,) = api.requests
    assert (request.method, request.headers["if-match"]) == ("PUT", '"r1"')
    assert request.headers["content-type"] == "application/json"
    assert PutConnection.model_validate_json(request.content) == WANTED
    assert "expiresAt" in json.loads(request.content)["credentials"][0]


async def test_delete_carries_the_revision_and_no_body() -> None:
    api = Api()
    await admin(api).delete(KEY, revision="r1")
    (request,) = api.requests
    assert (request.method, request.headers["if-match"], request.content) == ("DELETE", '"r1"', b"")


async def test_pages_are_asked_for_with_their_cursor_escaped() -> None:
    page = ConnectionPage(now=NOW, items=(ANSWER,), next=None)
    api = Api(page.model_dump_json(by_alias=True))
    assert await admin(api).page(after="team/entra&x=1", limit=50) == page
    assert api.requests[0].url.raw_path == b"/admin/v1/connections?limit=50&after=team%2Fentra%26x%3D1"


async def test_every_call_has_a_time_limit() -> None:
    seen: list[Any] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request.extensions["timeout"])
        return httpx.Response(200, content=ANSWER.model_dump_json(by_alias=True))

    await admin(handle).get(KEY)
    with pytest.raises(VerificationFailed):
        await verifier(handle).verify(TOKEN)
    assert [set(timeouts.values()) for timeouts in seen] == [{CALL_SECONDS}, {CALL_SECONDS}]


async def test_a_lost_revision_is_a_retry() -> None:
    body = AdminError(code="RevisionMismatch", message="at r9").model_dump_json(by_alias=True)
    with pytest.raises(Conflict, match="r9"):
        await admin(answering(412, body)).put(KEY, WANTED, revision="r1")


@pytest.mark.parametrize(
    ("status", "code", "fields"),
    [(409, "SettingsConflict", ("groups",)), (401, "Unauthorized", ()), (422, "Invalid", ())],
)
async def test_a_refusal_keeps_its_code_and_fields(status: int, code: Any, fields: tuple[str, ...]) -> None:
    body = AdminError(code=code, message="why", fields=fields).model_dump_json(by_alias=True)
    with pytest.raises(ScimApiRejected) as caught:
        await admin(answering(status, body)).put(KEY, WANTED, revision="r1")
    assert (caught.value.code, caught.value.message, caught.value.fields) == (code, "why", fields)


@pytest.mark.parametrize(
    "handler",
    [
        answering(503, "{}"),
        answering(500, "<html>"),
        answering(404, "<html>a proxy</html>"),
        answering(302, ""),
        answering(200, "not JSON"),
        answering(200, '{"namespace": "team"}'),
        failing(httpx.ConnectError("refused")),
        failing(httpx.ReadTimeout("slow")),
        failing(httpx.RemoteProtocolError("cut")),
    ],
    ids=["503", "500", "404 of a proxy", "redirect", "no JSON", "half", "refused", "timeout", "cut"],
)
async def test_no_sensible_answer_is_unreachable(handler: Handler) -> None:
    with pytest.raises(ScimApiUnreachable):
        await admin(handler).get(KEY)


def empty_list(**changes: Any) -> str:
    return json.dumps({"schemas": [LIST_RESPONSE], "totalResults": 0, "Resources": [], **changes})


async def test_the_proof_asks_what_entra_asks_first() -> None:
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=empty_list())

    await verifier(handle).verify(TOKEN)
    await verifier(handle).verify(TOKEN)
    assert seen[0].url.path == "/scim/v2/Users"
    assert seen[0].url.params["filter"].startswith('userName eq "')
    assert seen[0].url.params["filter"] != seen[1].url.params["filter"]
    assert seen[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert seen[0].headers["user-agent"] == proof.PROOF_AGENT


async def test_the_proof_is_signed_for_this_request_with_this_token() -> None:
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=empty_list())

    await verifier(handle).verify(TOKEN)
    signing.verify_proof(
        seen[0].headers[proof.PROOF_HEADER],
        lambda kid: SIGNER.public_key() if kid == signing.key_id(SIGNER.public_key()) else None,
        audience="installation-1",
        method="GET",
        target=seen[0].url.raw_path.decode(),
        credential=tokens.digest(TOKEN),
    )


@pytest.mark.parametrize(
    "handler",
    [
        answering(401, "{}"),
        answering(404, "{}"),
        answering(429, "{}"),
        answering(302, ""),
        answering(200, "<html>"),
        answering(200, "[]"),
        answering(200, empty_list(totalResults=1)),
        answering(200, empty_list(schemas=["urn:other"])),
    ],
    ids=["401", "404", "429", "redirect", "HTML", "a list", "somebody found", "other schema"],
)
async def test_anything_but_an_empty_list_is_no_proof(handler: Handler) -> None:
    with pytest.raises(VerificationFailed):
        await verifier(handler).verify(TOKEN)


@pytest.mark.parametrize(
    "handler",
    [answering(503, "{}"), failing(httpx.ConnectError("refused")), failing(httpx.ReadTimeout("slow"))],
)
async def test_a_proof_without_an_answer_is_unreachable(handler: Handler) -> None:
    with pytest.raises(ScimApiUnreachable):
        await verifier(handler).verify(TOKEN)


@pytest.mark.parametrize(
    "handler", [answering(401, "{}"), answering(503, "{}"), failing(httpx.ReadError(TOKEN))]
)
async def test_no_exception_of_a_proof_carries_the_token(handler: Handler) -> None:
    with pytest.raises((VerificationFailed, ScimApiUnreachable)) as caught:
        await verifier(handler).verify(TOKEN)
    assert TOKEN not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


SECRET, ACCESS = tokens.new_token("ClientSecret"), tokens.new_token("AccessToken")
GRANT = json.dumps({"access_token": ACCESS, "token_type": "Bearer", "expires_in": 3600})


def two_steps(token_endpoint: httpx.Response, seen: list[httpx.Request] | None = None) -> Handler:
    """A service whose token endpoint answers so, and whose ``/Users`` takes what it issues."""

    def handle(request: httpx.Request) -> httpx.Response:
        if seen is not None:
            seen.append(request)
        if request.url.path == "/oauth2/token":
            return token_endpoint
        good = request.headers["authorization"] == f"Bearer {ACCESS}"
        return httpx.Response(200, content=empty_list()) if good else httpx.Response(401, content="{}")

    return handle


async def test_a_client_secret_is_proven_as_entra_uses_it() -> None:
    seen: list[httpx.Request] = []
    await verifier(two_steps(httpx.Response(200, content=GRANT), seen)).verify(SECRET, "client-1")
    grant, users = seen
    assert (grant.method, str(grant.url)) == ("POST", "https://scim.example.com/oauth2/token")
    assert grant.content == b"grant_type=client_credentials"
    assert grant.headers["content-type"] == "application/x-www-form-urlencoded"
    basic = base64.b64decode(grant.headers["authorization"].removeprefix("Basic ")).decode()
    assert basic == f"client-1:{SECRET}"
    assert grant.headers["user-agent"] == proof.PROOF_AGENT
    assert users.headers["authorization"] == f"Bearer {ACCESS}"
    assert users.url.path == "/scim/v2/Users"


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, {"error": "invalid_client"}, "answered 401 invalid_client to a token request"),
        (400, {"error": f"bad {SECRET}"}, "answered 400 to a token request"),
        (400, [], "answered 400 to a token request"),
        (404, {}, "answered 404 to a token request"),
        (429, {}, "answered 429 to a token request"),
        (302, {}, "answered 302 to a token request"),
        (200, {}, "does not answer as a token endpoint"),
        (200, {"access_token": SECRET, "token_type": "Bearer"}, "does not answer as a token endpoint"),
        (200, {"access_token": ACCESS, "token_type": "mac"}, "does not answer as a token endpoint"),
        (200, {"access_token": ACCESS}, "does not answer as a token endpoint"),
    ],
)
async def test_a_token_request_that_fails_is_no_proof_and_says_why(status: int, body: Any, said: str) -> None:
    with pytest.raises(VerificationFailed, match=said) as caught:
        await verifier(two_steps(httpx.Response(status, json=body))).verify(SECRET, "client-1")
    assert SECRET not in str(caught.value)
    assert ACCESS not in str(caught.value)


async def test_an_access_token_that_opens_nothing_is_no_proof() -> None:
    other = json.dumps({"access_token": tokens.new_token("AccessToken"), "token_type": "bearer"})
    with pytest.raises(VerificationFailed, match="answered 401 to Test Connection"):
        await verifier(two_steps(httpx.Response(200, content=other))).verify(SECRET, "client-1")


@pytest.mark.parametrize(
    "handler",
    [
        answering(503, "{}"),
        failing(httpx.ConnectError("refused")),
        failing(httpx.ReadTimeout("slow")),
        failing(httpx.ReadError(SECRET)),
    ],
)
async def test_a_token_endpoint_without_an_answer_is_unreachable(handler: Handler) -> None:
    with pytest.raises(ScimApiUnreachable) as caught:
        await verifier(handler).verify(SECRET, "client-1")
    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None

"""``POST /oauth2/token`` over HTTP on each database: who gets a token, and the RFC's answer for everybody else."""

import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, cast
from urllib.parse import urlencode

import httpx
import pytest
import pytest_asyncio
from starlette.types import Message

from api.conftest import BASE, Scim
from scim_api.contract.oauth import TOKEN_PATH
from scim_api.contract.tokens import kind_of, new_token
from scim_api.http.authentication import Authenticator
from scim_api.http.oauth.token_endpoint import MAX_BODY
from scim_api.http.oauth.token_rate import BURST
from scim_api.http.public import public_app
from scim_api.store.errors import Unavailable
from support.shared_scim import SHARED, scim
from support.token_requests import FORM, GRANT, URL, SecretClient, ask, basic, bearer, register

ASK = f'{BASE}/Users?filter=userName eq "nobody"'


__all__ = ["scim"]
pytestmark = SHARED
_numbers = itertools.count()


@pytest_asyncio.fixture(loop_scope="module")
async def client(scim: Scim) -> SecretClient:
    name = f"client-{next(_numbers)}"
    return await register(scim.service.store, name=name, tenant=name)


def error(answer: httpx.Response, status: int) -> str:
    """The code of a well-formed refusal."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"
    assert ("www-authenticate" in answer.headers) == (status == 401)
    body = answer.json()
    assert set(body) == {"error", "error_description"}
    code: str = body["error"]
    return code


# -- what is issued ---------------------------------------------------------------------------------


Send = Callable[[SecretClient], tuple[dict[str, str], dict[str, str]]]
WAYS: dict[str, Send] = {
    "Header": lambda client: (GRANT, client.header()),
    "Body": lambda client: (client.form(), {}),
    "Both": lambda client: (client.form(), client.header()),
}


@pytest.mark.parametrize("way", WAYS)
async def test_a_client_secret_gets_a_token_however_entra_sends_it(
    scim: Scim, client: SecretClient, way: str
) -> None:
    form, headers = WAYS[way](client)
    answer = await ask(scim.client, form, headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    body = answer.json()
    assert set(body) == {"access_token", "token_type", "expires_in"}
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 3600)
    assert kind_of(body["access_token"]) == "AccessToken"
    assert (await scim.client.get(ASK, headers=bearer(answer))).status_code == 200


@pytest.mark.parametrize("seconds", [3600, 5400, 21_600])
async def test_expires_in_is_the_lifetime_that_is_set(scim: Scim, seconds: int) -> None:
    client = await register(scim.service.store, seconds=seconds)
    expires_in = (await ask(scim.client, client.form())).json()["expires_in"]
    assert type(expires_in) is int
    assert expires_in == seconds


async def test_the_scope_is_echoed_and_changes_nothing(scim: Scim, client: SecretClient) -> None:
    answer = await ask(scim.client, client.form(scope="scim scim.readwrite"))
    assert answer.json()["scope"] == "scim scim.readwrite"
    assert (await scim.client.get(ASK, headers=bearer(answer))).status_code == 200


async def test_unknown_parameters_are_ignored(scim: Scim, client: SecretClient) -> None:
    assert (await ask(scim.client, client.form(baseAddress="", resource="urn:x"))).status_code == 200


@pytest.mark.parametrize("media_type", [f"{FORM}; charset=UTF-8", FORM.upper(), f"{FORM} ; x=y"])
async def test_the_media_type_may_have_parameters(scim: Scim, client: SecretClient, media_type: str) -> None:
    assert (await ask(scim.client, client.form(), {"content-type": media_type})).status_code == 200


@pytest.mark.parametrize("path", [TOKEN_PATH, f"{TOKEN_PATH}/", f"/{TOKEN_PATH}"])
async def test_doubled_slashes_and_one_at_the_end_do_no_harm(
    scim: Scim, client: SecretClient, path: str
) -> None:
    answer = await scim.client.post(f"https://scim.test{path}", data=client.form())
    assert answer.status_code == 200


async def test_each_token_is_another(scim: Scim, client: SecretClient) -> None:
    tokens = {(await ask(scim.client, client.form())).json()["access_token"] for _ in range(5)}
    assert len(tokens) == 5


# -- what is refused --------------------------------------------------------------------------------


async def test_an_unknown_client_and_a_wrong_secret_are_told_the_same(
    scim: Scim, client: SecretClient
) -> None:
    wrong = await ask(scim.client, client.form(client_secret=new_token("ClientSecret")))
    unknown = await ask(scim.client, client.form(client_id="nobody"))
    impossible = await ask(scim.client, client.form(client_id="no body"))
    assert error(wrong, 401) == "invalid_client"
    assert wrong.content == unknown.content == impossible.content
    assert dict(wrong.headers) == dict(unknown.headers) == dict(impossible.headers)


async def test_a_refused_header_is_answered_with_what_is_taken(scim: Scim, client: SecretClient) -> None:
    answer = await ask(scim.client, GRANT, basic(client.client_id, "wrong"))
    assert error(answer, 401) == "invalid_client"
    assert answer.headers["www-authenticate"].startswith('Basic realm="')


async def test_another_clients_secret_is_no_secret(scim: Scim, client: SecretClient) -> None:
    other = await register(scim.service.store, name="other", tenant="other")
    assert error(await ask(scim.client, client.form(client_secret=other.secret)), 401) == "invalid_client"


@pytest.mark.parametrize("kind", ["a bearer token", "an access token", "a digest"])
async def test_only_a_client_secret_gets_a_token(scim: Scim, client: SecretClient, kind: str) -> None:
    sent = {
        "a bearer token": (await scim.connect("entra", tenant="contoso"))["authorization"].partition(" ")[2],
        "an access token": "",
        "a digest": "0" * 64,
    }[kind]
    client = await register(scim.service.store)
    if kind == "an access token":
        sent = (await ask(scim.client, client.form())).json()["access_token"]
    assert error(await ask(scim.client, client.form(client_secret=sent)), 401) == "invalid_client"


@pytest.mark.parametrize(
    "media_type", ["application/json", "text/plain", "", "multipart/form-data", f"x{FORM}", f"{FORM}x"]
)
async def test_what_is_no_form_is_an_invalid_request(
    scim: Scim, client: SecretClient, media_type: str
) -> None:
    answer = await ask(scim.client, client.form(), {"content-type": media_type})
    assert error(answer, 400) == "invalid_request"


async def test_a_form_without_a_media_type_is_an_invalid_request(scim: Scim, client: SecretClient) -> None:
    answer = await scim.client.post(URL, content=urlencode(client.form()))
    assert error(answer, 400) == "invalid_request"


async def test_two_media_types_or_authorizations_are_refused(scim: Scim, client: SecretClient) -> None:
    content = urlencode(client.form())
    twice = [("content-type", FORM), ("content-type", FORM)]
    assert error(await scim.client.post(URL, content=content, headers=twice), 400) == "invalid_request"
    [header] = client.header().items()
    signed_twice = [("content-type", FORM), header, header]
    answer = await scim.client.post(URL, content=content, headers=signed_twice)
    assert error(answer, 401) == "invalid_client"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"])
async def test_any_other_method_is_refused_and_no_query_is_read(
    scim: Scim, client: SecretClient, method: str
) -> None:
    url = f"{URL}?{urlencode(client.form())}"
    answer = await scim.client.request(method, url, headers=client.header())
    assert answer.headers["allow"] == "POST"
    if method == "HEAD":
        assert answer.status_code == 405
    else:
        assert error(answer, 405) == "invalid_request"


async def test_credentials_in_the_query_of_a_post_do_not_sign_in(scim: Scim, client: SecretClient) -> None:
    answer = await scim.client.post(f"{URL}?{urlencode(client.form())}", data=GRANT)
    assert error(answer, 401) == "invalid_client"


async def test_a_body_of_16_kib_is_read_and_a_longer_one_refused(scim: Scim, client: SecretClient) -> None:
    room = MAX_BODY - len(urlencode(client.form(x="")))
    assert (await ask(scim.client, client.form(x="y" * room))).status_code == 200
    assert error(await ask(scim.client, client.form(x="y" * (room + 1))), 413) == "invalid_request"


async def test_a_body_without_end_is_cut_off(scim: Scim) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 200 * 1024 * 1024:
            sent += 1024 * 1024
            yield b"x" * 1024 * 1024

    answer = await scim.client.post(URL, content=endless(), headers={"content-type": FORM})
    assert error(answer, 413) == "invalid_request"
    assert sent < 50 * 1024 * 1024
    assert scim.service.bodies.total == 0


async def test_a_compressed_body_is_refused_with_what_is_taken(scim: Scim, client: SecretClient) -> None:
    answer = await ask(scim.client, client.form(), {"content-encoding": "gzip"})
    assert error(answer, 415) == "invalid_request"
    assert answer.headers["accept-encoding"] == "identity"


async def test_a_client_that_goes_away_leaves_nothing(scim: Scim, client: SecretClient) -> None:
    messages: Iterator[Message] = iter(
        [{"type": "http.request", "body": b"grant_type=", "more_body": True}, {"type": "http.disconnect"}]
    )
    sent: list[Message] = []

    async def receive() -> Message:
        return next(messages)

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "http", "http_version": "1.1", "method": "POST", "scheme": "https", "path": TOKEN_PATH,
        "raw_path": TOKEN_PATH.encode(), "query_string": b"", "root_path": "",
        "headers": [(b"content-type", FORM.encode())],
    }  # fmt: skip
    await public_app(scim.service)(scope, receive, send)
    assert sent[0]["status"] == 400
    assert scim.service.bodies.total == 0


async def test_too_many_requests_of_a_client_are_told_when_to_come_again(
    scim: Scim, client: SecretClient
) -> None:
    for _ in range(BURST):
        assert (await ask(scim.client, client.form())).status_code == 200
    answer = await ask(scim.client, client.form())
    assert error(answer, 429) == "slow_down"
    assert 1 <= int(answer.headers["retry-after"]) <= 10
    other = await register(scim.service.store, name="other", tenant="other")
    assert (await ask(scim.client, other.form())).status_code == 200


async def test_a_stranger_does_not_use_up_what_a_client_may_have(scim: Scim, client: SecretClient) -> None:
    for _ in range(BURST + 5):
        wrong = await ask(scim.client, client.form(client_secret=new_token("ClientSecret")))
        assert error(wrong, 401) == "invalid_client"
    assert (await ask(scim.client, client.form())).status_code == 200


@pytest.mark.parametrize("method", ["token_client", "issue_access_token", "generation"])
async def test_without_the_database_it_is_503_and_never_a_refusal(
    scim: Scim, client: SecretClient, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    async def gone(*_: object, **__: object) -> Any:
        raise Unavailable("gone")

    monkeypatch.setattr(scim.service.store, method, gone)
    monkeypatch.setattr(Authenticator, "_is_fresh", lambda _: False)
    answer = await ask(scim.client, client.form())
    assert error(answer, 503) == "temporarily_unavailable"
    assert int(answer.headers["retry-after"]) >= 1


async def test_a_malformed_request_is_answered_without_the_database_too(
    scim: Scim, client: SecretClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_: object) -> Any:
        raise Unavailable("gone")

    monkeypatch.setattr(scim.service.store, "token_client", gone)
    assert error(await ask(scim.client, client.form(scope='"')), 400) == "invalid_scope"


async def test_a_fault_of_ours_is_a_500_in_the_rfcs_form_and_says_nothing(
    scim: Scim, client: SecretClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_client_id: str) -> Any:
        raise ZeroDivisionError(client.secret)

    monkeypatch.setattr(scim.service.store, "token_client", broken)
    answer = await ask(scim.client, client.form())
    assert error(answer, 500) == "server_error"
    assert client.secret not in answer.text


async def test_every_answer_is_json_without_anything_of_the_request(scim: Scim, client: SecretClient) -> None:
    for form in (
        client.form(client_secret="<x-y>"),
        client.form(grant_type="<x-y>"),
        client.form(scope="<\\>"),
    ):
        answer = await ask(scim.client, form)
        assert "x-y" not in answer.text
        assert isinstance(cast("Any", json.loads(answer.content)), dict)

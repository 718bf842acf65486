"""Nobody passes but the operator whose installation the database belongs to."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from api.conftest import Scim
from api.http.admin.test_endpoints import accepted, put_body
from scim_api.contract.admin import UNKNOWN_REVISION
from scim_api.contract.tokens import new_token
from scim_api.core import limits

PATH = "/admin/v1/connections/team/entra"


async def test_unsigned_and_wrongly_signed_calls_are_refused_and_change_nothing(scim: Scim) -> None:
    body = put_body(token := new_token())
    strangers = Ed25519PrivateKey.generate()
    attempts = [
        await scim.admin.put(PATH, content=body, headers={"if-match": '"0"'}),
        await scim.admin.put(
            PATH, content=body, headers={"if-match": '"0"', "authorization": "Bearer x.y.z"}
        ),
        await scim.admin_call("PUT", PATH, body=body, revision=UNKNOWN_REVISION, key=strangers),
        await scim.admin_call(
            "PUT", PATH, body=body, revision=UNKNOWN_REVISION, audience="another installation"
        ),
        await scim.admin_call("PUT", PATH, body=body, revision=UNKNOWN_REVISION, signed_path=PATH + "x"),
        await scim.admin_call(
            "PUT", PATH, body=body, revision=UNKNOWN_REVISION, now=datetime.now(UTC) - timedelta(minutes=10)
        ),
    ]
    good = await scim.admin_call("GET", PATH)
    signature = good.request.headers["authorization"]
    attempts += [
        await scim.admin.put(PATH, content=body, headers={"if-match": '"0"', "authorization": signature}),
        await scim.admin.delete(PATH, headers={"if-match": '"0"', "authorization": signature}),
        await scim.admin.get(PATH + "2", headers={"authorization": signature}),
        await scim.admin.get(PATH + "?x=1", headers={"authorization": signature}),
    ]
    assert [answer.status_code for answer in attempts] == [401] * len(attempts)
    assert {answer.json()["code"] for answer in attempts} == {"Unauthorized"}
    assert not await accepted(scim, token)


@pytest.mark.parametrize(
    ("method", "target", "body", "if_match"),
    [
        ("GET", "/admin/v1/connections?limit=0", b"", None),
        ("GET", "/admin/v1/connections/Team/entra", b"", None),
        ("PUT", PATH, b"{", '"0"'),
        ("PUT", PATH, b"", None),
        ("PUT", PATH, b'{"tenant": 5}', None),
        ("DELETE", "/admin/v1/connections/team/-", b"", None),
    ],
)
async def test_an_unsigned_request_is_refused_as_that_whatever_else_is_wrong_with_it(
    scim: Scim, method: str, target: str, body: bytes, if_match: str | None
) -> None:
    headers = {"content-type": "application/json"} | ({} if if_match is None else {"if-match": if_match})
    response = await scim.admin.request(method, target, content=body, headers=headers)
    assert (response.status_code, response.json()["code"]) == (401, "Unauthorized")
    signed = await scim.admin_call(method, target, body=body, revision=if_match and if_match.strip('"'))
    assert (signed.status_code, signed.json()["code"]) == (400, "Invalid")


async def test_a_body_over_the_limit_is_refused_and_one_without_a_signature_is_not_even_read(
    scim: Scim,
) -> None:
    body = b"x" * (limits.MAX_BODY + 1)
    signed = await scim.admin_call("PUT", PATH, body=body, revision="0")
    assert (signed.status_code, signed.json()["code"]) == (413, "Invalid")

    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"x", b"y"):
            yield piece
            raise AssertionError("the body was read")

    for headers in ({}, {"authorization": "Bearer x.y.z"}):
        response = await scim.admin.put(PATH, content=pieces(), headers=headers)
        assert (response.status_code, response.json()["code"]) == (401, "Unauthorized")


async def test_clocks_two_minutes_apart_are_no_obstacle(scim: Scim) -> None:
    for seconds in (-120, 120):
        now = datetime.now(UTC) + timedelta(seconds=seconds)
        assert (await scim.admin_call("GET", PATH, now=now)).status_code == 200


async def test_a_database_of_another_installation_is_refused(scim: Scim) -> None:
    assert await scim.service.store.claim("someone else") == "someone else"
    answer = await scim.admin_call("GET", PATH)
    assert answer.status_code == 401
    assert "one database serves one installation" in answer.json()["message"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_a_captured_call_is_refused_when_it_comes_again(scim: Scim, method: str) -> None:
    body = put_body(new_token()) if method == "PUT" else b""
    revision = None if method == "GET" else UNKNOWN_REVISION
    taken = await scim.admin_call(method, PATH, body=body, revision=revision)
    assert taken.status_code == 200

    again = await scim.admin.request(method, PATH, content=body, headers=taken.request.headers)

    assert (again.status_code, again.json()["code"]) == (401, "Unauthorized")
    assert "signed anew" in again.json()["message"]
    assert (await scim.admin_call("GET", PATH)).status_code == 200


async def test_two_same_calls_of_one_second_are_two_calls(scim: Scim) -> None:
    now = datetime.now(UTC)
    answers = [await scim.admin_call("GET", PATH, now=now) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3


async def test_a_refused_signature_is_not_remembered(scim: Scim) -> None:
    await scim.admin_call("GET", PATH, key=Ed25519PrivateKey.generate())
    await scim.admin_call("GET", PATH, signed_path=PATH + "x")
    transport = scim.admin._transport
    assert isinstance(transport, httpx.ASGITransport)
    assert len(transport.app.state.admin.seen) == 0  # type: ignore[attr-defined]
    await scim.admin_call("GET", PATH)
    assert len(transport.app.state.admin.seen) == 1  # type: ignore[attr-defined]


async def test_an_operator_of_a_release_without_nonces_is_let_in(
    scim: Scim, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = jwt.encode

    def without_nonce(claims: dict[str, object], *arguments: object, **more: object) -> str:
        del claims["jti"]
        return encode(claims, *arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr("scim_api.contract.signing.jwt.encode", without_nonce)
    taken = await scim.admin_call("GET", PATH)
    again = await scim.admin.get(PATH, headers=taken.request.headers)
    assert (taken.status_code, again.status_code) == (200, 200)

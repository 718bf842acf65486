"""Reading a request within bounds, as ASGI hands it over in pieces."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from starlette.types import Message, Receive

from scim_api.contract.admin import TenantSettings
from scim_api.core.errors import ScimError
from scim_api.core.schema.tenant_schema import compile_tenant_schema
from scim_api.http import request as module
from scim_api.http.request import (
    BodyTooLarge,
    ClientDisconnected,
    ScimRequest,
    discard_body,
    has_body,
    read_body,
)

GONE: Message = {"type": "http.disconnect"}


class Pieces:
    """``receive`` of a body in pieces; counts how many were taken."""

    def __init__(self, pieces: Iterable[bytes], *, broken: bool = False) -> None:
        self._pieces = list(pieces)
        self._broken = broken
        self.taken = 0

    async def __call__(self) -> Message:
        if self.taken >= len(self._pieces):
            return GONE
        piece = self._pieces[self.taken]
        self.taken += 1
        more = self.taken < len(self._pieces) or self._broken
        return {"type": "http.request", "body": piece, "more_body": more}


def request(**changes: Any) -> ScimRequest:
    whole: dict[str, Any] = {
        "service": None,
        "access": None,
        "tenant_schema": compile_tenant_schema(TenantSettings(), "hash"),
        "headers": {},
        "query": b"",
        "body": b"{}",
        "resource_id": "",
    }
    return ScimRequest(**(whole | changes))


@pytest.mark.parametrize("pieces", [[b"abcdef"], [b"abc", b"def"], [b"", b"abcdef", b""]])
async def test_a_body_is_whole_however_it_came(pieces: list[bytes]) -> None:
    assert await read_body(Pieces(pieces), 6) == b"abcdef"


@pytest.mark.parametrize("pieces", [[b"abcdef"], [b"abc", b"def"], [b"abcdef", b""]])
async def test_one_byte_too_many_is_refused(pieces: list[bytes]) -> None:
    with pytest.raises(BodyTooLarge):
        await read_body(Pieces(pieces), 5)


async def test_a_body_without_end_is_not_read_past_its_limit() -> None:
    endless = Pieces([b"x" * 10] * 1000, broken=True)
    with pytest.raises(BodyTooLarge):
        await read_body(endless, 25)
    assert endless.taken <= 4


@pytest.mark.parametrize("pieces", [[], [b"abc"]])
async def test_a_client_that_hangs_up_is_told_from_a_short_body(pieces: list[bytes]) -> None:
    with pytest.raises(ClientDisconnected):
        await read_body(Pieces(pieces, broken=True), 100)


async def test_a_body_that_nobody_wants_is_read_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_DISCARDED_BYTES", 25)
    endless = Pieces([b"x" * 10] * 1000, broken=True)
    await discard_body(endless)
    assert endless.taken == 3


async def test_a_client_that_sends_nothing_more_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DISCARD_SECONDS", 0.01)

    async def silent() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    receive: Receive = silent
    await asyncio.wait_for(discard_body(receive), 5)


@pytest.mark.parametrize(
    ("headers", "announced"),
    [
        ({}, False),
        ({b"content-length": b"0"}, False),
        ({b"content-length": b"2"}, True),
        ({b"transfer-encoding": b"chunked"}, True),
    ],
)
def test_a_body_is_announced_by_its_length_or_by_chunks(headers: dict[bytes, bytes], announced: bool) -> None:
    assert has_body(headers) is announced


@pytest.mark.parametrize(
    "content_type", [b"application/scim+json", b"Application/JSON; charset=utf-8", b"", None]
)
def test_json_comes_as_either_media_type_or_without_one(content_type: bytes | None) -> None:
    headers = {} if content_type is None else {b"content-type": content_type}
    assert request(headers=headers, body=b'{"a":1}').json() == {"a": 1}


def test_another_media_type_is_415() -> None:
    with pytest.raises(ScimError) as refused:
        request(headers={b"content-type": b"text/plain"}).json()
    assert refused.value.status == 415


def test_parameters_are_decoded_with_names_in_lower_case() -> None:
    assert request(query=b"startIndex=3&FILTER=a%20eq+%22b%22&empty=").query_parameters() == {
        "startindex": "3",
        "filter": 'a eq "b"',
        "empty": "",
    }
    assert request().query_parameters() == {}


@pytest.mark.parametrize("query", [b"a=%ff", b"a=\xff", b"&".join(b"a%d=1" % n for n in range(101))])
def test_a_query_that_cannot_be_read_is_400(query: bytes) -> None:
    with pytest.raises(ScimError) as refused:
        request(query=query).query_parameters()
    assert (refused.value.status, refused.value.scim_type) == (400, "invalidValue")

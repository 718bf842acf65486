"""Reading a request within bounds, as ASGI hands it over in pieces."""

import asyncio
import threading
import time
from collections.abc import Iterable
from typing import Any, Final

import pytest
from starlette.types import Message, Receive

from scim_api.contract.admin import TenantSettings
from scim_api.core import limits
from scim_api.core.errors import ScimError
from scim_api.core.json_body import decode_json
from scim_api.core.schema.tenant_schema import compile_tenant_schema
from scim_api.http import request as module
from scim_api.http.request import (
    MAX_UNCOUNTED_BYTES,
    BodyTooLarge,
    BufferedBodies,
    ClientDisconnected,
    ScimRequest,
    TooManyBodies,
    discard_body,
    encoding_of,
    has_body,
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
    assert await BufferedBodies().read(Pieces(pieces), 6) == b"abcdef"


@pytest.mark.parametrize("pieces", [[b"abcdef"], [b"abc", b"def"], [b"abcdef", b""]])
async def test_one_byte_too_many_is_refused(pieces: list[bytes]) -> None:
    with pytest.raises(BodyTooLarge):
        await BufferedBodies().read(Pieces(pieces), 5)


async def test_a_body_without_end_is_not_read_past_its_limit() -> None:
    endless = Pieces([b"x" * 10] * 1000, broken=True)
    with pytest.raises(BodyTooLarge):
        await BufferedBodies().read(endless, 25)
    assert endless.taken <= 4


@pytest.mark.parametrize("pieces", [[], [b"abc"]])
async def test_a_client_that_hangs_up_is_told_from_a_short_body(pieces: list[bytes]) -> None:
    with pytest.raises(ClientDisconnected):
        await BufferedBodies().read(Pieces(pieces, broken=True), 100)


LONG: Final = [b"x" * MAX_UNCOUNTED_BYTES, b"x"]
"""Counted with its second piece."""


async def test_long_bodies_are_counted_until_they_are_released_and_short_ones_never() -> None:
    bodies = BufferedBodies()
    short = await bodies.read(Pieces([LONG[0]]), limits.MAX_BODY)
    assert bodies.total == 0
    one = await bodies.read(Pieces(LONG), limits.MAX_BODY)
    assert bodies.total == len(one) == MAX_UNCOUNTED_BYTES + 1
    two = await bodies.read(Pieces([b"".join(LONG)]), limits.MAX_BODY)
    assert bodies.total == len(one) + len(two)
    for body in (short, one, two):
        bodies.release(body)
    assert bodies.total == 0


@pytest.mark.parametrize("pieces", [LONG, [b"".join(LONG)], [*LONG, b"y"]])
async def test_a_body_that_finds_no_room_is_refused_and_holds_nothing(pieces: list[bytes]) -> None:
    bodies = BufferedBodies(2 * MAX_UNCOUNTED_BYTES)
    first = await bodies.read(Pieces(LONG), limits.MAX_BODY)
    with pytest.raises(TooManyBodies):
        await bodies.read(Pieces(pieces), limits.MAX_BODY)
    bodies.release(first)
    assert bodies.total == 0
    await bodies.read(Pieces(pieces), limits.MAX_BODY)


@pytest.mark.parametrize(
    ("limit", "refusal"), [(MAX_UNCOUNTED_BYTES + 1, BodyTooLarge), (10**9, ClientDisconnected)]
)
async def test_a_body_that_ends_badly_holds_nothing(limit: int, refusal: type[Exception]) -> None:
    bodies = BufferedBodies()
    with pytest.raises(refusal):
        await bodies.read(Pieces([*LONG, b"y"], broken=True), limit)
    assert bodies.total == 0


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
    ("values", "encoding"),
    [
        ([], ""),
        ([b""], ""),
        ([b"identity"], ""),
        ([b"Identity , identity", b"IDENTITY"], ""),
        ([b"gzip"], "gzip"),
        ([b" br "], "br"),
        ([b"identity", b"gzip"], "identity, gzip"),
        ([b"gzip", b"identity"], "gzip, identity"),
        ([b"gzip, deflate"], "gzip, deflate"),
    ],
)
def test_a_body_is_encoded_unless_every_header_says_that_it_is_not(
    values: list[bytes], encoding: str
) -> None:
    headers = [(b"content-type", b"gzip"), *((b"content-encoding", value) for value in values)]
    assert encoding_of(headers) == encoding


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
    assert request(query=b"startIndex=3&FILTER=a%20eq%20%22b%22&empty=").query_parameters() == {
        "startindex": "3",
        "filter": 'a eq "b"',
        "empty": "",
    }
    assert request().query_parameters() == {}


@pytest.mark.parametrize(
    ("query", "filter_"),
    [
        (b'userName%20eq%20"a+b@x"', 'userName eq "a+b@x"'),
        (b"userName%20eq%20%22a+b@x%22", 'userName eq "a+b@x"'),
        (b"userName%20eq%20%22a%2Bb@x%22", 'userName eq "a+b@x"'),
        (b"userName+eq+%22a+b@x%22", 'userName eq "a b@x"'),
        (b"userName+eq+%22a%2bb@x%22", 'userName eq "a+b@x"'),
        (b"title+eq+%22a%20b%2Bc%22", 'title eq "a b+c"'),
        (b"title+eq+%22a%20b+c%22+and+active+eq+true", 'title eq "a b+c" and active eq true'),
        (b'title%20eq%20"%5C%22+%5c"+"%20or%20title%20eq%20"+"', 'title eq "\\"+\\"+" or title eq "+"'),
        (b'title%20eq%20"\\"+"', 'title eq "\\"+"'),
        (b'title%20eq%20"+', 'title eq "+'),
        (b'title%20eq%20"%2522+"', 'title eq "%22+"'),
    ],
)
def test_a_plus_is_a_blank_unless_blanks_are_written_otherwise(query: bytes, filter_: str) -> None:
    assert request(query=b"filter=" + query).query_parameters() == {"filter": filter_}


def test_a_string_without_an_end_is_read_in_one_go() -> None:
    started = time.process_time()
    request(query=b"a=%20+" + b'%5C"' * 20_000).query_parameters()
    assert time.process_time() - started < 2


@pytest.mark.parametrize("name", ["attributes", "excludedAttributes"])
def test_a_list_that_comes_in_parts_is_joined(name: str) -> None:
    query = f"{name}=a,b&count=1&{name.upper()}=&{name}=c%2Cd".encode()
    assert request(query=query).query_parameters() == {name.lower(): "a,b,c,d", "count": "1"}


@pytest.mark.parametrize("name", ["filter", "sortBy", "sortOrder", "startIndex", "count", "cursor"])
def test_a_parameter_with_one_value_comes_once(name: str) -> None:
    for other in ("2", "1", ""):
        with pytest.raises(ScimError) as refused:
            request(query=f"{name}=1&x=y&{name.upper()}={other}".encode()).query_parameters()
        assert (refused.value.status, refused.value.scim_type) == (400, "invalidValue")
        assert f'{name} twice, "1" and "{other}"' in refused.value.detail


def test_a_parameter_that_means_nothing_may_come_twice() -> None:
    assert request(query=b"flag&flag=1").query_parameters() == {"flag": "1"}


@pytest.mark.parametrize("query", [b"a=%ff", b"a=\xff", b"&".join(b"a%d=1" % n for n in range(101))])
def test_a_query_that_cannot_be_read_is_400(query: bytes) -> None:
    with pytest.raises(ScimError) as refused:
        request(query=query).query_parameters()
    assert (refused.value.status, refused.value.scim_type) == (400, "invalidValue")


async def test_a_body_is_decoded_aside_in_another_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []

    def decode(body: bytes) -> dict[str, Any]:
        threads.append(threading.current_thread().name)
        return decode_json(body)

    monkeypatch.setattr("scim_api.http.request.decode_json", decode)
    one = request(body=b'{"a": 1}')
    await one.decode_aside(decode)
    assert one.json() == {"a": 1}
    assert len(threads) == 1
    assert threads[0].startswith("long-body")
    request(body=b"{}").json()
    assert threads[1] == threading.current_thread().name


async def test_what_is_wrong_with_a_body_that_was_decoded_aside_is_raised_where_it_is_asked_for() -> None:
    one = request(body=b"{")
    await one.decode_aside()
    with pytest.raises(ScimError, match="not valid JSON"):
        one.json()
    other = request(body=b"{", headers={b"content-type": b"text/plain"})
    await other.decode_aside()
    with pytest.raises(ScimError) as refusal:
        other.json()
    assert refusal.value.status == 415

"""What is answered where it arrives is answered as uvicorn and ASGI would: byte for byte, however it arrives."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send

from api.conftest import Scim
from api.test_fast_paths import (
    BOUNDED,
    DIFFERS,
    UUID,
    Twice,
    _lists,
    _strays,
    plain_queries,
    twice,
    twice_of,
)
from scim_api.http import response as responses
from scim_api.http.public import DirectRouter
from scim_api.http.response import ScimResponse
from scim_api.server.direct_protocol import MAX_HELD_BYTES, DirectHttpProtocol
from scim_api.server.http_protocol import MAX_PIPELINED
from support import grammar
from support.grammar import Request
from support.shared_scim import SHARED, Connect, connect, scim
from support.wire import Line, wire_form

__all__ = ["connect", "scim", "twice"]
pytestmark = SHARED


async def both(twice: Twice, requests: Sequence[Request], cuts: Sequence[int] = ()) -> bytes:
    """The answers to requests on one connection, which are the same on either way."""
    headers = list(twice.conversation.headers.items())
    data = b"".join(wire_form(request.filled(twice.ids), headers) for request in requests)
    at = sorted({cut % (len(data) + 1) for cut in cuts})
    pieces = [data[begin:end] for begin, end in zip([0, *at], [*at, len(data)], strict=True) if begin < end]
    answers = []
    for direct in (True, False):
        line = Line(twice.fast if direct else twice.plain, direct=direct)
        if direct:
            answers.append(await line.send(*pieces))
        else:
            with plain_queries():
                answers.append(await line.send(*pieces))
        line.end()
    assert answers[0] == answers[1]
    return answers[0]


_reads = st.one_of(_lists, _lists, _strays, grammar.reads)


@BOUNDED
@given(requests=st.lists(_reads, min_size=1, max_size=5), cuts=st.lists(st.integers(0, 4_000), max_size=3))
async def test_what_changes_nothing_is_answered_alike_in_any_pieces_and_pipelined(
    twice: Twice, requests: list[Request], cuts: list[int]
) -> None:
    await both(twice, requests, cuts)


@settings(BOUNDED, max_examples=50)
@given(
    requests=st.lists(
        st.one_of(grammar.creates_and_replaces, grammar.changes, grammar.deletions, _lists, _strays),
        min_size=2,
        max_size=6,
    )
)
async def test_two_tenants_live_through_a_story_alike(
    scim: Scim, connect: Connect, requests: list[Request]
) -> None:
    stories = []
    for direct in (True, False):
        tenant = await twice_of(scim, connect, ("u0", "u1"))
        line = Line(tenant.fast if direct else tenant.plain, direct=direct)
        answers = []
        for request in (*requests, Request("GET", "/Users?startIndex=1&count=50"), Request("GET", "/Groups")):
            headers = list(tenant.conversation.headers.items())
            answers.append(await line.send(wire_form(request.filled(tenant.ids), headers)))
        line.end()
        seen: dict[bytes, bytes] = {}
        whole = UUID.sub(
            lambda found, seen=seen: seen.setdefault(found[0], b"i" * 36 + b"%03d" % len(seen)),  # type: ignore[misc]
            b"".join(answers),
        )
        stories.append(DIFFERS.sub(b"#", whole))
    assert stories[0] == stories[1]


async def _nobody(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("this request is not to come here")


@pytest.mark.parametrize(
    ("method", "target", "body", "status"),
    [
        ("GET", "/Users?startIndex=1&count=2", b"", 200),
        ("GET", "/Users?filter=title+pr", b"", 200),
        ("GET", "/Users/{u0}", b"", 200),
        ("HEAD", "/Users/{u0}", b"", 200),
        ("POST", "/Users", b"{}", 400),
        ("PATCH", "/Users/{u0}", b"{}", 400),
        ("DELETE", "/Users/nobody", b"", 404),
        ("GET", "/Groups/{g0}", b"", 200),
        ("PATCH", "/Groups/{g0}", b"{}", 400),
    ],
)
async def test_requests_for_users_and_groups_go_past_asgi(
    twice: Twice, method: str, target: str, body: bytes, status: int
) -> None:
    line = Line(twice.fast, direct=True)
    line.protocol.app = _nobody
    request = Request(method, target, (), body).filled(twice.ids)
    answer = await line.send(wire_form(request, list(twice.conversation.headers.items())))
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    line.end()


async def test_a_body_in_pieces_is_streamed_alike(twice: Twice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responses, "MAX_BUFFERED_BYTES", 10)
    answer = await both(twice, [Request("GET", "/Groups/{g0}"), Request("GET", "/Users/{u0}")])
    assert b"transfer-encoding: chunked" in answer


async def test_a_body_longer_than_is_held_is_read_alike(twice: Twice) -> None:
    body = b'{"userName":"' + b"x" * MAX_HELD_BYTES + b'"}'
    answer = await both(twice, [Request("POST", "/Users", (), body), Request("GET", "/Users/{u0}")])
    assert answer.startswith(b"HTTP/1.1 422 ")


@pytest.mark.parametrize(
    "header",
    [
        ("connection", "close"), ("expect", "100-continue"), ("if-none-match", 'W/"1"'), ("if-none-match", "*"),
        ("if-match", 'W/"1"'), ("if-match", 'W/"9"'), ("content-encoding", "gzip"), ("content-length", "0"),
        ("scim-operator-proof", "x"), ("user-agent", "kubectl-scim/1"), ("upgrade", "h2c"),
    ],
)  # fmt: skip
async def test_what_else_a_client_says_is_heeded_alike(twice: Twice, header: tuple[str, str]) -> None:
    await both(twice, [Request("GET", "/Users/{u0}", (header,)), Request("GET", "/Users/{u1}")])


async def test_one_request_of_many_that_come_at_once_is_answered_at_once(twice: Twice) -> None:
    headers = list(twice.conversation.headers.items())
    one = wire_form(Request("GET", "/Users/{u0}").filled(twice.ids), headers)
    line = Line(twice.fast, direct=True)
    line.protocol.data_received(one * 3)
    assert line.wire.written.count(b"HTTP/1.1 200 ") <= 1
    assert (await line.send()).count(b"HTTP/1.1 200 ") == 3
    line.protocol.data_received(one * (MAX_PIPELINED + 4))
    answers = await line.send()
    assert line.wire.closed
    assert answers.count(b"HTTP/1.1 200 ") <= MAX_PIPELINED + 2
    line.end()


async def test_a_client_that_has_gone_is_sent_nothing(twice: Twice) -> None:
    headers = list(twice.conversation.headers.items())
    body = b'{"userName":"gone","emails":[{"type":"work","value":"gone@x"}]}'
    line = Line(twice.fast, direct=True)
    line.protocol.data_received(wire_form(Request("POST", "/Users", (), body), headers))
    line.end()
    line.wire.closed = True
    await asyncio.gather(*line.protocol.tasks)
    assert line.wire.written == b""
    assert await twice.conversation.find('userName eq "gone"')


async def test_a_header_that_would_be_two_is_not_sent(twice: Twice, monkeypatch: pytest.MonkeyPatch) -> None:
    async def split(*_: object) -> ScimResponse:
        return ScimResponse(200, b"", ((b"location", b"a\r\nb: c"),))

    endpoint = twice.fast.targets._collections[b"/scim/v2/Groups"]  # type: ignore[attr-defined]
    monkeypatch.setitem(endpoint._handlers, "GET", split)
    line = Line(twice.fast, direct=True)
    headers = list(twice.conversation.headers.items())
    assert await line.send(wire_form(Request("GET", "/Groups"), headers)) == b""
    assert line.wire.closed
    line.end()


async def test_a_server_that_stops_ends_the_connection_after_the_response(twice: Twice) -> None:
    headers = list(twice.conversation.headers.items())
    line = Line(twice.fast, direct=True)
    line.protocol.data_received(wire_form(Request("POST", "/Users", (), b"{}"), headers))
    line.protocol.shutdown()
    answer = await line.send()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"connection: close" in answer
    assert line.wire.closed
    line.end()


async def test_nothing_of_a_body_is_kept_once_it_is_answered(twice: Twice) -> None:
    """A thousand idle connections would keep 64 MiB, of clients that need no token for it."""
    line = Line(twice.fast, direct=True)
    protocol = line.protocol
    assert isinstance(protocol, DirectHttpProtocol)
    body = b'{"x":"%b"}' % (b"y" * 20_000)
    sent = Request("POST", "/Users", body=body)
    assert b" 401 " in await line.send(wire_form(sent, [("Authorization", "Bearer nobody")]))
    assert protocol._held_body == b""
    line.end()


async def test_who_is_cut_off_by_a_shutdown_sees_the_connection_end(
    twice: Twice, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(*_: object) -> None:
        await asyncio.Event().wait()

    assert isinstance(twice.fast, DirectRouter)
    target = twice.fast.targets.find(b"/scim/v2/Users")
    assert target is not None
    monkeypatch.setattr(target.endpoint, "handle", hang)
    line = Line(twice.fast, direct=True)
    line.protocol.data_received(wire_form(Request("POST", "/Users", body=b"{}"), []))
    (task,) = line.protocol.tasks
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert line.wire.closed

"""What a client may cost before anybody knows who it is: raw sockets against the real process."""

import contextlib
import json
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from scim_api.core import limits
from scim_api.http.request import MAX_BUFFERED_BODIES
from scim_api.server.http_protocol import MAX_HEAD_BYTES, MAX_PIPELINED
from support.serve_process import Serve

HEAD_SECONDS: Final = 1.0
BODY_SECONDS: Final = 1.5
CONNECTIONS: Final = 12
OPTIONS: Final = ("--head-seconds", str(HEAD_SECONDS), "--body-seconds", str(BODY_SECONDS))
GET: Final = b"GET /scim/v2/Users HTTP/1.1\r\nHost: a\r\n"
MIB: Final = 1024 * 1024


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    directory = tmp_path_factory.mktemp("serve")
    service = Serve(
        directory, f"sqlite:///{directory}/scim.db", *OPTIONS, "--max-connections", str(CONNECTIONS)
    )
    try:
        service.wait_ready()
        yield service
    finally:
        service.stop()


@pytest.fixture(scope="module")
def token(serve: Serve) -> str:
    issued: str = serve.connect("demo/entra", "--requests-per-second", "10000", "--burst", "10000")["token"]
    return issued


@pytest.fixture(params=["public", "internal"])
def port(serve: Serve, request: pytest.FixtureRequest) -> int:
    return serve.port if request.param == "public" else serve.internal


@contextlib.contextmanager
def connection(port: int, seconds: float = 10) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as raw:
        yield raw


def rest(raw: socket.socket) -> bytes:
    """Everything until the server ends the connection."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := raw.recv(65536):
            received += piece
    return received


def exchange(port: int, *pieces: bytes) -> bytes:
    """What comes back for these bytes until the server ends the connection."""
    with connection(port) as raw:
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                raw.sendall(piece)
        return rest(raw)


def responses(received: bytes) -> list[tuple[int, Any]]:
    """Statuses and JSON bodies of a connection's responses, each of which must have a length."""
    found = []
    while received:
        head, _, received = received.partition(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        length = int(lengths[0].partition(b":")[2])
        body, received = received[:length], received[length:]
        assert len(body) == length
        found.append((int(head.split(b" ", 2)[1]), json.loads(body) if body[:1] == b"{" else body))
    return found


def refused(received: bytes, status: int) -> None:
    """Exactly one response came, a SCIM error of this status, and said that the connection ends."""
    ((found, body),) = responses(received)
    assert found == status, received
    assert (body["schemas"], body["status"]) == (["urn:ietf:params:scim:api:messages:2.0:Error"], str(status))
    assert body["detail"]
    assert b"connection: close" in received
    assert b"content-type: application/scim+json" in received


def resident(serve: Serve) -> int:
    """Bytes of memory that the process has."""
    pages = Path(f"/proc/{serve.process.pid}/statm").read_text().split()[1]
    return int(pages) * 4096


def person(name: str, **more: str) -> bytes:
    """A user's body."""
    email = {"type": "work", "value": f"{name}@example.com"}
    return json.dumps({"userName": name, "emails": [email], **more}).encode()


def authorized(token: str) -> bytes:
    return b"Authorization: Bearer %s\r\n" % token.encode()


# -- heads


@pytest.mark.parametrize(
    ("begin", "endless"),
    [
        (b"GET /", b"x" * 65536),
        (GET + b"X: ", b"y" * 65536),
        (GET, b"X-Header: value\r\n" * 4096),
        (GET + b"X", b"-name" * 13107),
        (b"", b"\r\n" * 32768),
        (b"G" * 10, b"G" * 65536),
    ],
    ids=["URL", "value", "headers", "name", "empty lines", "method"],
)
def test_a_head_without_end_costs_no_memory_and_ends_the_connection(
    serve: Serve, port: int, begin: bytes, endless: bytes
) -> None:
    before, began = resident(serve), time.monotonic()
    received = exchange(port, begin, *([endless] * 320))
    assert time.monotonic() - began < HEAD_SECONDS
    assert resident(serve) - before < 4 * MIB
    if received:  # else the connection was reset while bytes were still on their way
        assert responses(received)[0][0] in (400, 431)


@pytest.mark.parametrize("pieces", [1, 7])
def test_a_head_of_the_greatest_size_is_read_and_one_byte_more_is_431(serve: Serve, pieces: int) -> None:
    head = GET + b"Connection: close\r\nX: "
    fits = head + b"y" * (MAX_HEAD_BYTES - len(head) - 4)
    for sent, status in ((fits, 401), (fits + b"y" * 200, 431)):
        whole, size = sent + b"\r\n\r\n", -(-len(sent) // pieces)
        parts = [whole[start : start + size] for start in range(0, len(whole), size)]
        ((found, body),) = responses(exchange(serve.port, *parts))
        assert (found, body["status"]) == (status, str(status))


def test_a_long_body_after_a_short_head_is_no_long_head(serve: Serve, token: str) -> None:
    body = person("long", displayName="x" * 200_000)
    request = b"POST /scim/v2/Users HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n" % len(
        body
    )
    ((status, _),) = responses(exchange(serve.port, request + authorized(token) + b"\r\n" + body))
    assert status == 201


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /scim/v2/Us\xffers HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /scim/v2/Us\x00ers HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /scim/v2/Us ers HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /scim/v2/Users HTTP/3.7\r\nHost: a\r\n\r\n",
        b"GET  HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS client",
        b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
        GET + b"Host: a\r\n\r\n",
        GET + b"HOST: b\r\n\r\n",
        GET + b"Authorization: Bearer a\r\nAuthorization: Bearer a\r\n\r\n",
        b"GET /scim/v2/Users HTTP/1.1\r\n\r\n",
        GET + b"X: a\x00b\r\n\r\n",
        GET + b"X : a\r\n\r\n",
        b"POST /scim/v2/Users HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /scim/v2/Users HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_what_is_no_valid_request_gets_a_scim_error_and_the_connection_ends(
    port: int, request_bytes: bytes
) -> None:
    refused(exchange(port, request_bytes), 400)


def test_http_1_0_needs_no_host(serve: Serve) -> None:
    ((status, _),) = responses(exchange(serve.port, b"GET /scim/v2/Users HTTP/1.0\r\n\r\n"))
    assert status == 401


def test_a_trailer_is_no_header(serve: Serve, token: str) -> None:
    chunked = (
        b"POST /scim/v2/Users HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    body = person("trailer")
    chunk = b"%x\r\n%s\r\n0\r\n" % (len(body), body)
    ((status, _),) = responses(exchange(serve.port, chunked + chunk + authorized(token) + b"\r\n"))
    assert status == 401
    endless = exchange(serve.port, chunked + chunk, *([b"X-Trailer: value\r\n" * 4096] * 20))
    assert not endless or responses(endless)[0][0] in (400, 401)


@pytest.mark.parametrize("pieces", ["whole", "bytes"])
def test_an_offered_upgrade_is_ignored_and_the_body_is_read(serve: Serve, token: str, pieces: str) -> None:
    body = person(f"upgrade-{pieces}")
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n"
    first = b"POST /scim/v2/Users HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n" % len(body)
    second = GET + authorized(token) + b"Connection: close, Upgrade\r\nUpgrade: h2c\r\n\r\n"
    sent = first + offer + authorized(token) + b"\r\n" + body + second
    parts = [sent] if pieces == "whole" else [sent[index : index + 1] for index in range(len(sent))]
    created, listed = responses(exchange(serve.port, *parts))
    assert (created[0], created[1]["userName"]) == (201, f"upgrade-{pieces}")
    assert listed[0] == 200


def test_what_is_wrong_after_good_requests_ends_the_connection_after_their_responses(serve: Serve) -> None:
    received = responses(exchange(serve.port, (GET + b"\r\n") * 3 + b"no request\r\n\r\n"))
    assert received
    assert {status for status, _ in received} <= {400, 401}
    assert received[0][0] == 401


def test_only_so_many_requests_wait_on_one_connection(serve: Serve, token: str) -> None:
    request = GET + authorized(token) + b"\r\n"
    received = responses(exchange(serve.port, request * (MAX_PIPELINED + 50)))
    assert 1 <= len(received) <= MAX_PIPELINED + 2


# -- deadlines


def test_a_connection_that_sends_nothing_is_ended(port: int) -> None:
    began = time.monotonic()
    assert exchange(port) == b""
    assert HEAD_SECONDS * 0.8 < time.monotonic() - began < HEAD_SECONDS + 2


@pytest.mark.parametrize("drip", [False, True])
def test_half_a_head_is_ended_in_time_however_its_bytes_drip(port: int, drip: bool) -> None:
    began = time.monotonic()
    with connection(port) as raw:
        raw.sendall(GET)
        while (
            drip and time.monotonic() - began < HEAD_SECONDS + 1 and not select.select([raw], [], [], 0.1)[0]
        ):
            raw.sendall(b"X")
        refused(rest(raw), 408)
    assert HEAD_SECONDS * 0.8 < time.monotonic() - began < HEAD_SECONDS + 2


def test_a_second_head_on_a_connection_has_its_own_time(serve: Serve, token: str) -> None:
    ask = b"HEAD /scim/v2/Nowhere HTTP/1.1\r\nHost: a\r\n\r\n"
    with connection(serve.port) as raw:
        for _ in range(2):
            raw.sendall(ask)
            assert raw.recv(65536).startswith(b"HTTP/1.1 404")
            time.sleep(HEAD_SECONDS + 0.3)  # idle, which is allowed
        raw.sendall(ask[:-2])
        refused(rest(raw), 408)


def test_a_body_that_never_ends_is_ended_in_time_signed_in_or_not(serve: Serve, token: str) -> None:
    for header in (authorized(token), b""):
        began = time.monotonic()
        request = b"POST /scim/v2/Users HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n" + header
        refused(exchange(serve.port, request + b"\r\n{"), 408)
        assert BODY_SECONDS * 0.8 < time.monotonic() - began < BODY_SECONDS + 2


def test_a_client_that_reads_no_response_is_left(serve: Serve, token: str) -> None:
    headers = {"authorization": f"Bearer {token}"}
    for number in range(20):
        large = person(f"large{number}", displayName="x" * 300_000)
        assert httpx.post(f"{serve.url}/Users", content=large, headers=headers).status_code == 201
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect(("127.0.0.1", serve.port))
        raw.sendall(GET + authorized(token) + b"\r\n")
        poll = select.poll()
        poll.register(raw, 0)
        assert not poll.poll(BODY_SECONDS * 500)
        assert poll.poll((BODY_SECONDS + 3) * 1000), "the connection is still open"


# -- numbers


def test_silent_connections_make_room_for_those_that_speak(serve: Serve, token: str) -> None:
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(connection(serve.port)) for _ in range(3 * CONNECTIONS)]
        request = GET + authorized(token) + b"Connection: close\r\n\r\n"
        ((status, _),) = responses(exchange(serve.port, request))
        assert status == 200
        assert select.select([silent[0]], [], [], 0)[0], "the longest idle is still there"


def test_a_port_full_of_requests_in_progress_says_so_and_probes_are_answered(
    serve: Serve, token: str
) -> None:
    request = b"POST /scim/v2/Users HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n" + authorized(token)
    with contextlib.ExitStack() as stack:
        for _ in range(CONNECTIONS):
            stack.enter_context(connection(serve.port)).sendall(request + b"\r\n{")
        deadline = time.monotonic() + 1
        while not (received := exchange(serve.port)).startswith(b"HTTP/1.1 503"):
            assert time.monotonic() < deadline
        refused(received, 503)
        assert b"\r\nretry-after: 2\r\n" in received
        assert httpx.get(f"http://127.0.0.1:{serve.internal}/readyz").status_code == 200


def test_connections_are_no_more_than_the_process_may_open_files(tmp_path: Path) -> None:
    service = Serve(tmp_path, f"sqlite:///{tmp_path}/scim.db", open_files=256)
    try:
        service.wait_ready()
        assert "fewer connections than configured" in service.log.read_text()
        with contextlib.ExitStack() as stack:
            for _ in range(400):
                stack.enter_context(connection(service.port))
            assert httpx.get(f"{service.url}/Users").status_code == 401
            assert httpx.get(f"http://127.0.0.1:{service.internal}/readyz").status_code == 200
    finally:
        service.stop()
    assert "Too many open files" not in service.log.read_text()


# -- bodies


@pytest.fixture(scope="module")
def roomy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    directory = tmp_path_factory.mktemp("roomy")
    # They are all sent, and held, before the first may go: on a busy machine that takes longer than 30 s.
    service = Serve(directory, f"sqlite:///{directory}/scim.db", "--body-seconds", "120")
    try:
        service.wait_ready()
        yield service
    finally:
        service.stop()


def test_bodies_that_are_held_open_have_a_total(roomy: Serve) -> None:
    room = MAX_BUFFERED_BODIES // limits.MAX_BODY
    tokens = [
        roomy.connect(f"demo/entra{number}", "--tenant", f"tenant{number}")["token"] for number in range(5)
    ]
    head = b"POST /scim/v2/Users HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n" % limits.MAX_BODY
    before = resident(roomy)
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(connection(roomy.port)) for _ in range(room + 20)]
        for number, raw in enumerate(held):
            raw.sendall(head + authorized(tokens[number % 5]) + b"\r\n" + b" " * (limits.MAX_BODY - 1))
        answered = select.select(held, [], [], 10)[0]
        deadline = time.monotonic() + 30
        while len(answered) < 20 and time.monotonic() < deadline:
            answered = select.select(held, [], [], 0.1)[0]
        assert len(answered) == 20
        for raw in answered:
            assert raw.recv(65536).startswith(b"HTTP/1.1 503")
        assert resident(roomy) - before < MAX_BUFFERED_BODIES * 1.7
        short = httpx.post(
            f"{roomy.url}/Users", content=person("short"), headers={"authorization": f"Bearer {tokens[0]}"}
        )
        assert short.status_code == 201
        for raw in held:
            if raw not in answered:
                raw.sendall(b" ")
                assert raw.recv(65536).startswith(b"HTTP/1.1 400")


def test_unsigned_bodies_at_the_internal_port_are_not_kept(roomy: Serve) -> None:
    head = (
        b"PUT /admin/v1/connections/team/entra HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n"
        % limits.MAX_BODY
    )
    before = resident(roomy)
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(connection(roomy.internal)) for _ in range(90)]
        for raw in held:
            raw.sendall(head + b"\r\n" + b" " * (limits.MAX_BODY - 1))
        for raw in held:
            assert raw.recv(65536).startswith(b"HTTP/1.1 401")
        assert resident(roomy) - before < 16 * MIB

"""The HTTP side: login and Graph on one port, with the faults that are planted."""

import asyncio
import contextlib
import dataclasses
import functools
import json
import socket
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC
from email.utils import format_datetime
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from entra_standin.graph.api import ROUTER, GraphApi, GraphRequest
from entra_standin.graph.errors import GraphError, SignInError
from entra_standin.graph.faults import Fault, Faults, Injection, refusal
from entra_standin.graph.ids import from_posix, new_guid
from entra_standin.graph.request_log import LoggedRequest, RequestLog
from entra_standin.graph.routing import Answer

LOOPBACK: Final = "127.0.0.1"
_TRANSPORT: Final = "entra_standin.transport"
_START_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.05
_CLOSING_SECONDS: Final = 0.005
_THREADS: Final = 32
_STATUS_FAULTS: Final = frozenset(Fault) - {Fault.HANGING, Fault.CLOSED, Fault.LATENCY, Fault.STALE}

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
SignIn = Callable[[str, str, dict[str, str]], Answer]
"""Answers the login: method, path and form, or query of a GET."""


class _Protocol(HttpToolsProtocol):
    """Leaves the connection where the application can close it."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {_TRANSPORT: {"transport": self.transport}}


class _Uvicorn(uvicorn.Server):
    """Ends at once; uvicorn looks ten times a second whether it is to, and whether its connections are gone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending = asyncio.Event()

    def end(self) -> None:
        """From another thread."""
        self.should_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._ending.set)

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        if not self.should_exit:
            await self._ending.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for listening in (*self.servers, *(sockets or ())):
            listening.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                while self.server_state.connections or self.server_state.tasks:
                    await asyncio.sleep(_CLOSING_SECONDS)
        for task in self.server_state.tasks:
            task.cancel()


@dataclasses.dataclass
class _Exchange:
    """A request while it is answered."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    content: bytes
    template: str = ""


class App:
    """The ASGI application.

    Args:
        api: Graph.
        sign_in: the login.
        faults: what is planted.
        requests: where requests are taken down.
        clock: POSIX time.
    """

    def __init__(
        self,
        api: GraphApi,
        sign_in: SignIn,
        faults: Faults,
        requests: RequestLog,
        clock: Callable[[], float],
    ) -> None:
        self._api, self._sign_in, self._faults, self._requests = api, sign_in, faults, requests
        self._clock = clock
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="graph")
        self.closing = threading.Event()
        self.origin = ""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request, or do to it what a fault wants; hang up when the cloud closes."""
        assert scope["type"] == "http"
        try:
            answer = None if self.closing.is_set() else await self._handle(scope, receive)
        except asyncio.CancelledError:  # The server has waited for long enough.
            answer = None
        if answer is None:
            await _hang_up(scope, receive)
        else:
            await _send(send, answer)

    async def _handle(self, scope: Message, receive: Receive) -> Answer | None:
        """The answer, taken down; None when the connection is to be closed without one."""
        exchange = _Exchange(
            scope["method"],
            unquote(scope["path"]),
            scope["query_string"].decode("latin-1"),
            {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
            await _content(receive),
        )
        met = self._faults.take(exchange.method, exchange.path)
        answer = await self._with_faults(exchange, met, receive)
        names = tuple(one.fault.value for one in met)
        self._requests.add(
            LoggedRequest(
                self._clock(),
                exchange.method,
                exchange.path,
                exchange.template,
                answer.status if answer else 0,
                names,
            )
        )
        return answer

    async def _with_faults(
        self, exchange: _Exchange, met: list[Injection], receive: Receive
    ) -> Answer | None:
        """The answer; None when the connection is to be closed without one."""
        for latency in (one for one in met if one.fault is Fault.LATENCY):
            await self._wait(latency, receive, latency.seconds)
        other = next((one for one in met if one.fault is not Fault.LATENCY), None)
        if other is None or other.fault is Fault.STALE:
            return await self._answer(exchange, other.seconds if other else 0.0)
        if other.after_effect:
            await self._answer(exchange)
        else:
            with contextlib.suppress(GraphError):
                self._route(exchange)
        if other.fault in _STATUS_FAULTS:
            return self._refused(exchange, refusal(other, exchange.path))
        if other.fault is Fault.HANGING:
            await self._wait(other, receive, None)
        return None

    async def _wait(self, planted: Injection, receive: Receive, seconds: float | None) -> None:
        """So many seconds, or until the fault is stopped, the client goes away or the cloud is closed."""
        gone = asyncio.ensure_future(receive())
        ends = None if seconds is None else time.monotonic() + seconds
        while not (self.closing.is_set() or planted.stopped.is_set() or gone.done()):
            left = _POLL_SECONDS if ends is None else min(_POLL_SECONDS, ends - time.monotonic())
            if left <= 0:
                break
            await asyncio.wait([gone], timeout=left)
        gone.cancel()

    async def _answer(self, exchange: _Exchange, stale_seconds: float = 0.0) -> Answer:
        """The right answer."""
        try:
            request = self._route(exchange, stale_seconds)
            if request is None:
                form = dict(parse_qsl(exchange.content.decode("latin-1") or exchange.query))
                perform = functools.partial(self._sign_in, exchange.method, exchange.path, form)
            else:
                perform = functools.partial(self._api.perform, request)
            if request is None or request.operation.waits:
                loop = asyncio.get_running_loop()
                answer = await loop.run_in_executor(self._threads, perform)
            else:
                answer = perform()
        except (GraphError, SignInError) as error:
            return self._refused(exchange, error)
        ids = {"request-id": new_guid(), "client-request-id": exchange.headers.get("client-request-id", "")}
        return dataclasses.replace(answer, headers={**ids, **answer.headers})

    def _route(self, exchange: _Exchange, stale_seconds: float = 0.0) -> GraphRequest | None:
        """The request to Graph, None for one to the login; names the template. Raises ``GraphError``."""
        _, part, *rest = exchange.path.split("/", 3)
        if part == "login":
            exchange.template = f"/login/{{tenant}}/{exchange.path.split('/', 3)[-1]}"
            return None
        version, path = (rest[0], f"/{rest[1]}") if part == "graph" and len(rest) == 2 else ("", "")
        template, operation, names = ROUTER.find(exchange.method, version, path)
        exchange.template = template and f"/{version}{template}"
        if not template:
            raise GraphError(400, "BadRequest", f"Resource not found for the segment '{path}'.")
        if operation is None:
            raise GraphError(
                405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target."
            )
        return GraphRequest(
            operation,
            names,
            dict(parse_qsl(exchange.query)),
            exchange.headers.get("authorization"),
            exchange.content,
            self.origin + exchange.path,
            stale_seconds,
        )

    def _refused(self, exchange: _Exchange, error: GraphError | SignInError) -> Answer:
        now, request_id = from_posix(self._clock()).astimezone(UTC), new_guid()
        if isinstance(error, SignInError):
            body = error.body(now.strftime("%Y-%m-%d %H:%M:%SZ"), request_id, new_guid())
            return Answer(error.status, body, _retry_after(error))
        client_id = exchange.headers.get("client-request-id", request_id)
        body = error.body(now.strftime("%Y-%m-%dT%H:%M:%S"), request_id, client_id)
        headers = {"request-id": request_id, "client-request-id": client_id, **_retry_after(error)}
        return Answer(error.status, body, headers)

    def close(self) -> None:
        """End the threads, when no request can come any more."""
        self._threads.shutdown(wait=False)


class Server:
    """Serves an application on the loopback address, in a thread.

    Args:
        app: the application.
        port: 0 takes a free one.
    """

    def __init__(self, app: App, port: int) -> None:
        self._app, self._port = app, port
        self._thread: threading.Thread | None = None
        self._server: _Uvicorn | None = None

    def start(self) -> str:
        """Begin; the origin. Raises ``OSError`` when the port is in use."""
        listening = socket.create_server((LOOPBACK, self._port), backlog=1024)
        config = uvicorn.Config(
            self._app,
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=60,
            timeout_graceful_shutdown=1,
        )
        server = self._server = _Uvicorn(config)
        self._thread = threading.Thread(
            target=server.run, kwargs={"sockets": [listening]}, name="microsoft-cloud", daemon=True
        )
        self._thread.start()
        ends = time.monotonic() + _START_SECONDS
        while not server.started:
            if time.monotonic() > ends or not self._thread.is_alive():
                raise OSError("the server does not start")
            time.sleep(0.005)
        self._app.origin = f"http://{LOOPBACK}:{listening.getsockname()[1]}"
        return self._app.origin

    def stop(self) -> None:
        """End, with all connections."""
        self._app.closing.set()
        if self._server is not None and self._thread is not None:
            self._server.end()
            self._thread.join()
        self._app.close()


def _retry_after(error: GraphError | SignInError) -> dict[str, str]:
    return {} if error.retry_after is None else {"retry-after": str(error.retry_after)}


async def _content(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b"".join(parts)
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def _send(send: Send, answer: Answer) -> None:
    content = b"" if answer.body is None else json.dumps(answer.body).encode()
    headers = {"date": format_datetime(from_posix(time.time()), usegmt=True), **answer.headers}
    if answer.body is not None:
        headers["content-type"] = "application/json; charset=utf-8"
    if answer.status != 204:
        headers["content-length"] = str(len(content))
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items() if value]
    await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
    await send({"type": "http.response.body", "body": content})


async def _hang_up(scope: Message, receive: Receive) -> None:
    """Close the connection without an answer."""
    scope["extensions"][_TRANSPORT]["transport"].abort()
    while (await receive())["type"] != "http.disconnect":
        pass

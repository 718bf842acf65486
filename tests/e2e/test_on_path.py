"""What somebody on the way between operator and SCIM API reads: both ways are plain HTTP inside a cluster."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator

import pytest

from scim_api.contract import tokens
from support.cut import Relay
from support.stack import Stack, until

NAME = "entra"


class Listener(Relay):
    """Relays, and keeps what clients sent."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self.heard = b""

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                self.heard += data
                target.write(data)
                await target.drain()
        target.close()


@contextlib.contextmanager
def listening(*ports: int) -> Iterator[list[Listener]]:
    """One for each port of loopback, in a thread of their own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    listeners = [Listener("127.0.0.1", port) for port in ports]

    def run(step: str) -> None:
        for listener in listeners:
            arguments = () if step == "__aenter__" else (None, None, None)
            asyncio.run_coroutine_threadsafe(getattr(listener, step)(*arguments), loop).result(10)

    run("__aenter__")
    try:
        yield listeners
    finally:
        run("__aexit__")
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture
def on_path(lonely: Stack) -> Iterator[tuple[Stack, Listener, Listener]]:
    """An operator that reaches the admin API, and the SCIM endpoint, through somebody who listens."""
    admin_port, scim_port = (
        int(url.split(":")[2].split("/")[0]) for url in (lonely.admin_url, lonely.scim_url)
    )
    with listening(admin_port, scim_port) as (admin, scim):
        lonely.start_operator(
            environment={
                "SCIM_OPERATOR_ADMIN_URL": f"http://127.0.0.1:{admin.port}",
                "SCIM_OPERATOR_SCIM_URL": f"http://127.0.0.1:{scim.port}/scim/v2",
            }
        )
        yield lonely, admin, scim
        for operator in lonely.operators:
            if operator.running:
                operator.stop()


def test_admin_calls_hold_digests_alone_and_a_scim_request_holds_its_token(
    on_path: tuple[Stack, Listener, Listener], namespace: str
) -> None:
    stack, admin, scim = on_path
    stack.apply(namespace, NAME)
    first = stack.wait_ready(namespace, NAME)["token"]
    stack.kubectl("annotate", "sct", NAME, "-n", namespace, "scim-operator.io/rotate=now")
    until("rotated", lambda: stack.secret(namespace, f"{NAME}-scim-token")["token"] != first)
    both = (first, stack.secret(namespace, f"{NAME}-scim-token")["token"])
    for token in both:
        assert token.encode() not in admin.heard
        assert tokens.digest(token).hex().encode() in admin.heard
        assert token.encode() in scim.heard  # so encrypt this way: docs/threat-model.md
    assert b"sct_" not in admin.heard

"""How soon a webhook's receiver has a change, and how many it can be sent, for ``bench.changes``.

The dispatcher is the real process; the receiver does nothing but answer, and shares the machine with all others.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Final

import orjson

from bench.contenders import SERVE, Contender, process_of
from bench.workloads import turns_of
from localcluster.ports import free_port
from scim_api.contract.sealing import seal
from scim_api.contract.signing_secret import new_secret
from scim_api.delivery.key_file import read_sealing_key, write_key
from scim_api.store.factory import create_store
from scim_api.store.webhooks import SealedSecret, WebhookSettings

_DELIVER: Final = (*SERVE[:3], "deliver", "--log-level", "warning")
_ANSWER: Final = b"HTTP/1.1 204 No Content\r\n\r\n"
_TOO_MANY: Final = 2_000.0
"""Changes per second that nobody is sent."""
_SEEDS: Final = (1, 2)
"""Other values than those that were written before: a PATCH that changes nothing is no change."""
_QUIET_SECONDS: Final = 60.0
"""After which what has not come is given up."""


class Receiver:
    """Answers 204, and keeps how old each change was when it came."""

    def __init__(self) -> None:
        self.lags: list[float] = []
        self.port = free_port()

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator["Receiver"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        async with server:
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n", 1)[0])
                message = orjson.loads(await reader.readexactly(length))
                self.lags.append(time.time() - datetime.fromisoformat(message["timestamp"]).timestamp())
                writer.write(_ANSWER)
        writer.close()

    async def until(self, count: int) -> None:
        """Wait until so many came."""
        deadline = time.monotonic() + _QUIET_SECONDS
        while len(self.lags) < count:
            if time.monotonic() > deadline:
                raise SystemExit(f"the receiver got {len(self.lags)} of {count} messages")
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def delivering(url: str, namespace: str, tenant: str, directory: Path) -> AsyncIterator[Receiver]:
    """A webhook of a tenant, a dispatcher, and the receiver, which was sent a ping."""
    key, name = directory / "webhook.key", (namespace, "bench")
    write_key(key)
    receiver = Receiver()
    wanted = WebhookSettings(tenant, f"http://127.0.0.1:{receiver.port}/hook")
    sealed = SealedSecret(seal(new_secret(), read_sealing_key(key), "/".join(name)))
    store = create_store(url)
    await store.open()
    try:
        await store.webhooks.create(*name, wanted, sealed)
        await store.webhooks.ping(*name)
    finally:
        await store.close()
    options = ["--database-url", url, "--webhook-key-file", str(key), "--internal-port", str(free_port())]
    allowed = ["--webhook-allowed-networks", "127.0.0.0/8", "--webhook-allow-http"]
    async with receiver.serving():
        with process_of([*_DELIVER, *options, *allowed], directory):
            await receiver.until(1)
            yield receiver


async def latency(contender: Contender, receiver: Receiver, seconds: float, rate: float) -> list[float]:
    """Seconds from each commit to the receiver, in order, while so many changes a second are made."""
    receiver.lags.clear()
    async with contender.client() as client:
        sample = await client.pace(turns_of(contender.asked, "patch", _SEEDS[0]), seconds, rate)
    await receiver.until(round(sample.rate * seconds * 0.99))
    return sorted(receiver.lags)


async def throughput(contender: Contender, receiver: Receiver, seconds: float) -> float:
    """Messages per second, while more changes are made than can be sent."""
    receiver.lags.clear()
    async with contender.client() as client:
        making = asyncio.create_task(
            client.pace(turns_of(contender.asked, "patch", _SEEDS[1]), seconds, _TOO_MANY)
        )
        await receiver.until(1)
        began, first = time.monotonic(), len(receiver.lags)
        await making
        return (len(receiver.lags) - first) / (time.monotonic() - began)

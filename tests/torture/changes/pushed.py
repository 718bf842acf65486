"""Following by a webhook: a receiver that fails at random, and answers 2xx when what it was sent is in the copy."""

import asyncio
import collections
import contextlib
import json
import random
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Final

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from torture.changes.copy import Reading, Told
from torture.changes.follower import News, Snapshot, Source
from torture.changes.rules import EVIDENCE, Fault, Violation

LOOK_SECONDS: Final = 0.25
"""How long one look waits for messages."""
SLOW_SECONDS: Final = 0.2
Fates = Sequence[tuple[str, int]]
"""What comes of a message, each with its weight."""
FATES: Final[Fates] = (
    ("take", 958), ("refuse", 20), ("drop", 8), ("forget", 8), ("slow", 4), ("rest", 1), ("hang", 1),
)  # fmt: skip
"""``drop`` ends the connection before it is taken, ``forget`` afterwards, without an answer."""
_REASONS: Final = {
    204: "No Content",
    401: "Unauthorized",
    429: "Too Many Requests",
    500: "Internal Server Error",
}


class _Message:
    """A message that is not in the copy yet, and who waits for that: it may have been sent twice meanwhile."""

    def __init__(self, told: Told) -> None:
        self.told = told
        self.saved = asyncio.get_running_loop().create_future()


class Pushed:
    """A ``Source`` by a webhook. The cursor is the number of the batch that the copy has.

    Args:
        port: on loopback, where it receives.
        secret: that messages are signed with.
        seed: of what comes of each message.
        reads: reads resources.
        copies: takes the snapshot.
        backlog: changes that are still to be sent. Raises ``Unanswered``.
        fates: what comes of messages.
    """

    def __init__(
        self,
        port: int,
        secret: str,
        seed: int,
        *,
        reads: Source,
        copies: Source,
        backlog: Callable[[], Awaitable[int]],
        fates: Fates = FATES,
    ) -> None:
        self._port, self._webhook, self._dice = port, Webhook(secret), random.Random(seed)
        self._reads, self._copies, self._backlog = reads, copies, backlog
        self._names, self._weights = [name for name, _ in fates], [weight for _, weight in fates]
        self.fates: collections.Counter[str] = collections.Counter()
        """What came of messages; ``again``: it was in the copy already."""
        self.failed: list[Violation] = []
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._waiting: dict[str, _Message] = {}
        self._resources: dict[str, str] = {}
        """By resource, the id of its message that is waiting."""
        self._new: list[str] = []
        self._batch: list[str] = []
        self._number = 0
        self._done: dict[str, Told] = {}
        self._arrived = asyncio.Event()
        self._is_hurried = False

    @property
    def taken(self) -> Collection[Told]:
        """All that it has taken, as the messages said it."""
        return self._done.values()

    # -- as the follower has it -----------------------------------------------------------------------
    async def news(self, cursor: str | None) -> News:
        """What came since; and what the last answer had is in the copy, if the cursor says so."""
        self._settle(is_saved=cursor == str(self._number))
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port, limit=1 << 20)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await self._arrived.wait()
        is_all = self._is_hurried and not self._new and await self._backlog() == 0
        self._batch, self._new = self._new, []
        self._arrived.clear()
        self._number += 1
        return News([self._waiting[one].told for one in self._batch], str(self._number), is_all)

    async def read(self, changes: Sequence[Told]) -> Mapping[str, Reading | None]:
        """As another source reads them."""
        return await self._reads.read(changes) if changes else {}

    async def snapshot(self) -> Snapshot:
        """As another source takes it; nothing was received before."""
        taken = await self._copies.snapshot()
        return Snapshot(str(self._number), taken.resources, taken.memberships)

    def hurry(self) -> None:
        """Look at the backlog, too: from now on there is an end."""
        self._is_hurried = True

    async def close(self) -> None:
        """As when its process is killed: the port closes, and nobody gets an answer."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for task, writer in self._connections.items():
            writer.transport.abort()
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        for one in self._new:
            self._forget(one)
        self._new.clear()
        self._arrived.clear()
        for source in {self._reads, self._copies}:
            await source.close()

    # -- messages -------------------------------------------------------------------------------------
    def _settle(self, *, is_saved: bool) -> None:
        for one in self._batch:
            message = self._forget(one)
            if is_saved:
                self._done[one] = message.told
                if not message.saved.done():
                    message.saved.set_result(None)
        self._batch = []

    def _forget(self, identity: str) -> _Message:
        message = self._waiting.pop(identity)
        self._resources.pop(message.told.resource, None)
        return message

    async def _keep(self, identity: str, told: Told) -> None:
        """Return when it is in the copy."""
        before = self._done.get(identity) or (
            self._waiting[identity].told if identity in self._waiting else None
        )
        if before is not None and before != told:
            self._blame(Fault.INVENTED, f"{identity} was {before}, and is {told}")
        if identity in self._done:
            self.fates["again"] += 1
            return
        if identity not in self._waiting:
            other = self._resources.setdefault(told.resource, identity)
            if other != identity:
                self._blame(Fault.DISORDER, f"{identity} came while {other} was unanswered: {told}")
                self._resources[told.resource] = identity
            self._waiting[identity] = _Message(told)
            self._new.append(identity)
            self._arrived.set()
        await asyncio.shield(self._waiting[identity].saved)

    def _blame(self, fault: Fault, detail: str) -> None:
        if len(self.failed) < EVIDENCE:
            self.failed.append(Violation(fault, detail))

    def fate(self) -> str:
        """What comes of the next message: one of the ``Fates``."""
        [fate] = self._dice.choices(self._names, self._weights)
        return fate

    # -- HTTP -----------------------------------------------------------------------------------------
    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = writer
        try:
            while await self._answer(reader, writer):
                pass
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # who was sending has been killed, or this one is
        finally:
            writer.close()
            del self._connections[task]

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Take one message; whether the connection stays."""
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:] if line)
        }
        body = await reader.readexactly(int(headers["content-length"]))
        fate = self.fate()
        self.fates[fate] += 1
        match fate:
            case "drop":
                return False
            case "hang":
                await asyncio.Event().wait()
            case "slow":
                await asyncio.sleep(self._dice.uniform(0, SLOW_SECONDS))
        status = {"refuse": 500, "rest": 429}.get(fate) or await self._take(headers, body)
        if fate == "forget":
            return False
        more = "retry-after: 1\r\n" if status == 429 else ""
        writer.write(f"HTTP/1.1 {status} {_REASONS[status]}\r\n{more}content-length: 0\r\n\r\n".encode())
        await writer.drain()
        return True

    async def _take(self, headers: Mapping[str, str], body: bytes) -> int:
        try:
            self._webhook.verify(body, dict(headers), json_parse=False)
        except WebhookVerificationError as error:
            self._blame(Fault.FAILED, f"{headers.get('webhook-id')}: {error}")
            return 401
        change: dict[str, Any] = json.loads(body)["data"]
        identity = headers["webhook-id"]
        if identity != change["id"]:
            self._blame(Fault.INVENTED, f"{identity} has the change {change['id']}")
        pk = int(change["id"].partition("-")[0])
        await self._keep(identity, Told(pk, change["type"], change["resourceId"], change.get("member")))
        return 204

"""Creating users in PostgreSQL, several in one transaction when several are asked for at once.

An initial cycle creates people as fast as it is answered. Each create alone pays for a round trip, a
transaction and its share of a commit; those that come while others are being written are written together,
as SQLite's writer does. A create that comes alone is written at once, by a statement of its own.

One transaction is one fate: what the database refuses together is tried again one by one, so that each
request gets its own answer.
"""

import asyncio
import collections
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple

import asyncpg

from scim_api.core.model import Prepared
from scim_api.store.errors import Unavailable
from scim_api.store.postgres.statements import CREATE, CREATE_MANY
from scim_api.store.sql.transaction_script import Row

FLYING: Final = 2
"""Statements under way at a time: while one is committed, the next is gathered."""
MOST: Final = 64
"""Users in one transaction."""


class New(NamedTuple):
    """A user to be written."""

    tenant: int
    identity: str
    prepared: Prepared
    actor: str


class Made(NamedTuple):
    """What the database says of one that was written."""

    created: str
    pk: int


class _Waiting(NamedTuple):
    new: New
    answer: "asyncio.Future[Made]"


class Creates:
    """Gathers creates.

    Args:
        write: runs one statement in a transaction of its own.
    """

    def __init__(self, write: Callable[..., Awaitable[Sequence[Row]]]) -> None:
        self._write = write
        self._waiting: collections.deque[_Waiting] = collections.deque()
        self._flying = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def create(self, new: New) -> Made:
        """Write a user; returns after the durable commit.

        Raises:
            asyncpg.UniqueViolationError: a key is taken.
            Unavailable: as the statement raises it.
        """
        if not self._flying:
            self._flying = 1
            try:
                return await self._alone(new)
            finally:
                self._landed()
        answer: asyncio.Future[Made] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(new, answer))
        if self._flying < FLYING:
            self._fly()
        return await answer

    def _fly(self) -> None:
        """Write those that wait, as many as fit."""
        batch: list[_Waiting] = []
        while self._waiting and len(batch) < MOST:
            waiting = self._waiting.popleft()
            if not waiting.answer.done():
                batch.append(waiting)
        if batch:
            self._flying += 1
            task = asyncio.create_task(self._carry(batch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _landed(self) -> None:
        self._flying -= 1
        if self._waiting:
            self._fly()

    async def _carry(self, batch: Sequence[_Waiting]) -> None:
        left = batch
        try:
            if len(batch) > 1:
                left = await self._together(batch)
            for waiting in left:
                await self._one(waiting)
        finally:
            self._landed()

    async def _together(self, batch: Sequence[_Waiting]) -> Sequence[_Waiting]:
        """Answer those that can be written in one transaction; the others have to be tried alone."""
        try:
            rows = await self._write(CREATE_MANY, *_columns([waiting.new for waiting in batch]))
        except Exception as error:  # noqa: BLE001 (whatever it is, each request gets it)
            if _is_refusal(error):
                return batch
            for waiting in batch:
                _fail(waiting, error)
            return ()
        made = {identity: Made(created, pk) for identity, created, pk in rows}
        left = []
        for waiting in batch:
            mine = made.get(waiting.new.identity)
            if mine is None:
                left.append(waiting)
            elif not waiting.answer.done():
                waiting.answer.set_result(mine)
        return left

    async def _one(self, waiting: _Waiting) -> None:
        try:
            made = await self._alone(waiting.new)
        except Exception as error:  # noqa: BLE001 (it is its request's)
            _fail(waiting, error)
        else:
            if not waiting.answer.done():
                waiting.answer.set_result(made)

    async def _alone(self, new: New) -> Made:
        one = new.prepared
        keys = (one.match_key, one.name_key, one.external_key)
        body = (one.doc, one.keys, list(one.email_keys))
        [row] = await self._write(CREATE, new.tenant, "User", new.identity, *keys, *body, new.actor)
        return Made(*row)


def _columns(batch: Sequence[New]) -> tuple[list[Any], ...]:
    """The parameters of ``CREATE_MANY``; in one order everywhere, so that two transactions that want the same
    names do not wait for each other.
    """
    batch = sorted(batch, key=lambda new: new.prepared.name_key)
    prepared = [new.prepared for new in batch]
    mails = [(new.identity, email) for new in batch for email in new.prepared.email_keys]
    return (
        [new.tenant for new in batch],
        [new.identity for new in batch],
        [one.match_key for one in prepared],
        [one.name_key for one in prepared],
        [one.external_key for one in prepared],
        [one.doc for one in prepared],
        [one.keys for one in prepared],
        [new.actor for new in batch],
        [identity for identity, _ in mails],
        [email for _, email in mails],
    )


def _is_refusal(error: BaseException | None) -> bool:
    """Whether the database said no to what was asked, so that nothing was written for sure."""
    if isinstance(error, Unavailable):
        error = error.__cause__
    return isinstance(error, (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError))


def _fail(waiting: _Waiting, error: Exception) -> None:
    if not waiting.answer.done():
        waiting.answer.set_exception(Unavailable(str(error)) if isinstance(error, Unavailable) else error)

"""Creating users in PostgreSQL: inserts that arrive together are committed together.

An initial cycle creates users as fast as it is answered. Each create alone pays for a round trip, a
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

from scim_api.core.model import ResourceWrite
from scim_api.store.change_log import Actor
from scim_api.store.errors import Unavailable
from scim_api.store.postgres.statements import CREATE, CREATE_MANY
from scim_api.store.sql.transaction_script import Row

MAX_IN_FLIGHT: Final = 2
"""Statements under way at a time: while one is committed, the next is gathered."""
MAX_BATCH_SIZE: Final = 64
"""Users in one transaction."""


class UserInsert(NamedTuple):
    """A user to be written."""

    tenant: int
    resource_id: str
    write: ResourceWrite
    actor: Actor


class InsertedUser(NamedTuple):
    """What the database says of one that was written."""

    created: str
    pk: int


class _Waiting(NamedTuple):
    insert: UserInsert
    result: "asyncio.Future[InsertedUser]"


class InsertBatcher:
    """Gathers creates.

    Args:
        write: runs one statement in a transaction of its own.
    """

    def __init__(self, write: Callable[..., Awaitable[Sequence[Row]]]) -> None:
        self._write = write
        self._waiting: collections.deque[_Waiting] = collections.deque()
        self._in_flight = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def create(self, new: UserInsert) -> InsertedUser:
        """Write a user; returns after the durable commit.

        Raises:
            asyncpg.UniqueViolationError: a key is taken.
            Unavailable: as the statement raises it.
        """
        if not self._in_flight:
            self._in_flight = 1
            try:
                return await self._insert_one(new)
            finally:
                self._finish_batch()
        answer: asyncio.Future[InsertedUser] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(new, answer))
        if self._in_flight < MAX_IN_FLIGHT:
            self._start_batch()
        return await answer

    def _start_batch(self) -> None:
        """Write those that wait, as many as fit."""
        batch: list[_Waiting] = []
        while self._waiting and len(batch) < MAX_BATCH_SIZE:
            waiting = self._waiting.popleft()
            if not waiting.result.done():
                batch.append(waiting)
        if batch:
            self._in_flight += 1
            task = asyncio.create_task(self._write_batch(batch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _finish_batch(self) -> None:
        self._in_flight -= 1
        if self._waiting:
            self._start_batch()

    async def _write_batch(self, batch: Sequence[_Waiting]) -> None:
        remaining = batch
        try:
            if len(batch) > 1:
                remaining = await self._insert_many(batch)
            for waiting in remaining:
                await self._insert_and_answer(waiting)
        finally:
            self._finish_batch()

    async def _insert_many(self, batch: Sequence[_Waiting]) -> Sequence[_Waiting]:
        """Answer those that can be written in one transaction; the others have to be tried alone."""
        try:
            rows = await self._write(CREATE_MANY, *_columns([waiting.insert for waiting in batch]))
        except Exception as error:  # noqa: BLE001 (whatever it is, each request gets it)
            if _is_refusal(error):
                return batch
            for waiting in batch:
                _fail(waiting, error)
            return ()
        inserted = {identity: InsertedUser(created, pk) for identity, created, pk in rows}
        remaining = []
        for waiting in batch:
            row = inserted.get(waiting.insert.resource_id)
            if row is None:
                remaining.append(waiting)
            elif not waiting.result.done():
                waiting.result.set_result(row)
        return remaining

    async def _insert_and_answer(self, waiting: _Waiting) -> None:
        try:
            inserted = await self._insert_one(waiting.insert)
        except Exception as error:  # noqa: BLE001 (it is its request's)
            _fail(waiting, error)
        else:
            if not waiting.result.done():
                waiting.result.set_result(inserted)

    async def _insert_one(self, new: UserInsert) -> InsertedUser:
        write = new.write
        keys = (write.match_key, write.name_key, write.external_key)
        body = (write.doc, write.normal_form, list(write.email_keys))
        [row] = await self._write(
            CREATE,
            new.tenant,
            "User",
            new.resource_id,
            *keys,
            *body,
            new.actor.credential,
            write.unique_email_keys,
            new.actor.scim_token,
        )
        return InsertedUser(*row)


def _columns(batch: Sequence[UserInsert]) -> tuple[list[Any], ...]:
    """The parameters of ``CREATE_MANY``; in one order everywhere, so that two transactions that want the same
    names do not wait for each other.
    """
    batch = sorted(batch, key=lambda new: new.write.name_key)
    writes = [new.write for new in batch]
    mails = [
        (new.resource_id, email, email if email in new.write.unique_email_keys else None)
        for new in batch
        for email in new.write.email_keys
    ]
    return (
        [new.tenant for new in batch],
        [new.resource_id for new in batch],
        [write.match_key for write in writes],
        [write.name_key for write in writes],
        [write.external_key for write in writes],
        [write.doc for write in writes],
        [write.normal_form for write in writes],
        [new.actor.credential for new in batch],
        [identity for identity, _, _ in mails],
        [email for _, email, _ in mails],
        [unique for _, _, unique in mails],
        [new.actor.scim_token for new in batch],
    )


def _is_refusal(error: BaseException | None) -> bool:
    """Whether the database said no to what was asked, so that nothing was written for sure."""
    if isinstance(error, Unavailable):
        error = error.__cause__
    return isinstance(error, (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError))


def _fail(waiting: _Waiting, error: Exception) -> None:
    if not waiting.result.done():
        waiting.result.set_exception(Unavailable(str(error)) if isinstance(error, Unavailable) else error)

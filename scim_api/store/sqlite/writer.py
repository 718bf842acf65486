"""The one writer of an SQLite database: a thread that commits many requests together.

A commit costs one flush to disk, however many requests it holds, and a request is answered only after the commit that
holds it. A request that fails leaves nothing behind: where it had changed something by then, the batch is rolled back and
run again with a savepoint for each request, which would cost two statements more for all of them.
"""

import asyncio
import dataclasses
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import apsw

from scim_api.store.errors import Unavailable
from scim_api.store.sqlite.checkpoint import Checkpointer

BATCH: Final = 64
"""At most so many requests in one commit."""

T = TypeVar("T")
Work = Callable[[apsw.Connection], T]
"""What one request does to the database. It may run twice: what it did before was rolled back then."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Request:
    work: Work[Any]
    answer: asyncio.Future[Any]


@dataclasses.dataclass(frozen=True, slots=True)
class _Outcome:
    request: _Request
    result: Any = None
    error: Exception | None = None

    def deliver(self) -> None:
        if self.request.answer.done():
            return
        if self.error is not None:
            self.request.answer.set_exception(self.error)
        else:
            self.request.answer.set_result(self.result)


class GroupCommitWriter:
    """Group commit for one database.

    Args:
        connect: opens a connection of the writer's own; raises ``Unavailable``.
        explain: turns SQLite's errors into ``Unavailable``.
    """

    def __init__(
        self, connect: Callable[[], apsw.Connection], explain: Callable[[apsw.Error], Unavailable]
    ) -> None:
        self._connect, self._explain = connect, explain
        self._queue: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._connection: apsw.Connection | None = connect()
        self._checkpointer = Checkpointer(connect)
        self._checkpointer.watch(self._connection)
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="sqlite-writer", daemon=True)
        self._thread.start()

    async def write(self, work: Work[T]) -> T:
        """Run ``work`` in a transaction; its result after the durable commit.

        Raises:
            Unavailable: nothing was written.
        """
        if self._closed:
            raise Unavailable("the database is closed")
        answer: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(_Request(work, answer))
        return await answer

    async def close(self) -> None:
        """Finish what was submitted and end the thread; harmless twice."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        stopping = False
        while not stopping:
            batch, stopping = self._next_batch()
            if batch:
                self._deliver(self._commit(batch))
                if self._connection is not None:
                    self._checkpointer.after_commit(self._connection)
        self._checkpointer.close()
        if self._connection is not None:
            self._connection.close()

    def _next_batch(self) -> tuple[list[_Request], bool]:
        batch: list[_Request] = []
        request = self._queue.get()
        while request is not None:
            if not request.answer.cancelled():
                batch.append(request)
            if len(batch) == BATCH:
                return batch, False
            try:
                request = self._queue.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True

    def _commit(self, batch: Sequence[_Request]) -> list[_Outcome]:
        """All in one transaction; if the database refuses, each in its own, so that what fits is written."""
        try:
            return self._attempt(batch)
        except (apsw.Error, Unavailable) as error:
            self._rollback()
            explained = self._explain(error) if isinstance(error, apsw.Error) else error
            if len(batch) == 1 or isinstance(error, (apsw.BusyError, Unavailable)):
                return [_Outcome(request, error=explained) for request in batch]
        return [outcome for request in batch for outcome in self._commit([request])]

    def _attempt(self, batch: Sequence[_Request]) -> list[_Outcome]:
        if self._connection is None:
            self._connection = self._connect()
            self._checkpointer.watch(self._connection)
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        outcomes = self._run_all(connection, batch)
        if outcomes is None:
            connection.execute("ROLLBACK")
            connection.execute("BEGIN IMMEDIATE")
            outcomes = [self._run_in_savepoint(connection, request) for request in batch]
        connection.execute("COMMIT")
        return outcomes

    @staticmethod
    def _run_all(connection: apsw.Connection, batch: Sequence[_Request]) -> list[_Outcome] | None:
        """Run them one after the other; None when one failed that had changed something."""
        outcomes: list[_Outcome] = []
        for request in batch:
            changes = connection.total_changes()
            try:
                outcomes.append(_Outcome(request, request.work(connection)))
            except apsw.Error:
                raise  # the transaction itself may be gone: start anew
            except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to this request alone
                if connection.total_changes() != changes:
                    return None
                outcomes.append(_Outcome(request, error=error))
        return outcomes

    @staticmethod
    def _run_in_savepoint(connection: apsw.Connection, request: _Request) -> _Outcome:
        connection.execute("SAVEPOINT request")
        try:
            outcome = _Outcome(request, request.work(connection))
        except apsw.Error:
            raise  # the transaction itself may be gone: start anew
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to this request alone
            connection.execute("ROLLBACK TO request")
            outcome = _Outcome(request, error=error)
        connection.execute("RELEASE request")
        return outcome

    def _rollback(self) -> None:
        """Leave no transaction open; a connection that cannot even do that is replaced."""
        if self._connection is None:
            return
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except apsw.Error:
            self._connection.close(True)
            self._connection = None

    def _deliver(self, outcomes: list[_Outcome]) -> None:
        try:
            self._loop.call_soon_threadsafe(_deliver_all, outcomes)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more


def _deliver_all(outcomes: list[_Outcome]) -> None:
    for outcome in outcomes:
        outcome.deliver()

"""The log of changes in SQLite: one writer after the other, so numbers are in the order of commits."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from scim_api.store.change_log import ChangePage, FeedPosition, HistoryPage, HistoryQuery, LogMark
from scim_api.store.sql import change_history, change_log
from scim_api.store.sql.timestamps import text_after
from scim_api.store.sql.transaction_script import Row, TransactionScript


class SqliteChangeLog:
    """``ChangeLog`` on an SQLite file.

    Args:
        read: runs one statement in the event loop, which takes microseconds.
        write_script: runs a script as a transaction.
        snapshot: runs a script that reads in another thread.
    """

    def __init__(
        self,
        read: Callable[..., Sequence[Row]],
        write_script: Callable[[Callable[[str], TransactionScript[int]]], Awaitable[int]],
        snapshot: Callable[[Callable[[str], TransactionScript[HistoryPage]]], Awaitable[HistoryPage]],
    ) -> None:
        self._read, self._write_script, self._snapshot = read, write_script, snapshot

    async def page(
        self, tenant: int, after: FeedPosition | None, *, limit: int, types: frozenset[str] = frozenset()
    ) -> ChangePage:
        """At most ``limit`` changes after a position. Raises ``ChangesGone``."""
        sql, parameters = change_log.page_statement("sqlite", tenant, after, limit, types)
        return change_log.read_page("sqlite", self._read(sql, *parameters), tenant, after, limit, types)

    async def head(self, tenant: int) -> FeedPosition:
        """The position after everything that is committed."""
        sql, parameters = change_log.head_statement("sqlite", tenant)
        return change_log.read_head("sqlite", tenant, self._read(sql, *parameters))

    async def history(
        self, tenant: int, query: HistoryQuery, *, before: int | None = None, limit: int
    ) -> HistoryPage:
        """At most ``limit`` changes, from the newest back; it may look at some thousands."""
        return await self._snapshot(
            lambda _now: change_history.history("sqlite", tenant, query, before, limit)
        )

    async def forget(self, keep: timedelta, batch: int = 500) -> int:
        """Delete some changes that are older than ``keep``; how many."""
        return await self._write_script(
            lambda now: change_log.forget("sqlite", text_after(now, -keep.total_seconds()), batch)
        )

    async def changed_tenants(self, since: LogMark | None) -> tuple[LogMark, frozenset[int]]:
        """Tenants with rows that were committed since a mark."""
        if since is None:
            [[pk]] = self._read("SELECT coalesce(max(pk), 0) FROM change")
            return LogMark(pk), frozenset()
        rows = self._read(change_log.SQLITE_CHANGED, since.pk)
        return LogMark(max([since.pk, *(row[0] for row in rows)])), frozenset(row[1] for row in rows)

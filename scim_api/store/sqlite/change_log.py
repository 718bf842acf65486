"""The log of changes in SQLite: one writer after the other, so numbers are in the order of commits."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from scim_api.store.change_log import ChangePage, FeedPosition, LogMark
from scim_api.store.sql import change_log
from scim_api.store.sql.timestamps import text_after
from scim_api.store.sql.transaction_script import Row, TransactionScript


class SqliteChangeLog:
    """``ChangeLog`` on an SQLite file.

    Args:
        read: runs one statement in the event loop, which takes microseconds.
        write_script: runs a script as a transaction.
    """

    def __init__(
        self,
        read: Callable[..., Sequence[Row]],
        write_script: Callable[[Callable[[str], TransactionScript[int]]], Awaitable[int]],
    ) -> None:
        self._read, self._write_script = read, write_script

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

"""The log of changes in PostgreSQL: each page of the feed is one statement, and so one snapshot."""

from datetime import timedelta

from scim_api.store.change_log import ChangePage, FeedPosition, HistoryPage, HistoryQuery, LogMark
from scim_api.store.postgres import pool as postgres_pool
from scim_api.store.postgres.database import Database
from scim_api.store.sql import change_history, change_log
from scim_api.store.sql.timestamps import text_after


class PostgresChangeLog:
    """``ChangeLog`` on a PostgreSQL database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self, tenant: int, after: FeedPosition | None, *, limit: int, types: frozenset[str] = frozenset()
    ) -> ChangePage:
        """At most ``limit`` changes after a position. Raises ``ChangesGone``."""
        sql, parameters = change_log.page_statement("postgresql", tenant, after, limit, types)
        rows = await self._database.read(sql, *parameters)
        return change_log.read_page("postgresql", rows, tenant, after, limit, types)

    async def head(self, tenant: int) -> FeedPosition:
        """The position after everything that is committed."""
        sql, parameters = change_log.head_statement("postgresql", tenant)
        return change_log.read_head("postgresql", tenant, await self._database.read(sql, *parameters))

    async def history(
        self, tenant: int, query: HistoryQuery, *, before: int | None = None, limit: int
    ) -> HistoryPage:
        """At most ``limit`` changes, from the newest back."""
        async with self._database.borrow() as connection:
            return await postgres_pool.run_script(
                connection, change_history.history("postgresql", tenant, query, before, limit)
            )

    async def forget(self, keep: timedelta, batch: int = 500) -> int:
        """Delete some changes that are older than ``keep``; how many."""
        return await self._database.transaction(
            lambda now: change_log.forget("postgresql", text_after(now, -keep.total_seconds()), batch)
        )

    async def changed_tenants(self, since: LogMark | None) -> tuple[LogMark, frozenset[int]]:
        """Tenants with rows that were committed since a mark."""
        if since is None:
            [[snapshot]] = await self._database.read("SELECT pg_current_snapshot()::text")
            return _mark(snapshot), frozenset()
        listed = [str(xid) for xid in since.unfinished]
        [[snapshot, tenants]] = await self._database.read(
            change_log.POSTGRESQL_CHANGED, listed, str(since.start)
        )
        return _mark(snapshot), frozenset(tenants)


def _mark(snapshot: str) -> LogMark:
    unfinished = change_log.read_snapshot(snapshot, 0)
    return LogMark(unfinished=unfinished.listed, start=unfinished.start)

"""The log of changes in PostgreSQL: each page is one statement, and so one snapshot."""

from datetime import timedelta

from scim_api.store.change_log import ChangePage, FeedPosition, LogMark
from scim_api.store.postgres.database import Database
from scim_api.store.sql import change_log
from scim_api.store.sql.timestamps import from_text, to_text


class PostgresChangeLog:
    """``ChangeLog`` on a PostgreSQL database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self, tenant: int, after: FeedPosition | None, *, limit: int, types: frozenset[str] = frozenset()
    ) -> ChangePage:
        """At most ``limit`` changes after a position. Raises ``ChangesGone``."""
        position = FeedPosition(tenant, 0) if after is None else after
        rows = await self._database.read(
            change_log.POSTGRESQL_PAGE, *change_log.page_parameters(tenant, position, limit, types)
        )
        return change_log.to_page(after, tenant, change_log.to_found(rows), limit, types)

    async def head(self, tenant: int) -> FeedPosition:
        """The position after everything that is committed."""
        [[snapshot, age, epoch, pk, mark]] = await self._database.read(change_log.POSTGRESQL_HEAD, tenant)
        unfinished = change_log.read_snapshot(snapshot, age)
        return FeedPosition(
            tenant, change_log.read_epoch(epoch), pk or 0, change_log.checksum(mark), unfinished
        )

    async def forget(self, keep: timedelta, batch: int = 500) -> int:
        """Delete some changes that are older than ``keep``; how many."""
        return await self._database.transaction(
            lambda now: change_log.forget("postgresql", to_text(from_text(now) - keep), batch)
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

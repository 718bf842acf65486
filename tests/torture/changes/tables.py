"""What a database holds, read past the store: the log of changes, and the tables that it is about."""

import contextlib
import sqlite3
import sys
from collections.abc import Sequence
from typing import Any, Final

import asyncpg

from torture.changes.rules import Row, State

_ROWS: Final = """
SELECT pk, type, resource_id, member, version, {committed} FROM change WHERE tenant = {tenant} ORDER BY pk
"""
_COMMITTED: Final = """CASE WHEN current_setting('track_commit_timestamp') = 'on'
    THEN extract(epoch FROM pg_xact_commit_timestamp(xid::xid))::float8 END"""
_USERS: Final = (
    "SELECT id, coalesce({active}, true), version FROM resource WHERE tenant = {tenant} AND kind = 'User'"
)
_GROUPS: Final = "SELECT id, version FROM resource WHERE tenant = {tenant} AND kind = 'Group'"
_MEMBERSHIPS: Final = """
SELECT g.id, r.id FROM membership m JOIN resource g ON g.pk = m.container JOIN resource r ON r.pk = m.member
WHERE m.tenant = {tenant}
"""


class Tables:
    """Of one database.

    Args:
        url: of SQLite or PostgreSQL.
    """

    def __init__(self, url: str) -> None:
        self._url, self._is_file = url, url.startswith("sqlite:")

    async def last_change(self, tenant: int) -> int:
        """The largest number of a tenant's log."""
        [[last]] = await self._fetch(f"SELECT coalesce(max(pk), 0) FROM change WHERE tenant = {tenant}")
        return int(last)

    async def number_of_changes(self, tenant: int) -> int:
        """Rows of a tenant's log."""
        [[number]] = await self._fetch(f"SELECT count(*) FROM change WHERE tenant = {tenant}")
        return int(number)

    async def changes_of_users(self, tenant: int, after: int) -> tuple[int, int]:
        """Rows of a tenant's log after a number that are about users, and the largest number."""
        [[number, last]] = await self._fetch(
            "SELECT count(CASE WHEN type LIKE 'user.%' THEN 1 END), coalesce(max(pk), 0)"
            f" FROM change WHERE tenant = {tenant} AND pk > {after}"
        )
        return int(number), max(int(last), after)

    async def is_purged(self, tenant: int) -> bool:
        """Whether nothing is left of a tenant."""
        return not await self._fetch(f"SELECT 1 FROM tenant WHERE pk = {tenant}")

    async def log(self, tenant: int) -> list[Row]:
        """All committed rows of a tenant; when, where PostgreSQL keeps that (``track_commit_timestamp``)."""
        sql = _ROWS.format(committed="NULL" if self._is_file else _COMMITTED, tenant=tenant)
        intern = sys.intern
        return [
            Row(pk, intern(kind), intern(one), member and intern(member), version, committed)
            for pk, kind, one, member, version, committed in await self._fetch(sql)
        ]

    async def state(self, tenant: int) -> State:
        """What the tables hold of a tenant."""
        active = "json_extract(doc, '$.active')" if self._is_file else "(doc::json ->> 'active')::boolean"
        users = await self._fetch(_USERS.format(active=active, tenant=tenant))
        return State(
            {identity: (bool(active), version) for identity, active, version in users},
            dict(await self._fetch(_GROUPS.format(tenant=tenant))),
            {(group, member) for group, member in await self._fetch(_MEMBERSHIPS.format(tenant=tenant))},
        )

    async def _fetch(self, sql: str) -> Sequence[Any]:
        if self._is_file:
            with contextlib.closing(sqlite3.connect(self._url.removeprefix("sqlite:///"))) as reader:
                return reader.execute(sql).fetchall()
        session = await asyncpg.connect(self._url, timeout=10)
        try:
            return await session.fetch(sql)
        finally:
            session.terminate()

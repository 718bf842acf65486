"""Transactions that are left open while others go on: one that overtakes them must not lose what they write."""

import asyncio
import contextlib
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg

_ELSEWHERE: Final = "elsewhere"
JOIN: Final = """
WITH joined AS (
    UPDATE resource SET version = version + 1 WHERE id = $2 AND kind = 'Group' AND tenant + 0 = $1
    RETURNING pk, id, version
), moved AS (
    INSERT INTO membership (container, member, tenant)
    SELECT joined.pk, r.pk, $1 FROM joined, resource r
    WHERE r.id = ANY ($3::text[]) AND r.kind = 'User' AND r.tenant + 0 = $1
    RETURNING member
)
INSERT INTO change (tenant, at, type, resource_id, version, member, credential)
SELECT $1, to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'group.member_added', joined.id,
    joined.version, r.id, 'left open'
FROM joined, moved JOIN resource r ON r.pk = moved.member
"""
"""tenant, group, users: they join it, as a PATCH would have it."""
_RETITLE: Final = """
WITH changed AS (
    UPDATE resource SET version = version + 1 WHERE id = ANY ($2::text[]) AND kind = 'User' AND tenant + 0 = $1
    RETURNING id, version
)
INSERT INTO change (tenant, at, type, resource_id, version, credential)
SELECT $1, to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'user.updated', id, version, 'left open'
FROM changed
"""
"""tenant, users: each has another version."""


class LateTransactions:
    """Leaves transactions open, each for some time.

    Args:
        url: of the database.
        tenant: whose changes they write.
    """

    def __init__(self, url: str, tenant: int) -> None:
        self._url, self._tenant = url, tenant
        self._over = asyncio.Event()
        self.committed = 0
        """Changes that were committed late."""

    async def prepare(self) -> None:
        """Make the other database."""
        session = await asyncpg.connect(self._url, timeout=10)
        await session.execute(f"CREATE DATABASE {_ELSEWHERE}")
        session.terminate()

    def end(self) -> None:
        """Let those that are open end now, each in its way."""
        self._over.set()

    async def _stay(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._over.wait()

    async def elsewhere(self, seconds: float) -> None:
        """One in another database, which has an id and writes nothing."""
        url = urlunsplit(urlsplit(self._url)._replace(path=f"/{_ELSEWHERE}"))
        with contextlib.suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            session = await asyncpg.connect(url, timeout=10)
            try:
                await session.execute("BEGIN; SELECT pg_current_xact_id()")
                await self._stay(seconds)
            finally:
                session.terminate()

    async def here(
        self, group: str, members: list[str], people: list[str], seconds: float, *, commit: bool
    ) -> bool:
        """Let users join a group, and change people, and commit that, or not, after so many seconds. Nobody else writes to
        this group and to these people.

        Returns:
            False when the server ended before.
        """
        try:
            session = await asyncpg.connect(self._url, timeout=10)
            try:
                await session.execute("BEGIN")
                await session.execute(JOIN, self._tenant, group, members)
                await session.execute(_RETITLE, self._tenant, people)
                await self._stay(seconds)
                await session.execute("COMMIT" if commit else "ROLLBACK")
                self.committed += len(members) + len(people) if commit else 0
            finally:
                session.terminate()
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        return True

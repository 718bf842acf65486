"""Following by SQL on the table of changes, with a position that misses nothing; see ``scim_api.store.sql.change_log``.

It is written anew here, and does without limits: whatever there is comes at once. The position is the largest number,
and the transactions that were unfinished when it was taken: those that the snapshot lists, and all from its ``xmax`` on.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg

from torture.changes.client import Unanswered
from torture.changes.copy import Reading, Told
from torture.changes.follower import News, Snapshot

PAUSE_SECONDS: Final = 0.2
"""Between two looks, when there was nothing."""
_PAGE: Final = """
SELECT pg_current_snapshot()::text, c.* FROM (SELECT 1) AS one LEFT JOIN (
    SELECT pk, type, resource_id, member FROM change WHERE tenant = $1 AND pk > $2
    UNION ALL
    SELECT pk, type, resource_id, member FROM change WHERE xid = ANY ($3::text[]::xid8[]) AND tenant + 0 = $1 AND pk <= $2
    UNION ALL
    SELECT pk, type, resource_id, member FROM change WHERE xid >= $4::text::xid8 AND tenant + 0 = $1 AND pk <= $2
) AS c ON true ORDER BY c.pk
"""
_RESOURCES: Final = """
SELECT id, version, CASE kind WHEN 'User' THEN coalesce((doc::json ->> 'active')::boolean, true) END FROM resource
WHERE id = ANY ($2::text[]) AND kind IN ('User', 'Group') AND tenant + 0 = $1
"""


class Table:
    """A ``Source`` by SQL.

    Args:
        url: of the database.
        tenant: surrogate key.
    """

    def __init__(self, url: str, tenant: int) -> None:
        self._url, self.tenant = url, tenant
        self._session: asyncpg.Connection[Any] | None = None

    @asynccontextmanager
    async def _connected(self) -> "AsyncIterator[asyncpg.Connection[Any]]":
        """The connection. Raises ``Unanswered``."""
        try:
            if self._session is None or self._session.is_closed():
                self._session = await asyncpg.connect(self._url, timeout=5, command_timeout=30)
            yield self._session
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            await self.close()
            raise Unanswered(str(error)) from error
        except BaseException:
            await self.close()
            raise

    async def news(self, cursor: str | None) -> News:
        """All there is after a position."""
        pk, listed, start = json.loads(cursor) if cursor else (0, [], 2**62)
        async with self._connected() as session:
            rows = await session.fetch(_PAGE, self.tenant, pk, listed, str(start))
        _, xmax, unfinished = rows[0][0].split(":")
        told = [Told(*row[1:]) for row in rows if row[1] is not None]
        if not told:
            await asyncio.sleep(PAUSE_SECONDS)
        last = max([pk, *(change.pk for change in told)])
        position = [last, [xid for xid in unfinished.split(",") if xid], int(xmax)]
        return News(told, json.dumps(position), is_all=True)

    async def read(self, changes: Sequence[Told]) -> Mapping[str, Reading | None]:
        """The rows of the resources."""
        ids = {one.resource for one in changes if not one.type.endswith(".deleted")}
        async with self._connected() as session:
            rows = await session.fetch(_RESOURCES, self.tenant, sorted(ids))
        found = {identity: Reading(version, active) for identity, version, active in rows}
        return {identity: found.get(identity) for identity in ids}

    async def snapshot(self) -> Snapshot:
        """Not needed: no position is ever refused."""
        raise NotImplementedError

    def hurry(self) -> None:
        """It never waits for long."""

    async def close(self) -> None:
        """End the connection."""
        session, self._session = self._session, None
        if session is not None:
            session.terminate()

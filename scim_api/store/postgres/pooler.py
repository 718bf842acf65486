"""Connections through PgBouncer (``?pgbouncer=true``), which gives each transaction another session.

So nothing may be left in a session: no settings, no named statements. Deadlines and planner settings are a
transaction's then, so each statement has one, which begins with them: three more round trips for what is one
elsewhere. (Without them two would do: the driver ends the parsing of a statement with Flush, not Sync, and a
pooler leaves the session with the client until a Sync is answered.)
"""

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg


class PooledConnection(asyncpg.Connection):
    """A connection of which every statement is in a transaction."""

    local_settings = ""
    """Statements that follow each ``BEGIN``."""

    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str:
        """Run statements; a transaction's begin sets what a session has otherwise."""
        if query.startswith("BEGIN"):
            query += self.local_settings
        elif args and not self.is_in_transaction():
            async with self.transaction():
                return await super().execute(query, *args, timeout=timeout)
        return await super().execute(query, *args, timeout=timeout)

    async def fetch(self, query: str, *args: Any, **options: Any) -> Any:
        """All rows."""
        if self.is_in_transaction():
            return await super().fetch(query, *args, **options)
        async with self.transaction():
            return await super().fetch(query, *args, **options)

    async def fetchval(self, query: str, *args: Any, **options: Any) -> Any:
        """One value."""
        if self.is_in_transaction():
            return await super().fetchval(query, *args, **options)
        async with self.transaction():
            return await super().fetchval(query, *args, **options)

    async def executemany(self, command: str, args: Any, *, timeout: float | None = None) -> None:
        """A statement for each of several rows of arguments."""
        if self.is_in_transaction():
            await super().executemany(command, args, timeout=timeout)
            return
        async with self.transaction():
            await super().executemany(command, args, timeout=timeout)


def pooled(settings: Mapping[str, str]) -> type[PooledConnection]:
    """Connections with these settings in each transaction."""
    statements: Sequence[str] = [f"SET LOCAL {name} = '{value}';" for name, value in settings.items()]
    return type("PooledConnection", (PooledConnection,), {"local_settings": " ".join(["", *statements])})

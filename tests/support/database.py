"""SQL on either database, past any store."""

from typing import Any

import apsw
import asyncpg


async def run_sql(url: str, sql: str) -> list[tuple[Any, ...]]:
    """All rows of one statement, on a connection of its own."""
    if url.startswith("sqlite"):
        file = apsw.Connection(url.removeprefix("sqlite:///"))
        try:
            file.set_busy_timeout(5_000)
            return list(file.execute(sql))
        finally:
            file.close()
    connection = await asyncpg.connect(url, timeout=10)
    try:
        return [tuple(row) for row in await connection.fetch(sql)]
    finally:
        await connection.close()

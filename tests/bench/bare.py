"""The bare references: what FastAPI and a database can do at most, with no SCIM in between.

One statement per request, durable like ours, and nothing else: no authentication, no tenants, no
validation, no filters, no merging of a PATCH, no counters, no audit. Written as a person would write it.
Run as ``python -m bench.bare sqlite:///file`` or with a PostgreSQL URL; listens on ``--port``.
"""

import argparse
import contextlib
import functools
import re
import sqlite3
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, Protocol

import asyncpg
import orjson
import uvicorn
from fastapi import FastAPI, Request, Response

TABLE: Final = (
    "CREATE TABLE person (id text PRIMARY KEY, user_name text NOT NULL, email text NOT NULL, doc text NOT NULL)",
    "CREATE UNIQUE INDEX person_user_name ON person (user_name)",
    "CREATE UNIQUE INDEX person_email ON person (email)",
)
GET: Final = "SELECT doc FROM person WHERE id = $1"
BY_NAME: Final = "SELECT doc FROM person WHERE user_name = $1"
BY_EMAIL: Final = "SELECT doc FROM person WHERE email = $1"
LIST: Final = "SELECT doc FROM person ORDER BY id LIMIT 100"
CREATE: Final = "INSERT INTO person (id, user_name, email, doc) VALUES ($1, $2, $3, $4)"
CHANGE: Final = "UPDATE person SET doc = $1 WHERE id = $2"
PATH: Final = "/scim/v2/Users"
_PLACEHOLDER: Final = re.compile(r"\$\d")


class Database(Protocol):
    """One statement at a time."""

    async def open(self) -> None:
        """Connect."""

    async def rows(self, sql: str, *parameters: str) -> Sequence[Any]:
        """Read."""

    async def write(self, sql: str, *parameters: str) -> None:
        """Write and commit."""


class Postgres:
    """asyncpg with its pool as it comes."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool: asyncpg.Pool[asyncpg.Record]

    async def open(self) -> None:
        """Connect."""
        self._pool = await asyncpg.create_pool(self._url, min_size=10, max_size=10)

    async def rows(self, sql: str, *parameters: str) -> Sequence[Any]:
        """Read."""
        return await self._pool.fetch(sql, *parameters)

    async def write(self, sql: str, *parameters: str) -> None:
        """Write and commit."""
        await self._pool.execute(sql, *parameters)


class Sqlite:
    """The standard library's module, in the event loop: the fastest that one process can write."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._connection: sqlite3.Connection

    async def open(self) -> None:
        """Connect, durable."""
        self._connection = sqlite3.connect(self._path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")

    async def rows(self, sql: str, *parameters: str) -> Sequence[Any]:
        """Read."""
        return self._connection.execute(marks(sql), parameters).fetchall()

    async def write(self, sql: str, *parameters: str) -> None:
        """Write and commit."""
        self._connection.execute(marks(sql), parameters)


@functools.cache
def marks(sql: str) -> str:
    """The statement with SQLite's placeholders."""
    return _PLACEHOLDER.sub("?", sql)


def _json(body: str | bytes, status: int = 200) -> Response:
    return Response(body, status, media_type="application/scim+json")


def application(database: Database) -> FastAPI:
    """The reference on a database."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await database.open()
        yield

    app = FastAPI(lifespan=lifespan, openapi_url=None)

    @app.get(PATH + "/{identity}")
    async def get(identity: str) -> Response:
        return _json((await database.rows(GET, identity))[0][0])

    @app.get(PATH)
    async def search(filter: str | None = None) -> Response:
        if filter is None:
            rows = await database.rows(LIST)
        else:
            sql = BY_EMAIL if filter.startswith("emails") else BY_NAME
            rows = await database.rows(sql, filter.rsplit(' eq "', 1)[1][:-1].lower())
        found = ",".join([row[0] for row in rows])
        return _json(f'{{"totalResults":{len(rows)},"Resources":[{found}]}}')

    @app.post(PATH)
    async def create(request: Request) -> Response:
        body = await request.body()
        doc, identity = orjson.loads(body), str(uuid.uuid4())
        name, email = doc["userName"].lower(), doc["emails"][0]["value"].lower()
        text = f'{{"id":"{identity}",{body.decode()[1:]}'
        await database.write(CREATE, identity, name, email, text)
        return _json(text, 201)

    @app.patch(PATH + "/{identity}")
    async def change(identity: str, request: Request) -> Response:
        body = (await request.body()).decode()
        text = f'{{"id":"{identity}",{body[1:]}'
        await database.write(CHANGE, text, identity)
        return _json(text)

    return app


def database_of(url: str) -> Database:
    """The database of a URL."""
    return Sqlite(url.removeprefix("sqlite:///")) if url.startswith("sqlite:") else Postgres(url)


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    app = application(database_of(arguments.url))
    uvicorn.run(app, host="127.0.0.1", port=arguments.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()

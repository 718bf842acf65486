"""Tenants, and roles of PostgreSQL that read them."""

import contextlib
import dataclasses
import secrets
from collections.abc import AsyncIterator
from typing import Any

import asyncpg

from scim_api.store.factory import create_store
from scim_api.store.postgres import readers
from scim_api.store.protocol import Store
from support.stored import tenant_of


@dataclasses.dataclass
class Sharing:
    """A database with two tenants, ``apps/a`` and ``apps/b``, and a reader of each."""

    store: Store
    a: int
    b: int
    reader_of_a: str
    reader_of_b: str

    async def login(self, role: str) -> "asyncpg.Connection[Any]":
        """A session of a role."""
        return await asyncpg.connect(self.store.url, user=role, timeout=10)

    async def ask(self, role: str, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """What a role is answered, on a session of its own."""
        session = await self.login(role)
        try:
            return [tuple(row) for row in await session.fetch(sql, *parameters)]
        finally:
            await session.close()


@contextlib.asynccontextmanager
async def sharing(url: str) -> AsyncIterator[Sharing]:
    """The roles are gone at the end: they are the server's, not the database's."""
    store = create_store(url)
    await store.open()
    suffix = secrets.token_hex(4)
    roles = [f"reader_{name}_{suffix}" for name in ("a", "b")]
    try:
        a, b = [await tenant_of(store, name) for name in ("a", "b")]
        for name, role in zip(("a", "b"), roles, strict=True):
            await readers.create(url, "apps", name, role, with_password=False)
        yield Sharing(store, a, b, *roles)
    finally:
        await store.close()
        await drop_roles(url, *roles)


async def drop_roles(url: str, *roles: str) -> None:
    """Remove roles, whether they exist or not, with their rights in this database."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        for role in roles:
            if await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role):
                await connection.execute(f"DROP OWNED BY {readers.quoted(role)}")
                await connection.execute(f"DROP ROLE {readers.quoted(role)}")
    finally:
        await connection.close()

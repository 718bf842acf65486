"""A process of the release before keys were simple case foldings: its keys, and its statements word for word."""

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Sequence
from typing import Any, Final
from unicodedata import normalize
from unittest.mock import patch
from uuid import uuid4

import apsw
import asyncpg

from scim_api.contract.admin import TenantSettings
from scim_api.core.model import ResourceWrite
from scim_api.core.resources.groups import create_group
from scim_api.core.resources.users import create_user
from scim_api.core.schema.tenant_schema import compile_tenant_schema
from scim_api.core.types import ResourceKind
from scim_api.core.values.normal_form import KEY_FORM_NAME
from scim_api.store.migrate import migrate
from scim_api.store.sql.schema import MIGRATIONS
from scim_api.store.sql.transaction_script import number_placeholders

MOMENT: Final = "2026-01-01T00:00:00.000000Z"
_INSERT: Final = """
INSERT INTO resource (tenant, kind, id, match_key, name_key, external_key, version, created, modified, doc, keys)
VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?) RETURNING pk
"""
_UPDATE: Final = """
UPDATE resource SET match_key = ?, name_key = ?, external_key = ?, version = version + 1, modified = ?,
    doc = ?, keys = ?
WHERE id = ? RETURNING pk
"""
_INSERT_EMAIL: Final = "INSERT INTO resource_email (resource, email_key, tenant, kind) VALUES (?, ?, ?, ?)"
_DELETE_EMAILS: Final = "DELETE FROM resource_email WHERE resource = ?"
_COUNT: Final = """
INSERT INTO resource_count (tenant, kind, shard, number) VALUES (?, ?, ?, ?)
ON CONFLICT (tenant, kind, shard) DO UPDATE SET number = resource_count.number + excluded.number
"""


def earlier_key(value: str, *, case_exact: bool) -> str:
    """The comparison key as it was: a capital sigma at a word's end became another letter than inside it."""
    composed = normalize("NFC", value)
    return composed if case_exact else normalize("NFC", composed.lower())


@contextlib.contextmanager
def _earlier_keys() -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for module in ("values.normal_form", "resources.body", "resources.users"):
            stack.enter_context(patch(f"scim_api.core.{module}.comparison_key", earlier_key))
        yield


def write_of(kind: ResourceKind, body: dict[str, Any], settings: TenantSettings) -> ResourceWrite:
    """What it stored of a body."""
    schema = compile_tenant_schema(settings, f"earlier-{settings}")
    with _earlier_keys():
        write = (create_user if kind == "User" else create_group)(schema, body)
    form = json.loads(write.normal_form)
    del form[KEY_FORM_NAME]
    return dataclasses.replace(write, normal_form=json.dumps(form))


async def migrate_as_then(url: str) -> None:
    """Bring an empty database to the schema that it had."""
    with patch("scim_api.store.migrate.MIGRATIONS", MIGRATIONS[:1]):
        await migrate(url)


class EarlierRelease:
    """A process of it.

    Args:
        url: of the database; its schema may be of this release.
        settings: of the tenant.
    """

    def __init__(self, url: str, tenant: int, settings: TenantSettings | None = None) -> None:
        self._url, self._tenant, self._settings = url, tenant, settings or TenantSettings()

    async def create(self, kind: ResourceKind, *bodies: dict[str, Any]) -> list[str]:
        """Insert resources in one transaction; their ids."""
        ids = [str(uuid4()) for _ in bodies]
        writes = [write_of(kind, body, self._settings) for body in bodies]
        async with _session(self._url) as run:
            for identity, write in zip(ids, writes, strict=True):
                keys = (write.match_key, write.name_key, write.external_key)
                [[pk]] = await run(
                    _INSERT,
                    (self._tenant, kind, identity, *keys, MOMENT, MOMENT, write.doc, write.normal_form),
                )
                for email in write.email_keys:
                    await run(_INSERT_EMAIL, (pk, email, self._tenant, kind))
            await run(_COUNT, (self._tenant, kind, 0, len(ids)))
        return ids

    async def replace(self, kind: ResourceKind, identity: str, body: dict[str, Any]) -> None:
        """Change a resource."""
        write = write_of(kind, body, self._settings)
        keys = (write.match_key, write.name_key, write.external_key)
        async with _session(self._url) as run:
            [[pk]] = await run(_UPDATE, (*keys, MOMENT, write.doc, write.normal_form, identity))
            await run(_DELETE_EMAILS, (pk,))
            for email in write.email_keys:
                await run(_INSERT_EMAIL, (pk, email, self._tenant, kind))


@contextlib.asynccontextmanager
async def _session(url: str) -> Any:
    """A function that runs statements in one transaction."""
    if url.startswith("sqlite"):
        file = apsw.Connection(url.removeprefix("sqlite:///"))
        file.set_busy_timeout(5_000)
        file.execute("PRAGMA foreign_keys = ON")

        async def run_sqlite(sql: str, parameters: Sequence[Any]) -> list[Any]:
            return list(file.execute(sql, tuple(parameters)))

        try:
            with file:
                yield run_sqlite
        finally:
            file.close()
        return
    connection = await asyncpg.connect(url, timeout=10)

    async def run_postgresql(sql: str, parameters: Sequence[Any]) -> list[Any]:
        return list(await connection.fetch(number_placeholders(sql), *parameters))

    try:
        async with connection.transaction():
            yield run_postgresql
    finally:
        await connection.close()

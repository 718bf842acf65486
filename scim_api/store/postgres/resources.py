"""Writing resources in PostgreSQL: one statement and one round trip where that is possible.

A user is changed optimistically: the statement names the version that the change was computed from. A group is
changed under its row's lock, since many clients change the same one at once.
"""

import random
from typing import Any, Final

import asyncpg

from scim_api.core.errors import ScimError
from scim_api.core.model import Resource, ResourceWrite
from scim_api.core.types import ResourceKind
from scim_api.store.change_log import Actor
from scim_api.store.errors import Conflict, Unavailable, VersionMismatch
from scim_api.store.postgres import pool as postgres_pool
from scim_api.store.postgres import statements
from scim_api.store.postgres.database import Database
from scim_api.store.postgres.insert_batcher import InsertBatcher, UserInsert
from scim_api.store.postgres.resource_cache import ResourceCache
from scim_api.store.protocol import KeyRebuild, Transform
from scim_api.store.sql import groups
from scim_api.store.sql.change_log import type_of
from scim_api.store.sql.key_rebuild import rebuild_keys
from scim_api.store.sql.resource_ids import new_resource_id
from scim_api.store.sql.rows import check_version, conflict_attribute
from scim_api.store.sql.statements import GET, name_taken
from scim_api.store.sql.transaction_script import TransactionScript, number_placeholders

OPTIMISTIC_ATTEMPTS: Final = 5
"""After so many lost races a writer queues for the row's lock instead."""


class ResourceWriter:
    """Creates, changes and deletes users and groups; each method is a transaction.

    Args:
        database: the connections.
        cache: of users that were read or written last.
    """

    def __init__(self, database: Database, cache: ResourceCache) -> None:
        self._database, self._resource_cache = database, cache
        self._insert_batcher = InsertBatcher(database.write)

    async def create(
        self, tenant: int, kind: ResourceKind, write: ResourceWrite, *, actor: Actor
    ) -> Resource:
        """Insert, with its row in the log; returns after the durable commit. Raises ``Conflict``."""
        if kind == "Group":
            return await self._create_group(tenant, kind, write, actor)
        identity = new_resource_id()
        try:
            inserted = await self._insert_batcher.create(UserInsert(tenant, identity, write, actor))
        except asyncpg.UniqueViolationError as error:
            raise await self._conflict(error, tenant, kind, write, identity) from error
        created = Resource(identity, 1, inserted.created, inserted.created, write.doc, inserted.pk, kind)
        self._resource_cache.put(tenant, created)
        return created

    async def modify(
        self,
        tenant: int,
        kind: ResourceKind,
        resource_id: str,
        transform: Transform,
        *,
        actor: Actor,
        expected_version: int | None = None,
    ) -> Resource | None:
        """Read, transform and write one resource atomically; None when there is none."""
        if kind == "Group":
            return await self._modify_group(tenant, kind, resource_id, transform, actor, expected_version)
        cached = self._resource_cache.pop(tenant, resource_id)
        if cached is not None and expected_version in {None, cached.version}:
            try:
                write = transform(cached)
            except ScimError:
                write = None  # of what is there now it may well be possible
            if write is not None:
                changed = await self._update_user(tenant, kind, cached, write, actor)
                if changed is not None:
                    return changed
        for _ in range(OPTIMISTIC_ATTEMPTS):
            rows = await self._database.read(GET, tenant, kind, resource_id)
            if not rows:
                return None
            resource = Resource(*rows[0])
            check_version(resource.version, expected_version)
            write = transform(resource)
            if write is None:
                return resource
            changed = await self._update_user(tenant, kind, resource, write, actor)
            if changed is not None:
                return changed
        return await self._modify_locked(tenant, kind, resource_id, transform, actor, expected_version)

    async def _update_user(
        self, tenant: int, kind: ResourceKind, resource: Resource, write: ResourceWrite, actor: Actor
    ) -> Resource | None:
        """Write a change of a user; None when it is no longer as it was. Raises ``Conflict``."""
        if write.same_body and await self._database.read(
            statements.IS_STORED, *_stored_parameters(tenant, kind, resource, write)
        ):
            self._resource_cache.put(tenant, resource)
            return resource
        try:
            rows = await self._database.write(
                statements.UPDATE, *_update_parameters(tenant, kind, resource, write, actor)
            )
        except asyncpg.UniqueViolationError as error:
            raise await self._conflict(error, tenant, kind, write, resource.id) from error
        if not rows:
            return None
        changed = _updated(resource, write, rows[0][0])
        self._resource_cache.put(tenant, changed)
        return changed

    async def delete(
        self,
        tenant: int,
        kind: ResourceKind,
        resource_id: str,
        *,
        actor: Actor,
        expected_version: int | None = None,
    ) -> bool:
        """Delete one resource and its memberships; False when there is none."""
        who = (tenant, kind, resource_id)

        async def attempt() -> tuple[bool, int | None]:
            async with self._database.borrow() as connection, connection.transaction():
                if not await connection.fetch(statements.LOCK_FOR_DELETION, *who):
                    return False, None
                [row] = await connection.fetch(statements.DELETE, *who, expected_version, *actor)
                return row[0], row[1]

        deleted, version = await postgres_pool.with_retries(attempt)
        if not deleted and version is not None and expected_version is not None:
            raise VersionMismatch(f"the resource is at version {version}, not {expected_version}")
        return deleted

    async def rebuild_keys(self, batch: int) -> KeyRebuild:
        """Give resources with keys of an earlier release those of this one; see ``Store``."""
        for _ in range(OPTIMISTIC_ATTEMPTS):
            try:
                return await self._database.transaction(lambda _now: rebuild_keys("postgresql", batch))
            except asyncpg.UniqueViolationError:
                continue  # somebody took a key after it was looked for: now it is seen
        raise Unavailable("PostgreSQL: others took the same keys too often")

    async def _modify_locked(
        self,
        tenant: int,
        kind: ResourceKind,
        resource_id: str,
        transform: Transform,
        actor: Actor,
        expected_version: int | None,
    ) -> Resource | None:
        """Modify under the row's lock: slower, and sure to come to its turn."""
        write: ResourceWrite | None = None

        async def attempt() -> Resource | None:
            nonlocal write
            async with self._database.borrow() as connection, connection.transaction():
                rows = await connection.fetch(
                    number_placeholders(GET) + " FOR UPDATE", tenant, kind, resource_id
                )
                if not rows:
                    return None
                resource = Resource(*rows[0])
                check_version(resource.version, expected_version)
                write = transform(resource)
                if write is None:
                    return resource
                stored = _stored_parameters(tenant, kind, resource, write)
                if write.same_body and await connection.fetch(statements.IS_STORED, *stored):
                    return resource
                update = _update_parameters(tenant, kind, resource, write, actor)
                now = await connection.fetchval(statements.UPDATE, *update)
            return _updated(resource, write, now)

        try:
            return await postgres_pool.with_retries(attempt)
        except asyncpg.UniqueViolationError as error:
            if write is None:
                raise
            raise await self._conflict(error, tenant, kind, write, resource_id) from error

    async def _create_group(
        self, tenant: int, kind: ResourceKind, write: ResourceWrite, actor: Actor
    ) -> Resource:
        try:
            return await self._database.transaction(
                lambda now: groups.create(
                    "postgresql", tenant, kind, write, actor=actor, now=now, shard=_shard()
                )
            )
        except asyncpg.UniqueViolationError as error:
            raise await self._conflict(error, tenant, kind, write, "") from error

    async def _modify_group(
        self,
        tenant: int,
        kind: ResourceKind,
        resource_id: str,
        transform: Transform,
        actor: Actor,
        expected_version: int | None,
    ) -> Resource | None:
        """Groups are changed under their row's lock: many clients change the same one at once."""
        write: ResourceWrite | None = None

        def recording(resource: Resource) -> ResourceWrite | None:
            nonlocal write
            write = transform(resource)
            return write

        def script(now: str) -> TransactionScript[Resource | None]:
            return groups.modify(
                "postgresql", tenant, kind, resource_id, recording,
                actor=actor, expected_version=expected_version, now=now,
            )  # fmt: skip

        try:
            return await self._database.transaction(script)
        except asyncpg.UniqueViolationError as error:
            if write is None:
                raise
            raise await self._conflict(error, tenant, kind, write, resource_id) from error

    async def _conflict(
        self,
        error: asyncpg.UniqueViolationError,
        tenant: int,
        kind: ResourceKind,
        write: ResourceWrite,
        resource_id: str,
    ) -> Exception:
        """Which of the keys is taken."""
        statement = name_taken(tenant, kind, write.name_key, resource_id)
        rows = await self._database.read(statement.sql, *statement.parameters)
        if not rows:
            return Unavailable("the tenant was deleted")
        [(settings, name_is_taken)] = rows
        by_name = name_is_taken or error.constraint_name == "resource_name"
        return Conflict(conflict_attribute(kind, settings, name_is_taken=by_name))


def _shard() -> int:
    return random.randrange(statements.COUNTER_SHARDS)  # noqa: S311 - spreads load, guards nothing


def _stored_parameters(
    tenant: int, kind: ResourceKind, resource: Resource, write: ResourceWrite
) -> tuple[Any, ...]:
    """The parameters of ``statements.IS_STORED``."""
    return (tenant, kind, resource.id, resource.version, resource.modified, write.normal_form)


def _update_parameters(
    tenant: int, kind: ResourceKind, resource: Resource, write: ResourceWrite, actor: Actor
) -> tuple[Any, ...]:
    """The parameters of ``statements.UPDATE``."""
    keys = (write.match_key, write.name_key, write.external_key)
    body = (write.doc, write.normal_form, list(write.email_keys))
    versions = (actor.credential, resource.modified, write.unique_email_keys)
    types = [type_of(kind, change.what) for change in write.changes] or [type_of(kind, "updated")]
    paths: list[str | None] = [change.paths for change in write.changes] or [None]
    changes = (actor.scim_token, types, paths)
    return (tenant, kind, resource.id, resource.version, *keys, *body, *versions, *changes)


def _updated(resource: Resource, write: ResourceWrite, now: str) -> Resource:
    return Resource(
        resource.id, resource.version + 1, resource.created, now, write.doc, resource.pk, resource.kind
    )

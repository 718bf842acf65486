"""The store for several replicas: PostgreSQL through asyncpg, one round trip for almost everything."""

import contextlib
import random
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, TypeVar

import asyncpg

from scim_api.contract.admin import Connection, ConnectionPage, PutConnection
from scim_api.core.errors import ScimError
from scim_api.core.model import GroupReference, Lookup, Member, Resource, ResourceWrite
from scim_api.core.predicate import Predicate
from scim_api.core.types import ResourceKind
from scim_api.store.errors import Conflict, TooSlow, Unavailable, VersionMismatch
from scim_api.store.postgres import pool as postgres_pool
from scim_api.store.postgres import statements
from scim_api.store.postgres.insert_batcher import InsertBatcher, UserInsert
from scim_api.store.postgres.resource_cache import ResourceCache
from scim_api.store.protocol import (
    Access,
    AuthGeneration,
    CredentialUse,
    ListQuery,
    Page,
    SerializedPage,
    Transform,
)
from scim_api.store.sql import administration, groups
from scim_api.store.sql.resource_ids import new_resource_id
from scim_api.store.sql.rows import (
    check_version,
    conflict_attribute,
    to_access,
    to_groups_by_member,
    to_members,
    to_page,
    to_serialized_page,
)
from scim_api.store.sql.search_locks import TenantSearchLocks
from scim_api.store.sql.statements import (
    ACCESS,
    GET,
    MEMBERS,
    RECORD_USE,
    groups_of,
    list_page,
    lookup,
    name_taken,
    rendered_users,
    search_page,
)
from scim_api.store.sql.timestamps import to_text
from scim_api.store.sql.transaction_script import Row, TransactionScript, number_placeholders

SEARCH_SECONDS: Final = 1.0
"""Deadline of an unindexed search."""
SEARCH_CONNECTIONS: Final = 2
"""Searches have connections of their own: they cannot take those of point reads."""
OPTIMISTIC_ATTEMPTS: Final = 5
"""After so many lost races a writer queues for the row's lock instead."""

T = TypeVar("T")


class PostgresStore:
    """``Store`` on a PostgreSQL database.

    Args:
        url: ``postgresql://user@host/database``; it may hold a password, and is never shown.
        pool_size: connections at most, besides those for searches.
        search_seconds: deadline of an unindexed search.
    """

    dialect: Literal["postgresql"] = "postgresql"

    def __init__(self, url: str, *, pool_size: int = 10, search_seconds: float = SEARCH_SECONDS) -> None:
        self.url = url
        self._pool_size, self._search_seconds = pool_size, search_seconds
        self._pool: postgres_pool.Pool | None = None
        self._search_pool: postgres_pool.Pool | None = None
        self._search_locks = TenantSearchLocks()
        self._resource_cache = ResourceCache()
        self._insert_batcher = InsertBatcher(self._write)

    async def open(self) -> None:
        """Connect; does not migrate. Raises ``Unavailable``."""
        if self._pool is not None:
            return
        pool = await postgres_pool.open_pool(
            self.url,
            size=self._pool_size,
            statement_seconds=postgres_pool.COMMAND_SECONDS,
            planner=postgres_pool.INDEX_ONLY_PLANNER,
        )
        try:
            self._search_pool = await postgres_pool.open_pool(
                self.url, size=SEARCH_CONNECTIONS, statement_seconds=self._search_seconds, cache=0
            )
        except BaseException:
            await pool.close()
            raise
        self._pool = pool

    async def close(self) -> None:
        """Finish what was begun and disconnect; harmless twice."""
        pools = (self._pool, self._search_pool)
        self._pool = self._search_pool = None
        for pool in pools:
            if pool is not None:
                await pool.close()

    async def schema_version(self) -> int:
        """The number of the last migration applied; 0 for an empty database."""
        [[journal]] = await self._read("SELECT to_regclass('schema_migration')::text")
        if journal is None:
            return 0
        [[version]] = await self._read("SELECT coalesce(max(version), 0) FROM schema_migration")
        return int(version)

    async def claim(self, installation: str) -> str:
        """Write the installation id if the database has none; the id it has now."""
        return await self._write_script(lambda _now: administration.claim(installation))

    async def public_url(self, url: str | None = None) -> str | None:
        """Remember (when given) and return the SCIM base URL."""
        return await self._write_script(lambda _now: administration.public_url(url))

    # -- credentials ------------------------------------------------------------------------------
    async def generation(self) -> AuthGeneration:
        """Read the auth generation and the database's clock, together."""
        [[number, now]] = await self._read(statements.GENERATION)
        return AuthGeneration(number, now)

    def generation_now(self) -> None:
        """None: another replica's commit cannot be seen without asking."""
        return

    async def access(self, digest: bytes) -> Access | None:
        """The credential with this digest, if it is not revoked; the caller checks ``ends_at``."""
        rows = await self._read(ACCESS, digest)
        return to_access(rows[0]) if rows else None

    async def record_use(self, uses: Sequence[CredentialUse]) -> None:
        """Write last uses; never moves one back."""
        values = sorted((use.credential, to_text(use.at), use.user_agent) for use in uses)
        if not values:
            return
        # In one order everywhere, so that two replicas cannot wait for each other.
        sql = number_placeholders(RECORD_USE)
        rows = [(at, agent, credential, at) for credential, at, agent in values]

        async def attempt() -> None:
            async with self._borrow() as connection:
                await connection.executemany(sql, rows)

        await postgres_pool.with_retries(attempt)

    # -- resources --------------------------------------------------------------------------------
    async def get(self, tenant: int, kind: ResourceKind, resource_id: str) -> Resource | None:
        """One resource of this tenant."""
        rows = await self._read(GET, tenant, kind, resource_id)
        if not rows:
            return None
        resource = Resource(*rows[0])
        if kind == "User":
            self._resource_cache.put(tenant, resource)
        return resource

    async def lookup(
        self, tenant: int, kind: ResourceKind, by: Lookup, key: str, rest: Predicate | None = None
    ) -> Sequence[Resource]:
        """Those whose indexed key equals ``key`` and that meet ``rest``, ordered by creation."""
        statement = lookup("postgresql", tenant, kind, by, key, rest)
        resources = [Resource(*row) for row in await self._read(statement.sql, *statement.parameters)]
        if len(resources) == 1 and kind == "User":
            self._resource_cache.put(tenant, resources[0])
        return resources

    async def rendered_users(
        self, tenant: int, base_url: str, *, offset: int, limit: int
    ) -> SerializedPage | None:
        """A slice of all users, each as its JSON text in UTF-8; None for an empty page."""
        statement = rendered_users("postgresql", tenant, base_url, offset, limit)
        return to_serialized_page(await self._read(statement.sql, *statement.parameters))

    async def members(self, tenant: int, container: int, *, after: int, limit: int) -> Sequence[Member]:
        """Direct members of a group, ordered by ``pk``, from ``after`` on."""
        return to_members(await self._read(MEMBERS, container, tenant, after, limit))

    async def groups_of(self, tenant: int, members: Sequence[int]) -> Mapping[int, Sequence[GroupReference]]:
        """The groups that each of these resources directly belongs to."""
        statement = groups_of(tenant, members)
        return to_groups_by_member(await self._read(statement.sql, *statement.parameters) if members else [])

    async def search(self, tenant: int, kind: ResourceKind | None, query: ListQuery) -> Page:
        """A slice of all resources of a kind, or of both. Raises ``TooSlow``."""
        if kind is not None and query.filter is None and query.sort is None:
            statement = list_page(tenant, kind, query)
            return to_page(await self._read(statement.sql, *statement.parameters))
        statement = search_page("postgresql", tenant, kind, query)
        async with self._search_locks.hold(tenant), _open(self._search_pool).connection() as connection:
            try:
                return to_page(await postgres_pool.fetch(connection, statement.sql, *statement.parameters))
            except asyncpg.QueryCanceledError as error:
                raise TooSlow(f"the search took longer than {self._search_seconds} s") from error

    async def create(
        self, tenant: int, kind: ResourceKind, prepared: ResourceWrite, *, actor: str
    ) -> Resource:
        """Insert, with an audit row; returns after the durable commit. Raises ``Conflict``."""
        if kind == "Group":
            return await self._create_group(tenant, kind, prepared, actor)
        identity = new_resource_id()
        try:
            inserted = await self._insert_batcher.create(UserInsert(tenant, identity, prepared, actor))
        except asyncpg.UniqueViolationError as error:
            raise await self._conflict(error, tenant, kind, prepared, identity) from error
        created = Resource(identity, 1, inserted.created, inserted.created, prepared.doc, inserted.pk, kind)
        self._resource_cache.put(tenant, created)
        return created

    async def modify(
        self,
        tenant: int,
        kind: ResourceKind,
        resource_id: str,
        transform: Transform,
        *,
        actor: str,
        expected_version: int | None = None,
    ) -> Resource | None:
        """Read, transform and write one resource atomically; None when there is none."""
        if kind == "Group":
            return await self._modify_group(tenant, kind, resource_id, transform, actor, expected_version)
        remembered = self._resource_cache.pop(tenant, resource_id)
        if remembered is not None and expected_version in {None, remembered.version}:
            try:
                prepared = transform(remembered)
            except ScimError:
                prepared = None  # of what is there now it may well be possible
            if prepared is not None:
                changed = await self._update_user(tenant, kind, remembered, prepared, actor)
                if changed is not None:
                    return changed
        for _ in range(OPTIMISTIC_ATTEMPTS):
            rows = await self._read(GET, tenant, kind, resource_id)
            if not rows:
                return None
            resource = Resource(*rows[0])
            check_version(resource.version, expected_version)
            prepared = transform(resource)
            if prepared is None:
                return resource
            changed = await self._update_user(tenant, kind, resource, prepared, actor)
            if changed is not None:
                return changed
        return await self._modify_locked(tenant, kind, resource_id, transform, actor, expected_version)

    async def _update_user(
        self, tenant: int, kind: ResourceKind, resource: Resource, prepared: ResourceWrite, actor: str
    ) -> Resource | None:
        """Write a change of a user; None when it is no longer as it was. Raises ``Conflict``."""
        try:
            rows = await self._write(
                statements.UPDATE, *_update_parameters(tenant, kind, resource, prepared, actor)
            )
        except asyncpg.UniqueViolationError as error:
            raise await self._conflict(error, tenant, kind, prepared, resource.id) from error
        if not rows:
            return None
        changed = _updated(resource, prepared, rows[0][0])
        self._resource_cache.put(tenant, changed)
        return changed

    async def delete(
        self,
        tenant: int,
        kind: ResourceKind,
        resource_id: str,
        *,
        actor: str,
        expected_version: int | None = None,
    ) -> bool:
        """Delete one resource and its memberships; False when there is none."""
        [[deleted, version]] = await self._write(
            statements.DELETE, tenant, kind, resource_id, expected_version, actor
        )
        if not deleted and version is not None and expected_version is not None:
            raise VersionMismatch(f"the resource is at version {version}, not {expected_version}")
        return bool(deleted)

    # -- administration ---------------------------------------------------------------------------
    async def connection(self, namespace: str, name: str) -> Connection:
        """What is held for one connection."""
        return await self._read_script(lambda now: administration.read_connection(namespace, name, now))

    async def connections(self, *, after: str | None, limit: int) -> ConnectionPage:
        """All that exist, in pages."""
        return await self._read_script(lambda now: administration.read_page(after, limit, now))

    async def put_connection(
        self, namespace: str, name: str, desired: PutConnection, *, if_match: str | None
    ) -> Connection:
        """Make the state so, in one transaction, and issue a new revision if anything changed."""
        return await self._write_script(
            lambda now: administration.put_connection(
                namespace, name, desired, if_match=if_match, now=now, revision=secrets.token_hex(16)
            )
        )

    async def delete_connection(self, namespace: str, name: str, *, if_match: str | None) -> Connection:
        """Revoke all its credentials and forget it."""
        return await self._write_script(
            lambda now: administration.delete_connection(
                namespace, name, if_match=if_match, now=now, revision=secrets.token_hex(16)
            )
        )

    async def purge(self, batch: int = 500) -> int:
        """Delete up to ``batch`` resources of tenants marked for purging; how many were deleted."""
        return await self._write_script(lambda now: administration.purge(batch, now))

    # -- reading and writing ----------------------------------------------------------------------
    async def _read(self, sql: str, *parameters: object) -> Sequence[Row]:
        return await _open(self._pool).fetch(sql, parameters)

    async def _write(self, sql: str, *parameters: Any) -> Sequence[Row]:
        """Run one statement as a transaction of its own."""
        return await postgres_pool.with_retries(lambda: _open(self._pool).fetch(sql, parameters))

    def _borrow(self) -> contextlib.AbstractAsyncContextManager[postgres_pool.Connection]:
        return _open(self._pool).connection()

    async def _read_script(self, script: Callable[[str], TransactionScript[T]]) -> T:
        """Run a script on one snapshot, with the database's time."""
        async with (
            self._borrow() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            now = await connection.fetchval(f"SELECT {statements.NOW}")
            return await postgres_pool.run_script(connection, script(now))

    async def _write_script(self, script: Callable[[str], TransactionScript[T]]) -> T:
        """Run a script of administration, one at a time in the whole installation."""

        async def attempt() -> T:
            async with self._borrow() as connection, connection.transaction():
                now = await connection.fetchval(statements.LOCK)
                return await postgres_pool.run_script(connection, script(now))

        return await postgres_pool.with_retries(attempt)

    async def _modify_locked(
        self,
        tenant: int,
        kind: ResourceKind,
        resource_id: str,
        transform: Transform,
        actor: str,
        expected_version: int | None,
    ) -> Resource | None:
        """Modify under the row's lock: slower, and sure to come to its turn."""
        prepared: ResourceWrite | None = None

        async def attempt() -> Resource | None:
            nonlocal prepared
            async with self._borrow() as connection, connection.transaction():
                rows = await connection.fetch(
                    number_placeholders(GET) + " FOR UPDATE", tenant, kind, resource_id
                )
                if not rows:
                    return None
                resource = Resource(*rows[0])
                check_version(resource.version, expected_version)
                prepared = transform(resource)
                if prepared is None:
                    return resource
                update = _update_parameters(tenant, kind, resource, prepared, actor)
                now = await connection.fetchval(statements.UPDATE, *update)
            return _updated(resource, prepared, now)

        try:
            return await postgres_pool.with_retries(attempt)
        except asyncpg.UniqueViolationError as error:
            if prepared is None:
                raise
            raise await self._conflict(error, tenant, kind, prepared, resource_id) from error

    async def _create_group(
        self, tenant: int, kind: ResourceKind, prepared: ResourceWrite, actor: str
    ) -> Resource:
        try:
            return await self._transaction(
                lambda now: groups.create(
                    "postgresql", tenant, kind, prepared, actor=actor, now=now, shard=_shard()
                )
            )
        except asyncpg.UniqueViolationError as error:
            raise await self._conflict(error, tenant, kind, prepared, "") from error

    async def _modify_group(
        self,
        tenant: int,
        kind: ResourceKind,
        resource_id: str,
        transform: Transform,
        actor: str,
        expected_version: int | None,
    ) -> Resource | None:
        """Groups are changed under their row's lock: many clients change the same one at once."""
        prepared: ResourceWrite | None = None

        def remembered(resource: Resource) -> ResourceWrite | None:
            nonlocal prepared
            prepared = transform(resource)
            return prepared

        def script(now: str) -> TransactionScript[Resource | None]:
            return groups.modify(
                "postgresql", tenant, kind, resource_id, remembered,
                actor=actor, expected_version=expected_version, now=now,
            )  # fmt: skip

        try:
            return await self._transaction(script)
        except asyncpg.UniqueViolationError as error:
            if prepared is None:
                raise
            raise await self._conflict(error, tenant, kind, prepared, resource_id) from error

    async def _transaction(self, script: Callable[[str], TransactionScript[T]]) -> T:
        """Run a script on resources in a transaction of its own, with the database's time."""

        async def attempt() -> T:
            async with self._borrow() as connection, connection.transaction():
                now = await connection.fetchval(f"SELECT {statements.NOW}")
                return await postgres_pool.run_script(connection, script(now))

        return await postgres_pool.with_retries(attempt)

    async def _conflict(
        self,
        error: asyncpg.UniqueViolationError,
        tenant: int,
        kind: ResourceKind,
        prepared: ResourceWrite,
        resource_id: str,
    ) -> Exception:
        """Which of the keys is taken."""
        statement = name_taken(tenant, kind, prepared.name_key, resource_id)
        rows = await self._read(statement.sql, *statement.parameters)
        if not rows:
            return Unavailable("the tenant was deleted")
        [(settings, name_is_taken)] = rows
        by_name = name_is_taken or error.constraint_name == "resource_name"
        return Conflict(conflict_attribute(kind, settings, name_is_taken=by_name))


def _open(pool: postgres_pool.Pool | None) -> postgres_pool.Pool:
    if pool is None:
        raise Unavailable("the database is closed")
    return pool


def _shard() -> int:
    return random.randrange(statements.COUNTER_SHARDS)  # noqa: S311 - spreads load, guards nothing


def _update_parameters(
    tenant: int, kind: ResourceKind, resource: Resource, prepared: ResourceWrite, actor: str
) -> tuple[Any, ...]:
    """The parameters of ``statements.UPDATE``."""
    keys = (prepared.match_key, prepared.name_key, prepared.external_key)
    body = (prepared.doc, prepared.normal_form, list(prepared.email_keys))
    return (tenant, kind, resource.id, resource.version, *keys, *body, actor, resource.modified)


def _updated(resource: Resource, prepared: ResourceWrite, now: str) -> Resource:
    return Resource(
        resource.id, resource.version + 1, resource.created, now, prepared.doc, resource.pk, resource.kind
    )

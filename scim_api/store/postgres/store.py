"""The store for several replicas: PostgreSQL through asyncpg, one round trip for almost everything."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, Literal, TypeVar

from scim_api.contract.admin import Connection, ConnectionPage, PutConnection, TokenRefusal
from scim_api.core.model import GroupReference, Lookup, Member, Resource, ResourceWrite
from scim_api.core.predicate import Predicate
from scim_api.core.types import ResourceKind
from scim_api.store.change_log import Actor
from scim_api.store.duplicate import Duplicate
from scim_api.store.postgres import pool as postgres_pool
from scim_api.store.postgres import statements
from scim_api.store.postgres.change_log import PostgresChangeLog
from scim_api.store.postgres.database import Database
from scim_api.store.postgres.resource_cache import ResourceCache
from scim_api.store.postgres.resources import ResourceWriter
from scim_api.store.protocol import (
    KEY_BATCH,
    Access,
    AuthGeneration,
    CredentialUse,
    IssuerKeys,
    KeyRebuild,
    ListQuery,
    Page,
    TokenClient,
    Transform,
)
from scim_api.store.serialized import SerializedMembers, SerializedPage
from scim_api.store.sql import administration, oauth
from scim_api.store.sql.duplicates import find_duplicates
from scim_api.store.sql.rows import (
    to_access,
    to_groups_by_member,
    to_members,
    to_page,
    to_serialized_members,
    to_serialized_page,
)
from scim_api.store.sql.search_locks import TenantSearchLocks
from scim_api.store.sql.statements import (
    ACCESS,
    GET,
    MEMBERS,
    groups_of,
    list_page,
    lookup,
    rendered_members,
    rendered_users,
    search_page,
    use_rows,
)
from scim_api.store.sql.timestamps import from_text
from scim_api.store.sql.transaction_script import number_placeholders
from scim_api.store.sql.webhook_store import ScriptRunners, SqlWebhooks

SEARCH_SECONDS: Final = 1.0
"""Deadline of an unindexed search."""

T = TypeVar("T")


class PostgresStore:
    """``Store`` on a PostgreSQL database.

    Args:
        url: ``postgresql://user@host/database``; it may hold a password, and is never shown.
        pool_size: connections at most, besides those for searches.
        search_seconds: deadline of an unindexed search.
    """

    dialect: Literal["postgresql"] = "postgresql"
    immediate: None = None

    def __init__(self, url: str, *, pool_size: int = 10, search_seconds: float = SEARCH_SECONDS) -> None:
        self.url = url
        self._database = Database(url, pool_size=pool_size, search_seconds=search_seconds)
        self._search_locks = TenantSearchLocks()
        self._resource_cache = ResourceCache()
        self._writer = ResourceWriter(self._database, self._resource_cache)
        self.change_log = PostgresChangeLog(self._database)
        self.webhooks = SqlWebhooks(
            ScriptRunners(
                "postgresql",
                self._database.write_script,
                self._database.transaction,
                self._database.read_script,
            )
        )

    async def open(self) -> None:
        """Connect; does not migrate. Raises ``Unavailable``."""
        await self._database.open()

    async def close(self) -> None:
        """Finish what was begun and disconnect; harmless twice."""
        await self._database.close()

    async def schema_version(self) -> int:
        """The number of the last migration applied; 0 for an empty database."""
        [[journal]] = await self._database.read("SELECT to_regclass('schema_migration')::text")
        if journal is None:
            return 0
        [[version]] = await self._database.read("SELECT coalesce(max(version), 0) FROM schema_migration")
        return int(version)

    async def check_writable(self) -> None:
        """See that the database takes writes. Raises ``ReadOnly``."""
        await self._database.check_writable()

    async def claim(self, installation: str) -> str:
        """Write the installation id if the database has none; the id it has now."""
        return await self._database.write_script(lambda _now: administration.claim(installation))

    async def installation(self) -> str | None:
        """The installation that the database was claimed for."""
        [[identity]] = await self._database.read(administration.INSTALLATION)
        return None if identity is None else str(identity)

    async def public_url(self, url: str | None = None) -> str | None:
        """Remember (when given) and return the SCIM base URL."""
        return await self._database.write_script(lambda _now: administration.public_url(url))

    # -- credentials ------------------------------------------------------------------------------
    async def generation(self) -> AuthGeneration:
        """Read the auth generation and the database's clock, together."""
        [[number, now]] = await self._database.read(statements.GENERATION)
        return AuthGeneration(number, now)

    def generation_now(self) -> None:
        """None: another replica's commit cannot be seen without asking."""
        return

    async def access(self, digest: bytes) -> Access | None:
        """The credential with this digest, if it is not revoked; the caller checks ``ends_at``."""
        rows = await self._database.read(ACCESS, digest)
        return to_access(rows[0]) if rows else None

    async def record_use(self, uses: Sequence[CredentialUse]) -> None:
        """Write last uses and inspections; never moves one back."""
        for sql, rows in use_rows(uses):
            await self._execute_many(sql, rows)

    # -- the token endpoint -----------------------------------------------------------------------
    async def token_client(self, client_id: str) -> TokenClient | None:
        """The client with this id, if it is known and not deleted."""
        return oauth.to_client(client_id, await self._database.read(oauth.CLIENT, client_id))

    async def issue_access_token(
        self, client: TokenClient, parent: str, *, token_id: str, digest: bytes, now: datetime
    ) -> datetime | None:
        """Register an access token; its expiry, or None when its parent is accepted no more."""
        statement = oauth.issue(client, parent, token_id=token_id, digest=digest, now=now)
        rows = await self._database.write(statement.sql, *statement.parameters)
        return from_text(rows[0][0]) if rows else None

    async def record_token_refusals(self, refusals: Mapping[str, TokenRefusal | None]) -> None:
        """Write why each client was refused last."""
        await self._execute_many(oauth.REFUSAL, oauth.refusals(refusals))

    async def issuer_keys(self, url: str) -> IssuerKeys | None:
        """What was kept of the keys published at an address."""
        return oauth.to_issuer_keys(await self._database.read(oauth.ISSUER_KEYS, url))

    async def keep_issuer_keys(self, keys: IssuerKeys) -> None:
        """Keep what an issuer published."""
        statement = oauth.keep_keys(keys)
        await self._database.write(statement.sql, *statement.parameters)

    # -- resources --------------------------------------------------------------------------------
    async def get(self, tenant: int, kind: ResourceKind, resource_id: str) -> Resource | None:
        """One resource of this tenant."""
        rows = await self._database.read(GET, tenant, kind, resource_id)
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
        resources = [
            Resource(*row) for row in await self._database.read(statement.sql, *statement.parameters)
        ]
        if len(resources) == 1 and kind == "User":
            self._resource_cache.put(tenant, resources[0])
        return resources

    async def rendered_users(
        self, tenant: int, base_url: str, *, offset: int, limit: int
    ) -> SerializedPage | None:
        """A slice of all users, each as its JSON text in UTF-8; None for an empty page."""
        statement = rendered_users("postgresql", tenant, base_url, offset, limit)
        return to_serialized_page(await self._database.read(statement.sql, *statement.parameters))

    async def members(self, tenant: int, container: int, *, after: int, limit: int) -> Sequence[Member]:
        """Direct members of a group, ordered by ``pk``, from ``after`` on."""
        return to_members(await self._database.read(MEMBERS, container, tenant, after, limit))

    async def rendered_members(
        self, tenant: int, container: int, base_url: str, *, after: int, limit: int
    ) -> SerializedMembers | None:
        """The same members as one JSON text in UTF-8; None where there are none."""
        statement = rendered_members("postgresql", tenant, container, base_url, after, limit)
        return to_serialized_members(await self._database.read(statement.sql, *statement.parameters))

    async def groups_of(self, tenant: int, members: Sequence[int]) -> Mapping[int, Sequence[GroupReference]]:
        """The groups that each of these resources directly belongs to."""
        statement = groups_of(tenant, members)
        return to_groups_by_member(
            await self._database.read(statement.sql, *statement.parameters) if members else []
        )

    async def search(self, tenant: int, kind: ResourceKind | None, query: ListQuery) -> Page:
        """A slice of all resources of a kind, or of both. Raises ``TooSlow``."""
        if kind is not None and query.filter is None and query.sort is None:
            statement = list_page(tenant, kind, query)
            return to_page(await self._database.read(statement.sql, *statement.parameters))
        statement = search_page("postgresql", tenant, kind, query)
        async with self._search_locks.hold(tenant):
            return to_page(await self._database.search(statement))

    async def create(
        self, tenant: int, kind: ResourceKind, write: ResourceWrite, *, actor: Actor
    ) -> Resource:
        """Insert, with its row in the log; returns after the durable commit. Raises ``Conflict``."""
        return await self._writer.create(tenant, kind, write, actor=actor)

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
        return await self._writer.modify(
            tenant, kind, resource_id, transform, actor=actor, expected_version=expected_version
        )

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
        return await self._writer.delete(
            tenant, kind, resource_id, actor=actor, expected_version=expected_version
        )

    async def rebuild_keys(self, batch: int = KEY_BATCH) -> KeyRebuild:
        """Give resources with keys of an earlier release those of this one; see ``Store``."""
        return await self._writer.rebuild_keys(batch)

    async def duplicates(self) -> Sequence[Duplicate]:
        """What is to be unique and is not, of all tenants."""
        return await self._database.read_script(lambda _now: find_duplicates())

    # -- administration ---------------------------------------------------------------------------
    async def connection(self, namespace: str, name: str) -> Connection:
        """What is held for one connection."""
        return await self._database.read_script(
            lambda now: administration.read_connection(namespace, name, now)
        )

    async def connections(self, *, after: str | None, limit: int) -> ConnectionPage:
        """All that exist, in pages."""
        return await self._database.read_script(lambda now: administration.read_page(after, limit, now))

    async def put_connection(
        self, namespace: str, name: str, desired: PutConnection, *, if_match: str | None
    ) -> Connection:
        """Make the state so, in one transaction, and issue a new revision if anything changed."""
        return await self._database.write_script(
            lambda now: administration.put_connection(
                namespace, name, desired, if_match=if_match, now=now, revision=secrets.token_hex(16)
            )
        )

    async def delete_connection(self, namespace: str, name: str, *, if_match: str | None) -> Connection:
        """Revoke all its credentials and forget it."""
        return await self._database.write_script(
            lambda now: administration.delete_connection(
                namespace, name, if_match=if_match, now=now, revision=secrets.token_hex(16)
            )
        )

    async def tenant_key(self, namespace: str, name: str) -> int | None:
        """Surrogate key of a tenant."""
        rows = await self._database.read(administration.TENANT_KEY, namespace, name)
        return int(rows[0][0]) if rows else None

    async def release_namespace(self, namespace: str) -> Sequence[str]:
        """Forget which namespace the tenants belong to; their names."""
        return await self._database.write_script(lambda now: administration.release_namespace(namespace, now))

    async def purge(self, batch: int = 500) -> int:
        """Delete up to ``batch`` resources of tenants marked for purging; how many were deleted."""
        return await self._database.write_script(lambda now: administration.purge(batch, now))

    async def _execute_many(self, sql: str, rows: Sequence[tuple[object, ...]]) -> None:
        async def attempt() -> None:
            async with self._database.borrow() as connection:
                await connection.executemany(number_placeholders(sql), rows)

        await postgres_pool.with_retries(attempt)

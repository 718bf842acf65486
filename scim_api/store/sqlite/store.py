"""The embedded store: one SQLite file, read in the event loop and written by one thread.

A point read takes microseconds, less than handing it to a thread. Scans go to reader threads with a
deadline. Other processes (the command line) may use the file at the same time.
"""

import asyncio
import functools
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final, Literal, TypeVar

import apsw

from scim_api.contract.admin import Connection, ConnectionPage, PutConnection, TokenRefusal
from scim_api.core.model import GroupReference, Lookup, Member, Resource, ResourceWrite
from scim_api.core.predicate import Predicate
from scim_api.core.types import ResourceKind
from scim_api.store.change_log import Actor
from scim_api.store.duplicate import Duplicate
from scim_api.store.errors import Unavailable
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
from scim_api.store.sql.key_rebuild import rebuild_keys
from scim_api.store.sql.rows import (
    to_access,
    to_groups_by_member,
    to_members,
    to_page,
    to_serialized_members,
)
from scim_api.store.sql.search_locks import TenantSearchLocks
from scim_api.store.sql.statements import (
    ACCESS,
    MEMBERS,
    groups_of,
    list_page,
    rendered_members,
    search_page,
    use_rows,
)
from scim_api.store.sql.timestamps import from_text, text_of_posix
from scim_api.store.sql.transaction_script import Row, Statement, TransactionScript
from scim_api.store.sql.webhook_store import ScriptRunners, SqlWebhooks
from scim_api.store.sqlite import resources
from scim_api.store.sqlite.change_log import SqliteChangeLog
from scim_api.store.sqlite.connection import (
    check_writable,
    connect,
    fetch,
    path_of,
    run_on_snapshot,
    run_script,
    translate_error,
    translated_errors,
)
from scim_api.store.sqlite.immediate_reads import SqliteReads
from scim_api.store.sqlite.reader_threads import ReaderThreads
from scim_api.store.sqlite.writer import GroupCommitWriter

SEARCH_SECONDS: Final = 1.0
"""Deadline of an unindexed search, from when it begins."""
FAR_OFFSET: Final = 1_000
"""A page further in than this is not walked to in the event loop."""
_LOOP_LOCK_WAIT_MS: Final = 200
"""Readers hardly ever wait in write-ahead mode; the event loop must not wait for long."""

T = TypeVar("T")


class SqliteStore:
    """``Store`` on one SQLite file.

    Args:
        path: the file; created when missing, its directory is not.
        search_seconds: deadline of an unindexed search.
    """

    dialect: Literal["sqlite"] = "sqlite"

    def __init__(self, path: str, *, search_seconds: float = SEARCH_SECONDS) -> None:
        if not path:
            raise ValueError(
                "database URL without a file: write sqlite:///scim.db or sqlite:////data/scim.db"
            )
        self.url = f"sqlite:///{path}"
        self._path = path_of(self.url)
        self._search_seconds = search_seconds
        self._reader: apsw.Connection | None = None
        self._writer: GroupCommitWriter | None = None
        self._threads: ReaderThreads | None = None
        self._search_locks = TenantSearchLocks()
        self._data_version: int | None = None
        self._generation = 0
        self.immediate = SqliteReads(self._read)
        self.change_log = SqliteChangeLog(self._read, self._write_script, self._snapshot)
        write = self._write_script
        self.webhooks = SqlWebhooks(ScriptRunners("sqlite", write, write, self._snapshot))

    async def open(self) -> None:
        """Connect; does not migrate. Raises ``Unavailable``."""
        if self._reader is not None:
            return
        self._reader = connect(self._path, lock_wait_ms=_LOOP_LOCK_WAIT_MS, query_only=True)
        self._writer = GroupCommitWriter(
            functools.partial(connect, self._path), functools.partial(translate_error, path=self._path)
        )
        self._threads = ReaderThreads(self._path)

    async def close(self) -> None:
        """Finish what was begun and disconnect; harmless twice."""
        reader, writer, threads = self._reader, self._writer, self._threads
        self._reader = self._writer = self._threads = None
        self._data_version = None
        if writer is not None:
            await writer.close()
        if threads is not None:
            await threads.close()
        if reader is not None:
            reader.close()

    async def schema_version(self) -> int:
        """The number of the last migration applied; 0 for an empty database."""
        if not self._read("SELECT 1 FROM sqlite_master WHERE name = 'schema_migration'"):
            return 0
        [[version]] = self._read("SELECT coalesce(max(version), 0) FROM schema_migration")
        return int(version)

    async def check_writable(self) -> None:
        """See that the file may be written. Raises ``ReadOnly``."""
        await asyncio.to_thread(check_writable, self._path)

    async def claim(self, installation: str) -> str:
        """Write the installation id if the database has none; the id it has now."""
        return await self._write_script(lambda _now: administration.claim(installation))

    async def installation(self) -> str | None:
        """The installation that the database was claimed for."""
        [[identity]] = self._read(administration.INSTALLATION)
        return None if identity is None else str(identity)

    async def public_url(self, url: str | None = None) -> str | None:
        """Remember (when given) and return the SCIM base URL."""
        if url is None:
            return self._read_script(administration.public_url(None))
        return await self._write_script(lambda _now: administration.public_url(url))

    # -- credentials ------------------------------------------------------------------------------
    async def generation(self) -> AuthGeneration:
        """Read the auth generation and the clock."""
        return self.generation_now()

    def generation_now(self) -> AuthGeneration:
        """The generation, reread only when any other connection has committed since (2.5 us if not)."""
        [[data_version]] = self._read("PRAGMA data_version")
        if data_version != self._data_version:
            [[self._generation]] = self._read("SELECT number FROM auth_generation")
            self._data_version = data_version
        return AuthGeneration(self._generation, time.time())

    async def access(self, digest: bytes) -> Access | None:
        """The credential with this digest, if it is not revoked; the caller checks ``ends_at``."""
        rows = self._read(ACCESS, digest)
        return to_access(rows[0]) if rows else None

    async def record_use(self, uses: Sequence[CredentialUse]) -> None:
        """Write last uses and inspections; never moves one back."""
        for sql, rows in use_rows(uses):
            await self._write(functools.partial(_execute_many, sql=sql, values=rows))

    # -- the token endpoint -----------------------------------------------------------------------
    async def token_client(self, client_id: str) -> TokenClient | None:
        """The client with this id, if it is known and not deleted."""
        return oauth.to_client(client_id, self._read(oauth.CLIENT, client_id))

    async def issue_access_token(
        self, client: TokenClient, parent: str, *, token_id: str, digest: bytes, now: datetime
    ) -> datetime | None:
        """Register an access token; its expiry, or None when its parent is accepted no more."""
        statement = oauth.issue(client, parent, token_id=token_id, digest=digest, now=now)
        rows = await self._write(lambda connection: fetch(connection, statement.sql, statement.parameters))
        return from_text(rows[0][0]) if rows else None

    async def record_token_refusals(self, refusals: Mapping[str, TokenRefusal | None]) -> None:
        """Write why each client was refused last."""
        rows = oauth.refusals(refusals)
        await self._write(lambda connection: _execute_many(connection, oauth.REFUSAL, rows))

    async def issuer_keys(self, url: str) -> IssuerKeys | None:
        """What was kept of the keys published at an address."""
        return oauth.to_issuer_keys(self._read(oauth.ISSUER_KEYS, url))

    async def keep_issuer_keys(self, keys: IssuerKeys) -> None:
        """Keep what an issuer published."""
        statement = oauth.keep_keys(keys)
        await self._write(lambda connection: fetch(connection, statement.sql, statement.parameters))

    # -- resources --------------------------------------------------------------------------------
    async def get(self, tenant: int, kind: ResourceKind, resource_id: str) -> Resource | None:
        """One resource of this tenant."""
        return self.immediate.get(tenant, kind, resource_id)

    async def lookup(
        self, tenant: int, kind: ResourceKind, by: Lookup, key: str, rest: Predicate | None = None
    ) -> Sequence[Resource]:
        """Those whose indexed key equals ``key`` and that meet ``rest``, ordered by creation."""
        return self.immediate.lookup(tenant, kind, by, key, rest)

    async def search(self, tenant: int, kind: ResourceKind | None, query: ListQuery) -> Page:
        """A slice of all resources of a kind, or of both. Raises ``TooSlow``."""
        if kind is None or query.filter is not None or query.sort is not None:
            return to_page(await self._scan(tenant, search_page("sqlite", tenant, kind, query)))
        statement = list_page(tenant, kind, query)
        if query.offset > FAR_OFFSET:
            return to_page(await self._scan(tenant, statement))
        return to_page(self._read(statement.sql, *statement.parameters))

    async def rendered_users(
        self, tenant: int, base_url: str, *, offset: int, limit: int
    ) -> SerializedPage | None:
        """A slice of all users, each as its JSON text in UTF-8; None for an empty page."""
        return self.immediate.rendered_users(tenant, base_url, offset=offset, limit=limit)

    async def members(self, tenant: int, container: int, *, after: int, limit: int) -> Sequence[Member]:
        """Direct members of a group, ordered by ``pk``, from ``after`` on."""
        return to_members(self._read(MEMBERS, container, tenant, after, limit))

    async def rendered_members(
        self, tenant: int, container: int, base_url: str, *, after: int, limit: int
    ) -> SerializedMembers | None:
        """The same members as one JSON text in UTF-8; None where there are none."""
        statement = rendered_members("sqlite", tenant, container, base_url, after, limit)
        return to_serialized_members(self._read(statement.sql, *statement.parameters))

    async def groups_of(self, tenant: int, members: Sequence[int]) -> Mapping[int, Sequence[GroupReference]]:
        """The groups that each of these resources directly belongs to."""
        statement = groups_of(tenant, members)
        return to_groups_by_member(self._read(statement.sql, *statement.parameters) if members else [])

    async def create(
        self, tenant: int, kind: ResourceKind, write: ResourceWrite, *, actor: Actor
    ) -> Resource:
        """Insert, with its row in the log; returns after the durable commit. Raises ``Conflict``."""
        return await self._write(
            lambda connection: resources.create(connection, tenant, kind, write, actor, _now())
        )

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
        return await self._write(
            lambda connection: resources.modify(
                connection, tenant, kind, resource_id, transform, actor, expected_version, _now()
            )
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
        return await self._write(
            lambda connection: resources.delete(
                connection, tenant, kind, resource_id, actor, expected_version, _now()
            )
        )

    async def rebuild_keys(self, batch: int = KEY_BATCH) -> KeyRebuild:
        """Give resources with keys of an earlier release those of this one; see ``Store``."""
        return await self._write_script(lambda _now: rebuild_keys("sqlite", batch))

    async def duplicates(self) -> Sequence[Duplicate]:
        """What is to be unique and is not, of all tenants."""
        return self._read_script(find_duplicates())

    # -- administration ---------------------------------------------------------------------------
    async def connection(self, namespace: str, name: str) -> Connection:
        """What is held for one connection."""
        return self._read_script(administration.read_connection(namespace, name, _now()))

    async def connections(self, *, after: str | None, limit: int) -> ConnectionPage:
        """All that exist, in pages."""
        return self._read_script(administration.read_page(after, limit, _now()))

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

    async def tenant_key(self, namespace: str, name: str) -> int | None:
        """Surrogate key of a tenant."""
        rows = self._read(administration.TENANT_KEY, namespace, name)
        return int(rows[0][0]) if rows else None

    async def release_namespace(self, namespace: str) -> Sequence[str]:
        """Forget which namespace the tenants belong to; their names."""
        return await self._write_script(lambda now: administration.release_namespace(namespace, now))

    async def purge(self, batch: int = 500) -> int:
        """Delete up to ``batch`` resources of tenants marked for purging; how many were deleted."""
        return await self._write_script(lambda now: administration.purge(batch, now))

    # -- reading and writing ----------------------------------------------------------------------
    def _read(self, sql: str, *parameters: object) -> list[Row]:
        if self._reader is None:
            raise Unavailable("the database is closed")
        try:
            return fetch(self._reader, sql, parameters)
        except apsw.Error as error:
            raise translate_error(error, self._path) from error

    def _read_script(self, script: TransactionScript[T]) -> T:
        """Run a script on one snapshot."""
        if self._reader is None:
            raise Unavailable("the database is closed")
        with translated_errors(self._path):
            return run_on_snapshot(self._reader, script)

    async def _write(self, work: Callable[[apsw.Connection], T]) -> T:
        if self._writer is None:
            raise Unavailable("the database is closed")
        return await self._writer.write(work)

    async def _write_script(self, script: Callable[[str], TransactionScript[T]]) -> T:
        """Run a script, made with the database's time, as a transaction."""
        return await self._write(lambda connection: run_script(connection, script(_now())))

    async def _snapshot(self, script: Callable[[str], TransactionScript[T]]) -> T:
        """Run a script of unknown cost that reads, on one snapshot."""
        return await self._open_threads().snapshot(lambda: script(_now()))

    async def _scan(self, tenant: int, statement: Statement) -> list[Row]:
        """Run a read of unknown cost, one of a tenant's at a time. Raises ``TooSlow``."""
        async with self._search_locks.hold(tenant):
            return await self._open_threads().search(statement, self._search_seconds)

    def _open_threads(self) -> ReaderThreads:
        if self._threads is None:
            raise Unavailable("the database is closed")
        return self._threads


def _now() -> str:
    """The database's clock, as stored text: SQLite's is this machine's."""
    return text_of_posix(time.time())


def _execute_many(connection: apsw.Connection, sql: str, values: Sequence[tuple[object, ...]]) -> None:
    connection.executemany(sql, values)

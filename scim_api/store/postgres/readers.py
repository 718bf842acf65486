"""Roles that read one tenant through the views of the schema ``published``: made, listed, ended.

A role is the server's, and an administrator's affair on many of them: where the service's own role may not make one,
the administrator does, and this lets it in. What lets it in is a row of ``published.reader`` and rights on the views.
"""

import dataclasses
import enum
import re
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

import asyncpg

from scim_api.store.errors import ReaderRefused
from scim_api.store.postgres.connecting import Connection
from scim_api.store.postgres.pool import single_connection
from scim_api.store.postgres.scram import verifier
from scim_api.store.sql.published import VIEWS
from scim_api.store.sql.schema import ADVISORY_LOCK
from scim_api.store.sql.timestamps import to_text
from scim_api.store.sql.transfer_tables import TABLES

SCHEMA_VERSION: Final = 8
ATTRIBUTES: Final = "LOGIN NOINHERIT CONNECTION LIMIT 10"
"""Of a new role. All else that a role may be, it is not unless somebody says so."""
SETTINGS: Final = (
    "search_path = published",
    "default_transaction_read_only = on",
    "statement_timeout = '60s'",
    "idle_in_transaction_session_timeout = '60s'",
    "enable_bitmapscan = off",
)
"""Of each session of a role: against accidents, since a session may change them. The last: PostgreSQL can't estimate
how many transactions are younger than another, and would read the whole of a tenant's index to save a few rows.
"""
_PASSWORD_BYTES: Final = 24
_VIEWS: Final = ", ".join(f"published.{view}" for view in VIEWS)

_TENANT: Final = "SELECT pk FROM tenant WHERE namespace = $1 AND name = $2 AND state = 'active'"
_ROLE: Final = "SELECT oid FROM pg_roles WHERE rolname = $1"
_READER: Final = "SELECT role_oid, tenant, tenant_name, made_here FROM published.reader WHERE role = $1"
_LET_IN: Final = """
INSERT INTO published.reader (role, role_oid, tenant, tenant_name, made_here, created_at)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (role) DO UPDATE SET role_oid = excluded.role_oid, made_here = excluded.made_here
"""
# Whoever may read tables, or become somebody who may, would read all tenants.
_TABLES: Final = ", ".join(f"'{name}'" for name in ("published.reader", *(table.name for table in TABLES)))
_TOO_MIGHTY: Final = f"""
SELECT CASE
    WHEN r.rolsuper OR r.rolbypassrls OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication
        THEN 'it may do more than log in (see \\du)'
    WHEN EXISTS (SELECT 1 FROM unnest(ARRAY[{_TABLES}]::regclass[]) AS of (it)
            WHERE has_any_column_privilege(r.oid, of.it, 'SELECT')
                OR has_table_privilege(r.oid, of.it, 'INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER'))
        THEN 'it has rights on the tables themselves'
    WHEN EXISTS (SELECT 1 FROM pg_class c WHERE c.oid IN ('resource'::regclass, 'published.reader'::regclass)
            AND pg_has_role(r.oid, c.relowner, 'MEMBER'))
        THEN 'it is a member of the role that owns the tables'
    WHEN EXISTS (SELECT 1 FROM pg_roles p WHERE p.rolname LIKE 'pg\\_%' AND pg_has_role(r.oid, p.oid, 'MEMBER'))
        THEN 'it is a member of a predefined role of PostgreSQL'
    WHEN EXISTS (SELECT 1 FROM published.reader s JOIN pg_roles p ON p.oid = s.role_oid AND p.rolname = s.role
            WHERE s.tenant <> $2 AND pg_has_role(r.oid, p.oid, 'MEMBER'))
        THEN 'it is a member of a reader of another tenant'
END FROM pg_roles r WHERE r.oid = $1
"""
_LIST: Final = """
SELECT s.role, s.tenant_name, s.tenant, s.created_at, r.oid IS NOT NULL, t.pk IS NOT NULL
FROM published.reader s LEFT JOIN pg_roles r ON r.rolname = s.role AND r.oid = s.role_oid
    LEFT JOIN tenant t ON t.pk = s.tenant AND t.state = 'active'
ORDER BY s.tenant_name, s.role
"""


class ReaderState(enum.StrEnum):
    """Whether a reader reads anything."""

    ACTIVE = "Active"
    NO_ROLE = "NoRole"
    """The server has no such role, or another of the same name: after a restore."""
    NO_TENANT = "NoTenant"
    """Its tenant was deleted. One that was made anew is another."""
    TOO_MIGHTY = "TooMighty"
    """It can read more than its tenant."""


@dataclasses.dataclass(frozen=True, slots=True)
class Reader:
    """A role that is let in to one tenant."""

    role: str
    tenant: str
    """``namespace/name``."""
    state: ReaderState
    created_at: str


@dataclasses.dataclass(frozen=True, slots=True)
class ReaderCreated:
    """What came of ``create``."""

    role: str
    tenant: str
    database: str
    password: str | None
    """Set just now; None: the role has the one it had, or none."""
    open_schema: bool
    """Whether everybody may create objects in the schema ``public``, as before PostgreSQL 15."""


def check_role_name(role: str) -> None:
    """Raises ``ValueError`` when PostgreSQL would not take it as it is written."""
    if not re.fullmatch(r"[^\x00-\x1f\x7f]+", role) or len(role.encode()) > 63:
        raise ValueError("a role's name has 1 to 63 bytes, and no control characters")
    if role.startswith("pg_") or role in {"public", "none"}:
        raise ValueError(f"{role!r} is reserved by PostgreSQL; choose another name")


def quoted(name: str) -> str:
    """A name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def administrators_sql(role: str) -> str:
    """What an administrator of the server runs where the service's role may not make roles."""
    name = quoted(role)
    return "\n".join(
        [f"CREATE ROLE {name} {ATTRIBUTES};", *(f"ALTER ROLE {name} SET {setting};" for setting in SETTINGS)]
    )


async def create(
    url: str,
    namespace: str,
    tenant: str,
    role: str,
    *,
    with_password: bool = True,
    random: Callable[[int], bytes] = secrets.token_bytes,
) -> ReaderCreated:
    """Let a role read a tenant, and make it first if there is none; a new password where this made the role.

    Args:
        url: of the database.
        namespace: of the tenant.
        tenant: its name.
        role: of the server. One that an administrator made is let in, and stays as it is.
        with_password: False leaves its password as it is, and a new role without one.
        random: for tests.

    Raises:
        ReaderRefused: there is no such tenant, the role is another's, can read more than the views, or may not be made
            by the service's role.
        Unavailable: the database does not answer, or is older than this release.
        ValueError: ``role`` is no name for a role.
    """
    check_role_name(role)
    name = f"{namespace}/{tenant}"
    async with single_connection(url) as connection, connection.transaction():
        await _begin(connection)
        key = await connection.fetchval(_TENANT, namespace, tenant)
        if key is None:
            raise ReaderRefused(f"there is no tenant {name}; `scim-api connection list` shows all")
        reader = await connection.fetchrow(_READER, role)
        if reader is not None and reader["tenant"] != key:
            raise ReaderRefused(
                f"role {role} was made for another tenant ({reader['tenant_name']}, which may be gone);"
                f" choose another name, or end it first: scim-api reader delete {role}"
            )
        oid = await connection.fetchval(_ROLE, role)
        made_here = oid is None or (reader is not None and reader["made_here"] and reader["role_oid"] == oid)
        password = new_password(random) if with_password and made_here else None
        if oid is None:
            oid = await _make(connection, role)
        if made_here:
            await _configure(connection, role, password, random)
        if too_mighty := await connection.fetchval(_TOO_MIGHTY, oid, key):
            raise ReaderRefused(
                f"role {role} could read more than {name}: {too_mighty}. Take a role that has nothing but its login"
            )
        await connection.execute(f"GRANT USAGE ON SCHEMA published TO {quoted(role)}")
        await connection.execute(f"GRANT SELECT ON {_VIEWS} TO {quoted(role)}")
        now = to_text(datetime.now(UTC))
        await connection.execute(_LET_IN, role, oid, key, name, made_here, now)
        [[database, open_schema]] = await connection.fetch(
            "SELECT current_database(),"
            " coalesce(has_schema_privilege($1::oid, to_regnamespace('public')::oid, 'CREATE'), false)",
            oid,
        )
        return ReaderCreated(role, name, database, password, open_schema)


def new_password(random: Callable[[int], bytes]) -> str:
    """A password: 192 bits, in letters and digits that no shell and no URL minds."""
    return random(_PASSWORD_BYTES).hex()


async def list_readers(url: str) -> Sequence[Reader]:
    """All roles that were let in. Raises ``Unavailable``."""
    async with single_connection(url) as connection, connection.transaction():
        await _begin(connection)
        readers = []
        for role, tenant, key, created_at, has_role, has_tenant in await connection.fetch(_LIST):
            state = ReaderState.ACTIVE if has_tenant else ReaderState.NO_TENANT
            if not has_role:
                state = ReaderState.NO_ROLE
            elif await connection.fetchval(_TOO_MIGHTY, await connection.fetchval(_ROLE, role), key):
                state = ReaderState.TOO_MIGHTY
            readers.append(Reader(role, tenant, state, created_at))
        return readers


async def delete(url: str, role: str) -> str | None:
    """End a reader: it sees nothing from now on. A role that ``create`` made is dropped.

    Returns:
        SQL that is left for an administrator: to drop the role where this may not, or did not make it; else None.

    Raises:
        ReaderRefused: it is no reader.
        Unavailable: the database does not answer.
    """
    async with single_connection(url) as connection, connection.transaction():
        await _begin(connection)
        reader = await connection.fetchrow(_READER, role)
        if reader is None:
            raise ReaderRefused(f"{role} is no reader; `scim-api reader list` shows all")
        await connection.execute("DELETE FROM published.reader WHERE role = $1", role)
        oid = await connection.fetchval(_ROLE, role)
        if oid is None:
            return None
        await connection.execute(f"REVOKE ALL ON {_VIEWS} FROM {quoted(role)}")
        await connection.execute(f"REVOKE ALL ON SCHEMA published FROM {quoted(role)}")
        drop = f"DROP ROLE {quoted(role)}"
        if not reader["made_here"] or oid != reader["role_oid"]:
            return f"{drop};"
        try:
            async with connection.transaction():
                await connection.execute(drop)
        except (asyncpg.InsufficientPrivilegeError, asyncpg.DependentObjectsStillExistError):
            return f"{drop};"
        return None


async def _begin(connection: Connection) -> None:
    """One at a time, and only with the schema for it."""
    version = await connection.fetchval("SELECT coalesce(max(version), 0) FROM schema_migration")
    if version < SCHEMA_VERSION:
        raise ReaderRefused("the database has no schema of this release yet: run `scim-api migrate` first")
    await connection.execute("SELECT pg_advisory_xact_lock($1)", ADVISORY_LOCK)


async def _make(connection: Connection, role: str) -> int:
    try:
        async with connection.transaction():
            await connection.execute(f"CREATE ROLE {quoted(role)} {ATTRIBUTES}")
    except asyncpg.InsufficientPrivilegeError:
        user = await connection.fetchval("SELECT current_user")
        raise ReaderRefused(
            f"{user}, the role of the database URL, may not make roles: it has no CREATEROLE. Let an administrator run"
            f" this, give the role a password (\\password {role}) or the provider's login, and then run this command"
            f" again, which lets it in:\n\n{administrators_sql(role)}"
        ) from None
    oid: int = await connection.fetchval(_ROLE, role)
    return oid


async def _configure(
    connection: Connection, role: str, password: str | None, random: Callable[[int], bytes]
) -> None:
    """Set the settings of a role that was made here, and its password."""
    statements = [f"ALTER ROLE {quoted(role)} SET {setting}" for setting in SETTINGS]
    if password is not None:
        statements.append(f"ALTER ROLE {quoted(role)} PASSWORD '{verifier(password, random(16))}'")
    try:
        for statement in statements:
            await connection.execute(statement)
    except asyncpg.PostgresError as error:
        raise ReaderRefused(
            f"PostgreSQL does not let role {role} be set up: {error}. With --no-password the password is left to an"
            " administrator"
        ) from None

"""Roles of PostgreSQL that are let in to one tenant, made anew, listed and ended."""

import secrets
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from localcluster.ports import free_port
from scim_api.store.errors import ReaderRefused
from scim_api.store.factory import create_store
from scim_api.store.migrate import migrate
from scim_api.store.postgres import readers
from scim_api.store.postgres.readers import Reader, ReaderState
from scim_api.store.protocol import Store
from support.postgres import PostgresServer, execute, own_server
from support.readers import drop_roles
from support.stored import tenant_of


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[Store]:
    """With tenants ``apps/a`` and ``apps/b``."""
    store = create_store(postgres_url)
    await store.open()
    for name in ("a", "b"):
        await tenant_of(store, name)
    yield store
    await store.close()


@pytest.fixture
async def role(postgres_url: str, store: Store) -> AsyncIterator[str]:
    """A name for a role, which is gone afterwards."""
    name = f"Reader {secrets.token_hex(4)}"
    yield name
    await drop_roles(postgres_url, name)


async def attributes(url: str, role: str) -> dict[str, object]:
    connection = await asyncpg.connect(url)
    [row] = await connection.fetch("SELECT * FROM pg_authid WHERE rolname = $1", role)
    await connection.close()
    return dict(row)


async def states(url: str) -> dict[str, ReaderState]:
    return {one.role: one.state for one in await readers.list_readers(url)}


async def test_a_role_is_made_with_a_login_and_nothing_else(postgres_url: str, role: str) -> None:
    made = await readers.create(postgres_url, "apps", "a", role)
    there = await attributes(postgres_url, role)
    connection = await asyncpg.connect(postgres_url, user=role)
    settings = [await connection.fetchval(f"SHOW {name}") for name in (
        "search_path", "default_transaction_read_only", "statement_timeout", "idle_in_transaction_session_timeout",
    )]  # fmt: skip
    await connection.close()

    assert made.tenant == "apps/a"
    assert there["rolcanlogin"]
    assert there["rolconnlimit"] == 10
    assert [name for name in there if name.startswith("rol") and there[name] is True] == ["rolcanlogin"]
    assert settings == ["published", "on", "1min", "1min"]
    assert await states(postgres_url) == {role: ReaderState.ACTIVE}


async def test_what_the_server_gets_is_a_verifier_of_the_password(postgres_url: str, role: str) -> None:
    made = await readers.create(postgres_url, "apps", "a", role)
    there = await attributes(postgres_url, role)

    assert made.password is not None
    assert len(made.password) == 48
    assert str(there["rolpassword"]).startswith("SCRAM-SHA-256$4096:")
    assert made.password not in str(there)


async def test_again_it_sets_another_password_and_what_is_missing(postgres_url: str, role: str) -> None:
    first = await readers.create(postgres_url, "apps", "a", role)
    quoted = readers.quoted(role)
    await execute(
        postgres_url,
        f"REVOKE ALL ON published.users FROM {quoted}",
        f"ALTER ROLE {quoted} RESET search_path",
    )
    second = await readers.create(postgres_url, "apps", "a", role)
    connection = await asyncpg.connect(postgres_url, user=role)
    assert await connection.fetch("SELECT * FROM users") == []
    await connection.close()

    assert first.password != second.password
    assert await readers.list_readers(postgres_url) == [
        Reader(role, "apps/a", ReaderState.ACTIVE, (await readers.list_readers(postgres_url))[0].created_at)
    ]


async def test_a_role_is_not_given_another_tenant(postgres_url: str, role: str) -> None:
    await readers.create(postgres_url, "apps", "a", role)

    with pytest.raises(ReaderRefused, match="made for another tenant"):
        await readers.create(postgres_url, "apps", "b", role)


async def test_nor_one_that_was_made_anew_under_the_name(postgres_url: str, store: Store, role: str) -> None:
    await readers.create(postgres_url, "apps", "a", role)
    await execute(postgres_url, "UPDATE tenant SET state = 'purging' WHERE name = 'a'")
    assert await states(postgres_url) == {role: ReaderState.NO_TENANT}
    while await store.purge():
        pass
    await tenant_of(store, "a")

    assert await states(postgres_url) == {role: ReaderState.NO_TENANT}
    with pytest.raises(ReaderRefused, match="made for another tenant"):
        await readers.create(postgres_url, "apps", "a", role)
    assert await readers.delete(postgres_url, role) is None
    await readers.create(postgres_url, "apps", "a", role)
    assert await states(postgres_url) == {role: ReaderState.ACTIVE}


async def test_an_unknown_tenant_leaves_no_role(postgres_url: str, role: str) -> None:
    with pytest.raises(ReaderRefused, match="there is no tenant apps/nobody"):
        await readers.create(postgres_url, "apps", "nobody", role)

    assert not await _exists(postgres_url, role)


async def test_a_role_of_an_administrators_is_let_in_and_stays_as_it_is(postgres_url: str, role: str) -> None:
    await execute(postgres_url, f"CREATE ROLE {readers.quoted(role)} LOGIN PASSWORD 'of an administrator'")
    before = await attributes(postgres_url, role)
    made = await readers.create(postgres_url, "apps", "a", role)

    assert made.password is None
    assert await attributes(postgres_url, role) == before
    settings = (
        "SELECT count(*) FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole WHERE rolname = $1"
    )
    connection = await asyncpg.connect(postgres_url)
    assert await connection.fetchval(settings, role) == 0
    await connection.close()
    assert await readers.delete(postgres_url, role) == f"DROP ROLE {readers.quoted(role)};"
    assert await _exists(postgres_url, role)


TOO_MUCH = {
    "ALTER ROLE {role} CREATEDB": "more than log in",
    "ALTER ROLE {role} BYPASSRLS": "more than log in",
    "GRANT SELECT (id) ON resource TO {role}": "rights on the tables",
    "GRANT UPDATE ON published.reader TO {role}": "rights on the tables",
    "GRANT pg_monitor TO {role}": "predefined role",
    "GRANT postgres TO {role}": "rights on the tables|owns the tables|predefined",
    "GRANT {other} TO {role}": "a reader of another tenant",
}


async def test_a_role_that_could_read_more_is_refused_and_found_later(postgres_url: str, role: str) -> None:
    other = f"{role} other"
    try:
        await readers.create(postgres_url, "apps", "b", other, with_password=False)
        for right, reason in TOO_MUCH.items():
            await execute(postgres_url, f"CREATE ROLE {readers.quoted(role)} LOGIN")
            grant = right.format(role=readers.quoted(role), other=readers.quoted(other))
            await execute(postgres_url, grant)
            with pytest.raises(ReaderRefused, match=f"could read more.*({reason})"):
                await readers.create(postgres_url, "apps", "a", role)
            assert role not in await states(postgres_url)
            await drop_roles(postgres_url, role)
            await readers.create(postgres_url, "apps", "a", role, with_password=False)
            await execute(postgres_url, grant)
            assert (await states(postgres_url))[role] == ReaderState.TOO_MIGHTY, right
            await drop_roles(postgres_url, role)
            await readers.delete(postgres_url, role)
    finally:
        await drop_roles(postgres_url, other)


async def test_a_role_that_was_dropped_by_hand_is_listed_and_made_again(postgres_url: str, role: str) -> None:
    await readers.create(postgres_url, "apps", "a", role)
    await drop_roles(postgres_url, role)
    assert await states(postgres_url) == {role: ReaderState.NO_ROLE}
    assert (await readers.create(postgres_url, "apps", "a", role)).password is not None

    assert await states(postgres_url) == {role: ReaderState.ACTIVE}


async def test_a_deleted_reader_is_gone_and_an_open_session_of_it_sees_nothing(
    postgres_url: str, role: str
) -> None:
    await readers.create(postgres_url, "apps", "a", role)
    session = await asyncpg.connect(postgres_url, user=role)
    await session.fetch("SELECT * FROM users")
    assert await readers.delete(postgres_url, role) is None

    with pytest.raises(asyncpg.PostgresError):
        await session.fetch("SELECT * FROM users")
    await session.close()
    assert not await _exists(postgres_url, role)
    assert await states(postgres_url) == {}
    with pytest.raises(ReaderRefused, match="is no reader"):
        await readers.delete(postgres_url, role)


@pytest.mark.parametrize("name", ["", "pg_reader", "public", "none", "a\nb", "x" * 64])
def test_names_that_postgresql_does_not_take_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"name|reserved"):
        readers.check_role_name(name)


async def test_before_the_migration_it_says_so(empty_postgres_url: str) -> None:
    await execute(empty_postgres_url, "CREATE TABLE schema_migration (version integer)")

    with pytest.raises(ReaderRefused, match="scim-api migrate"):
        await readers.list_readers(empty_postgres_url)


class TestOfAServiceWhoseRoleMayNotMakeRoles:
    @pytest.fixture
    async def owned(self, postgres_url: str, role: str) -> AsyncIterator[str]:
        """The URL of the database as its owner, who is nothing but that."""
        owner = f"{role} owner"
        quoted = readers.quoted(owner)
        await execute(postgres_url, f"CREATE ROLE {quoted} LOGIN")
        connection = await asyncpg.connect(postgres_url)
        for (name,) in await connection.fetch(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
            " WHERE schemaname IN ('public', 'published') UNION ALL"
            " SELECT format('%I.%I', schemaname, viewname) FROM pg_views WHERE schemaname = 'published'"
        ):
            await connection.execute(f"ALTER TABLE {name} OWNER TO {quoted}")
        await connection.execute(f"ALTER SCHEMA published OWNER TO {quoted}")
        await connection.close()
        yield postgres_url.replace("postgres@", f"{owner.replace(' ', '%20')}@")
        await execute(postgres_url, f"REASSIGN OWNED BY {quoted} TO postgres")
        await drop_roles(postgres_url, owner)

    async def test_it_says_what_an_administrator_runs_and_lets_the_role_in_then(
        self, postgres_url: str, owned: str, role: str
    ) -> None:
        with pytest.raises(ReaderRefused, match="may not make roles") as refused:
            await readers.create(owned, "apps", "a", role)
        assert not await _exists(postgres_url, role)
        sql = str(refused.value).split("\n\n")[1]
        await execute(postgres_url, *sql.splitlines())
        made = await readers.create(owned, "apps", "a", role)

        assert made.password is None
        assert await states(owned) == {role: ReaderState.ACTIVE}
        session = await asyncpg.connect(postgres_url, user=role)
        assert await session.fetch("SELECT * FROM users") == []
        await session.close()
        assert await readers.delete(owned, role) == f"DROP ROLE {readers.quoted(role)};"

    async def test_with_createrole_it_needs_no_administrator(
        self, postgres_url: str, owned: str, role: str
    ) -> None:
        await execute(postgres_url, f"ALTER ROLE {readers.quoted(f'{role} owner')} CREATEROLE")
        first = await readers.create(owned, "apps", "a", role)
        second = await readers.create(owned, "apps", "a", role)

        assert first.password is not None
        assert second.password not in (None, first.password)
        assert await readers.delete(owned, role) is None
        assert not await _exists(postgres_url, role)


@pytest.fixture
def strict_server() -> Iterator[PostgresServer]:
    """One that asks for passwords, and logs each statement."""
    with own_server(("127.0.0.1", free_port()), {"log_statement": "all"}) as server:
        assert server.own is not None
        (server.own.directory / "data/pg_hba.conf").write_text(
            "local all all trust\nhost all all all scram-sha-256\n"
        )
        yield server


async def test_the_printed_password_signs_in_and_is_in_no_log(strict_server: PostgresServer) -> None:
    url, own = strict_server.url, strict_server.own
    assert own is not None
    assert own.address is not None
    await execute(url, "SELECT pg_reload_conf()")
    await migrate(url)
    store = create_store(url)
    await store.open()
    await tenant_of(store, "a")
    await store.close()
    made = await readers.create(url, "apps", "a", "billing")
    place: dict[str, Any] = {"host": own.address[0], "port": own.address[1], "user": "billing"}
    session = await asyncpg.connect(**place, database="postgres", password=made.password)
    assert await session.fetch("SELECT * FROM users") == []
    await session.close()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(**place, database="postgres", password="other")

    log = (own.directory / "log").read_text(encoding="utf-8")
    assert "SCRAM-SHA-256$4096:" in log
    assert str(made.password) not in log


async def _exists(url: str, role: str) -> bool:
    connection = await asyncpg.connect(url)
    try:
        return bool(await connection.fetchval("SELECT count(*) FROM pg_roles WHERE rolname = $1", role))
    finally:
        await connection.close()

"""``scim-api reader``: what it prints, and what it says when it can't."""

import asyncio
import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from click.testing import CliRunner, Result

from scim_api.cli.main import main
from scim_api.store.factory import create_store
from support.postgres import execute
from support.readers import drop_roles
from support.stored import tenant_of


def run(url: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["reader", *arguments], env={"SCIM_API_DATABASE_URL": url})


@pytest.fixture
def role(postgres_url: str) -> Iterator[str]:
    """A name for a role, in a database with a tenant ``apps/a``."""

    async def prepare() -> None:
        store = create_store(postgres_url)
        await store.open()
        await tenant_of(store, "a")
        await store.close()

    asyncio.run(prepare())
    name = f"reader-{secrets.token_hex(4)}"
    yield name
    asyncio.run(drop_roles(postgres_url, name))


def test_a_reader_is_created_listed_and_deleted(postgres_url: str, role: str) -> None:
    made = run(postgres_url, "create", "apps/a", "--role", role)
    listed = run(postgres_url, "list")
    as_json = json.loads(run(postgres_url, "list", "--json").stdout)
    deleted = run(postgres_url, "delete", role)

    shown = dict(line.split(maxsplit=1) for line in made.stdout.splitlines())
    assert (made.exit_code, shown["role"], shown["tenant"]) == (0, role, "apps/a")
    assert shown["database"] in postgres_url
    assert len(shown["password"]) == 48
    assert "shown only now" in made.stderr
    assert [line.split() for line in listed.stdout.splitlines()] == [
        ["ROLE", "TENANT", "STATE"],
        [role, "apps/a", "Active"],
    ]
    assert [(one["role"], one["tenant"], one["state"]) for one in as_json] == [(role, "apps/a", "Active")]
    assert deleted.stdout == f"{role} is no reader any more, and dropped\n"
    assert "no readers" in run(postgres_url, "list").stderr


def test_json_has_the_password_and_without_one_it_is_null(postgres_url: str, role: str) -> None:
    without = run(postgres_url, "create", "apps/a", "--role", role, "--no-password", "--json")
    with_one = run(postgres_url, "create", "apps/a", "--role", role, "--json")

    assert json.loads(without.stdout)["password"] is None
    assert len(json.loads(with_one.stdout)["password"]) == 48


def test_without_a_password_the_next_step_is_said(postgres_url: str, role: str) -> None:
    done = run(postgres_url, "create", "apps/a", "--role", role, "--no-password")

    assert "(as it was, or none)" in done.stdout
    assert f"\\password {role}" in done.stderr


def test_a_role_that_an_administrator_made_is_left_to_him(postgres_url: str, role: str) -> None:
    asyncio.run(execute(postgres_url, f'CREATE ROLE "{role}" LOGIN'))
    run(postgres_url, "create", "apps/a", "--role", role)
    done = run(postgres_url, "delete", role)

    assert f'an administrator drops it: DROP ROLE "{role}";' in done.stdout


def test_a_schema_in_which_everybody_creates_objects_is_warned_of(postgres_url: str, role: str) -> None:
    quiet = run(postgres_url, "create", "apps/a", "--role", role)
    asyncio.run(execute(postgres_url, "GRANT CREATE ON SCHEMA public TO PUBLIC"))
    warned = run(postgres_url, "create", "apps/a", "--role", role)

    assert "Warning" not in quiet.stderr
    assert "REVOKE CREATE ON SCHEMA public FROM PUBLIC;" in warned.stderr


def test_mistakes_are_one_line_to_act_on(postgres_url: str, role: str) -> None:
    for arguments, said in (
        (("create", "apps/nobody", "--role", role), "there is no tenant apps/nobody"),
        (("create", "apps/a", "--role", "pg_x"), "reserved by PostgreSQL"),
        (("create", "apps", "--role", role), "write NAMESPACE/NAME"),
        (("create", "apps/a"), "--role"),
        (("delete", "nobody"), "nobody is no reader"),
    ):
        done = run(postgres_url, *arguments)
        assert done.exit_code != 0
        assert said in done.stderr
        assert "Traceback" not in done.output


@pytest.mark.parametrize("arguments", [("create", "a/b", "--role", "c"), ("list",), ("delete", "c", "--yes")])
def test_with_sqlite_it_says_that_it_needs_postgresql(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = run(f"sqlite:///{tmp_path / 'scim.db'}", *arguments)

    assert done.exit_code == 1
    assert "readers need PostgreSQL" in done.stderr
    assert not (tmp_path / "scim.db").exists()


def test_the_database_is_named_by_a_file_too(postgres_url: str, role: str, tmp_path: Path) -> None:
    (tmp_path / "url").write_text(postgres_url)

    assert run(f"file://{tmp_path / 'url'}", "create", "apps/a", "--role", role).exit_code == 0


async def test_the_command_line_does_what_the_help_shows(postgres_url: str, role: str) -> None:
    made = await asyncio.to_thread(run, postgres_url, "create", "apps/a", "--role", role)
    session = await asyncpg.connect(postgres_url, user=role)
    rows = await session.fetch("SELECT user_name, active FROM published.users")
    await session.close()

    assert (made.exit_code, rows) == (0, [])

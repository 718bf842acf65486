"""``scim-api migrate``, ``copy`` and ``backup``: what they print, and what is left when they refuse."""

import asyncio
import re
from pathlib import Path
from typing import Any

import apsw
import pytest
from click.testing import CliRunner, Result

from scim_api.cli.database import _Progress
from scim_api.cli.main import main
from scim_api.store.change_log import Actor
from scim_api.store.migrate import REQUIRED_VERSION, migrate
from scim_api.store.sql.transfer_tables import TABLES
from support.earlier_release import EarlierRelease
from support.stored import prepared, tenant_of
from support.transfer import Life, content, opened


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(main, ["copy", *arguments], env=environment)


def test_migrating_says_the_version_and_may_be_done_again(database_url: str) -> None:
    for _ in range(2):
        done = CliRunner().invoke(main, ["migrate"], env={"SCIM_API_DATABASE_URL": database_url})
        assert (done.exit_code, done.stdout) == (0, f"schema version {REQUIRED_VERSION}\n")


def test_migrating_rebuilds_keys_and_says_how_many_another_has(database_url: str) -> None:
    async def write() -> None:
        await migrate(database_url)
        async with opened(database_url) as store:
            earlier = EarlierRelease(database_url, await tenant_of(store))
        await earlier.create(
            "Group", {"displayName": "x\u03c3"}, {"displayName": "X\u03a3"}, {"displayName": "y"}
        )

    asyncio.run(write())
    done = CliRunner().invoke(main, ["migrate"], env={"SCIM_API_DATABASE_URL": database_url})
    assert done.exit_code == 0
    assert "keys: " in done.stdout
    assert "users and groups have those of this release" in done.stdout
    assert "another has; they are served as before" in done.stderr
    again = CliRunner().invoke(main, ["migrate"], env={"SCIM_API_DATABASE_URL": database_url})
    assert again.stdout == f"schema version {REQUIRED_VERSION}\n"


def test_an_option_names_another_database_than_the_environment(tmp_path: Path) -> None:
    named, other = tmp_path / "named.db", tmp_path / "other.db"
    arguments = ["migrate", "--database-url", f"sqlite:///{named}"]
    done = CliRunner().invoke(main, arguments, env={"SCIM_API_DATABASE_URL": f"sqlite:///{other}"})
    assert done.exit_code == 0
    assert (named.exists(), other.exists()) == (True, False)


def test_a_copy_tells_counts_and_what_comes_next(tmp_path: Path, person: Any) -> None:
    old, new = f"sqlite:///{tmp_path / 'old.db'}", f"sqlite:///{tmp_path / 'new.db'}"
    asyncio.run(Life().live(old, person))
    done = run("--from-env", "OLD", "--to", new, OLD=old)
    assert done.exit_code == 0, done.output
    assert "resource                 4 of 4" in done.stdout
    assert [line.split()[0] for line in done.stdout.splitlines() if re.search(r" (\d+) of \1$", line)] == [
        table.name for table in TABLES
    ]
    assert "4 users and groups, 3 connections" in done.stdout
    assert "SCIM_API_DATABASE_URL" in done.stdout
    assert f"Keep {old} until" in done.stdout
    assert not done.stderr
    assert asyncio.run(content(new)) == asyncio.run(content(old))


def test_a_long_table_shows_that_it_goes_on_and_a_short_one_is_a_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tenant, resource = TABLES[2], TABLES[5]
    progress = _Progress()
    for table, total in ((resource, 45_000), (tenant, 300), (resource, 0)):
        for done in range(0, total, 500):
            progress(table, done, total)
        progress(table, total, total)
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["resource", "20000", "of", "45000"],
        ["resource", "40000", "of", "45000"],
        ["resource", "45000", "of", "45000"],
        ["tenant", "300", "of", "300"],
        ["resource", "0", "of", "0"],
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--from", "sqlite:///a.db"],
        ["--from", "sqlite:///a.db", "--from-env", "A", "--to", "sqlite:///b.db"],
        ["--from", "sqlite:///a.db", "--to", "sqlite:///b.db", "--to-env", "B"],
    ],
)
def test_each_side_is_named_once(arguments: list[str]) -> None:
    done = run(*arguments, A="sqlite:///a.db", B="sqlite:///b.db")
    assert done.exit_code == 2
    assert re.search(r"give either --(from|to) URL or --\1-env NAME", done.stderr)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "sqlite:///none.db", "--to", "sqlite:///new.db"], "no such file"),
        (["--from", "sqlite:///text.db", "--to", "sqlite:///new.db"], "not an SQLite database"),
        (["--from", "sqlite:///empty.db", "--to", "sqlite:///new.db"], "no tables of scim-api"),
        (["--from", "sqlite:///good.db", "--to", "sqlite:///good.db"], "same database"),
        (["--from", "sqlite:///good.db", "--to", "sqlite:///other.db"], "not empty"),
        (["--from", "sqlite:///good.db", "--to", "mysql://x"], "postgresql://"),
        (["--from", "sqlite:///good.db", "--to", "sqlite:////nowhere/at/all.db"], "nowhere"),
        (["--from", "sqlite:///good.db", "--to", "postgresql://me:hidden@127.0.0.1:1/x"], "PostgreSQL"),
        (["--from", "sqlite:///good.db", "--to", "postgresql://me:hidden@nowhere.invalid/x"], "PostgreSQL"),
        (["--from", "sqlite:///good.db"], "--to-env"),
        (["--from-env", "NOT_THERE", "--to", "sqlite:///new.db"], "NOT_THERE"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_and_leaves_no_file_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    asyncio.run(migrate("sqlite:///good.db"))
    Path("text.db").write_text("not a database, but long enough to be looked at as one" * 100)
    Path("empty.db").touch()
    other = apsw.Connection("other.db")
    other.execute("CREATE TABLE theirs (x)")
    other.close()

    done = run(*arguments)

    assert done.exit_code in {1, 2}
    assert isinstance(done.exception, SystemExit)
    assert len([line for line in done.stderr.splitlines() if line.startswith("Error: ")]) == 1
    assert message in done.stderr
    assert "hidden" not in done.stderr
    assert not Path("new.db").exists()
    assert not Path("none.db").exists()


def test_a_backup_says_what_it_holds(tmp_path: Path) -> None:
    url, file = f"sqlite:///{tmp_path / 'scim.db'}", tmp_path / "saved.db"

    async def fill() -> None:
        await migrate(url)
        async with opened(url) as store:
            tenant = await tenant_of(store)
            for name in ("ada", "eve"):
                await store.create(tenant, "User", prepared(name), actor=Actor("c"))

    asyncio.run(fill())
    done = CliRunner().invoke(main, ["backup", str(file), "--database-url", url])
    assert (done.exit_code, done.stdout) == (0, f"{file}: 1 connections, 2 users and groups\n")
    again = CliRunner().invoke(main, ["backup", str(file), "--database-url", url])
    assert again.exit_code == 1
    assert again.stderr == f"Error: {file} exists; name a new file\n"


def test_a_backup_of_postgresql_is_left_to_pg_dump(tmp_path: Path) -> None:
    file = tmp_path / "saved.db"
    done = CliRunner().invoke(main, ["backup", str(file), "--database-url", "postgresql://me:hidden@host/db"])
    assert done.exit_code == 1
    assert "pg_dump" in done.stderr
    assert "hidden" not in done.output
    assert not file.exists()

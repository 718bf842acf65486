"""An SQLite file as source or target of a copy: nobody else has it open, and nothing is made of nothing."""

import sqlite3
from collections.abc import AsyncGenerator
from pathlib import Path

import apsw
import pytest

from scim_api.store.errors import TransferRefused, Unavailable
from scim_api.store.migrate import REQUIRED_VERSION, migrate
from scim_api.store.sql.transaction_script import Row
from scim_api.store.sql.transfer_tables import PAGE, TABLES
from scim_api.store.sqlite.connection import connect
from scim_api.store.sqlite.transfer import SqliteTransferDatabase

BY_NAME = {table.name: table for table in TABLES}
TENANT = "INSERT INTO tenant (namespace, name, settings, settings_hash) VALUES ('demo', ?, '{}', '')"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "scim.db"


@pytest.fixture
async def place(path: Path) -> SqliteTransferDatabase:
    """A file with the schema."""
    await migrate(f"sqlite:///{path}")
    return SqliteTransferDatabase(f"sqlite:///{path}")


def files(path: Path) -> list[Path]:
    return list(path.parent.iterdir())


def rows(path: Path, sql: str) -> list[tuple[object, ...]]:
    file = sqlite3.connect(path)
    try:
        return list(file.execute(sql))
    finally:
        file.close()


def test_two_spellings_of_a_path_are_one_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link.db").symlink_to(tmp_path / "scim.db")
    urls = {SqliteTransferDatabase(f"sqlite:///{name}").url for name in ("scim.db", "./scim.db", "link.db")}
    assert urls == {f"sqlite:///{tmp_path / 'scim.db'}"}


async def test_a_file_that_is_missing_is_an_empty_target_and_no_source(path: Path) -> None:
    place = SqliteTransferDatabase(f"sqlite:///{path}")
    assert await place.inspect() == (0, True)
    with pytest.raises(TransferRefused, match="there is no such file"):
        async with place.source():
            pass
    assert not files(path)


async def test_empty_is_a_schema_with_nothing_in_it_and_not_somebody_elses_file(
    place: SqliteTransferDatabase, path: Path, tmp_path: Path
) -> None:
    assert await place.inspect() == (REQUIRED_VERSION, True)
    file = connect(path)
    file.execute(TENANT, ("contoso",))
    file.close()
    assert await place.inspect() == (REQUIRED_VERSION, False)
    other = connect(tmp_path / "other.db")
    other.execute("CREATE TABLE theirs (x)")
    other.close()
    assert await SqliteTransferDatabase(f"sqlite:///{tmp_path / 'other.db'}").inspect() == (0, False)


@pytest.mark.parametrize("role", ["source", "target"])
async def test_while_it_is_copied_nobody_else_has_it(
    place: SqliteTransferDatabase, path: Path, role: str
) -> None:
    async with getattr(place, role)():
        rival = apsw.Connection(str(path))
        with pytest.raises(apsw.BusyError):
            list(rival.execute("SELECT 1 FROM tenant"))
        rival.close()
    assert rows(path, "SELECT 1 FROM tenant") == []


async def test_a_transaction_that_fails_leaves_the_target_as_it_was(
    place: SqliteTransferDatabase, path: Path
) -> None:
    with pytest.raises(ZeroDivisionError):
        async with place.target() as target:
            target.run(TENANT, "contoso")
            assert not await target.is_empty()
            raise ZeroDivisionError
    assert rows(path, "SELECT name FROM tenant") == []
    async with place.target() as target:
        target.run(TENANT, "contoso")
    assert rows(path, "SELECT name FROM tenant") == [("contoso",)]


async def test_rows_come_in_pages_and_in_the_order_of_their_key(place: SqliteTransferDatabase) -> None:
    async with place.target() as target:
        for number in range(PAGE + 1):
            target.run(TENANT, f"t{number}")
    async with place.source() as source:
        pages = [page async for page in source.pages(BY_NAME["tenant"])]
        assert await source.count(BY_NAME["tenant"]) == PAGE + 1
    assert [len(page) for page in pages] == [PAGE, 1]
    assert [row[0] for page in pages for row in page] == list(range(1, PAGE + 2))


async def test_the_highest_number_is_remembered_when_its_row_is_gone(
    place: SqliteTransferDatabase, path: Path
) -> None:
    async with place.target() as target:
        assert await target.highest(BY_NAME["tenant"]) == 0
        for name in ("a", "b", "c"):
            target.run(TENANT, name)
        target.run("DELETE FROM tenant WHERE name <> 'a'")
        assert await target.highest(BY_NAME["tenant"]) == 3
        await target.continue_numbering_after(BY_NAME["tenant"], 41)
        target.run(TENANT, "next")
    assert rows(path, "SELECT pk FROM tenant ORDER BY pk") == [(1,), (42,)]


async def test_a_value_that_breaks_a_rule_of_the_schema_is_refused(
    place: SqliteTransferDatabase, path: Path
) -> None:

    async def orphan() -> AsyncGenerator[list[Row], None]:
        yield [(1, "demo", "entra", 99, "r1", "exists", None, None, None, None, None, "ReadWrite")]

    with pytest.raises(Unavailable, match="ConstraintError"):
        async with place.target() as target:
            await target.write(BY_NAME["connection"], orphan())
    assert rows(path, "SELECT 1 FROM connection") == []

"""What is copied is all there is, and two tables of one digest hold the same."""

import hashlib
from pathlib import Path
from typing import Final

import apsw
import asyncpg
import pytest

from scim_api.store.migrate import migrate
from scim_api.store.sql.transaction_script import Row
from scim_api.store.sql.transfer_tables import TABLES, Digest, Table

PLAIN: Final = Table("plain", ("pk",), ("a", "b"))
ROWS: Final[list[Row]] = [(1, "x", None), (2, "y", b"z")]


def digest_of(*pages: list[Row], table: Table = PLAIN) -> str:
    read = Digest(table)
    for page in pages:
        read.update(page)
    return read.hex


async def test_every_table_and_column_of_either_schema_is_copied(postgres_url: str, tmp_path: Path) -> None:
    path = tmp_path / "scim.db"
    await migrate(f"sqlite:///{path}")
    database = apsw.Connection(str(path))
    sqlite = {
        name: {
            (column, bool(key))
            for column, key in database.execute("SELECT name, pk FROM pragma_table_info(?)", (name,))
        }
        for (name,) in list(
            database.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            )
        )
    }
    database.close()
    server = await asyncpg.connect(postgres_url)
    postgresql: dict[str, set[str]] = {}
    json_columns: dict[str, set[str]] = {}
    numbered = set()
    for name, column, kind, identity in await server.fetch(
        "SELECT table_name, column_name, data_type, is_identity FROM information_schema.columns"
        " WHERE table_schema = 'public' AND (table_name, column_name) <> ('change', 'xid')"  # of one server alone
    ):
        postgresql.setdefault(name, set()).add(column)
        if kind in {"json", "jsonb"}:
            json_columns.setdefault(name, set()).add(column)
        if identity == "YES":
            numbered.add(name)
    await server.close()

    copied = {table.name: {(column, column in table.key) for column in table.columns} for table in TABLES}
    assert copied == {name: columns for name, columns in sqlite.items() if name != "schema_migration"}
    assert {table.name: set(table.columns) for table in TABLES} == {
        name: columns for name, columns in postgresql.items() if name != "schema_migration"
    }
    assert {table.name: set(table.json) for table in TABLES if table.json} == json_columns
    assert {table.name for table in TABLES if table.numbered} == numbered


def test_a_table_comes_after_those_that_it_refers_to() -> None:
    order = [table.name for table in TABLES]
    references = {
        "connection": {"tenant"},
        "credential": {"connection"},
        "resource": {"tenant"},
        "resource_email": {"resource"},
        "membership": {"resource"},
    }
    for name, targets in references.items():
        assert all(order.index(target) < order.index(name) for target in targets)
    assert len(set(order)) == len(order)


def test_rows_are_read_in_the_order_of_their_key() -> None:
    table = Table("membership", ("container", "member"), ("tenant",))
    assert table.select == "SELECT container, member, tenant FROM membership ORDER BY container, member"


def test_equal_rows_have_one_digest_however_they_come() -> None:
    lists: list[Row] = [list(row) for row in ROWS]
    assert digest_of(ROWS) == digest_of(ROWS[:1], ROWS[1:]) == digest_of(ROWS, []) == digest_of(lists)
    read = Digest(PLAIN)
    read.update(ROWS)
    assert (read.rows, len(read.hex)) == (2, hashlib.sha256().digest_size * 2)


@pytest.mark.parametrize(
    "changed",
    [
        [(1, "x", None)],
        [*ROWS, (3, "", None)],
        [ROWS[1], ROWS[0]],
        [(1, None, "x"), ROWS[1]],
        [(1, "x", ""), ROWS[1]],
        [(1, "x", "None"), ROWS[1]],
        [("1", "x", None), ROWS[1]],
        [(1, "X", None), ROWS[1]],
        [(1, "x ", None), ROWS[1]],
        [ROWS[0], (2, "y", "z")],
        [ROWS[0], (2, "y", b"zz")],
        [(1, "x", None, 2, "y", b"z")],
        [],
    ],
    ids=str,
)
def test_any_difference_makes_another_digest(changed: list[Row]) -> None:
    assert digest_of(changed) != digest_of(ROWS)


@pytest.mark.parametrize("one", ["e\u0301", "\u2028", "\U0001f600"])
def test_text_that_only_looks_alike_is_different(one: str) -> None:
    alike = {"e\u0301": "\u00e9", "\u2028": "\\u2028", "\U0001f600": "\ufffd"}[one]
    assert digest_of([(1, one, None)]) != digest_of([(1, alike, None)])


def test_json_is_compared_by_its_meaning() -> None:
    table = next(table for table in TABLES if table.json)

    def of(text: str) -> str:
        read = Digest(table)
        row: list[object] = [None] * len(table.columns)
        row[table.columns.index("keys")] = text
        read.update([row])
        return read.hex

    assert of('{"a": 1e2, "b": [1.50, -0.0]}') == of('{"b":[1.5,0],"a":100}')
    assert len({of(text) for text in ('{"a":1}', '{"a":"1"}', '{"a":true}', '{"a":1.01}', '{"a":[1]}')}) == 5
    long = "1" * 40
    assert of(f'{{"a":{long}1}}') != of(f'{{"a":{long}2}}')
    assert of('{"a":[1,2]}') != of('{"a":[2,1]}')
    assert of('{"a":null}') != of("{}")

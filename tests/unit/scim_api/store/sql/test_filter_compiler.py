"""SQL of filters on SQLite gives the sets that the predicates give in Python (and those the library's)."""

import json
from collections.abc import Iterator

import apsw
import pytest

from scim_api.core.filter.parser import IndexedLookup, parse_filter
from scim_api.core.predicate import matches
from scim_api.store.sql.filter_compiler import Where, compile_filter
from support.where_cases import TENANT, expressions, rows

ROWS = rows(120)


@pytest.fixture(scope="module")
def database() -> Iterator[apsw.Connection]:
    """A table of resources with what filters look at."""
    connection = apsw.Connection(":memory:")
    connection.execute(
        "CREATE TABLE resource (id TEXT, created TEXT, modified TEXT, keys TEXT, kind TEXT DEFAULT 'User')"
    )
    connection.executemany("INSERT INTO resource (id, created, modified, keys) VALUES (?, ?, ?, ?)", ROWS)
    yield connection
    connection.close()


def found(database: apsw.Connection, where: Where) -> set[str]:
    """Ids of the rows that satisfy the condition; it must never be null."""
    query = f"SELECT r.id, {where.sql} FROM resource AS r"
    answers = database.execute(query, where.parameters).fetchall()
    assert all(holds in {0, 1} for _, holds in answers), where.sql
    return {str(resource_id) for resource_id, holds in answers if holds}


def test_sqlite_finds_what_the_predicates_match(database: apsw.Connection) -> None:
    telling = 0
    for text, expression in expressions(400):
        expected = {
            resource_id
            for resource_id, created, modified, keys in ROWS
            if matches(
                expression,
                json.loads(keys),
                {"id": resource_id, "created": created, "modified": modified, "kind": "User"},
            )
        }
        assert found(database, compile_filter(expression, "sqlite")) == expected, text
        telling += 0 < len(expected) < len(ROWS)
    assert telling > 200, "most filters should separate the users"


def test_an_old_value_of_another_type_does_not_match_and_is_no_error(database: apsw.Connection) -> None:
    urn = "urn:ietf:params:scim:schemas:extension:CustomExtensionName:2.0:User"
    odd = {
        "floor": "third",
        "hiredat": "soon",
        "skills": "python",
        "badge": ["x"],
        "remote": 1,
        "share": {"a": 1},
    }
    with database:
        database.execute(
            "INSERT INTO resource VALUES ('odd', '', '', ?, 'User')", (json.dumps({urn.lower(): odd}),)
        )
        for text in (
            f"{urn}:floor ge 0",
            f'{urn}:hiredAt ge "1900-01-01T00:00:00Z"',
            f'{urn}:badge co "x"',
            f"{urn}:remote eq true",
            f"{urn}:share eq 1",
        ):
            expression = parse_filter(TENANT, "User", text)
            assert not isinstance(expression, IndexedLookup)
            assert "odd" not in found(database, compile_filter(expression, "sqlite"))
        database.execute("DELETE FROM resource WHERE id = 'odd'")


def test_values_are_bound_and_never_in_the_text() -> None:
    for dialect in ("sqlite", "postgresql"):
        parsed = parse_filter(
            TENANT, "User", """title eq "x'; DROP TABLE resource --" and nickName co "?" """
        )
        assert not isinstance(parsed, IndexedLookup)
        where = compile_filter(parsed, dialect)
        assert "drop" not in where.sql.lower()
        assert where.parameters == ("x'; drop table resource --", "?")
        assert where.sql.count("?") == len(where.parameters)

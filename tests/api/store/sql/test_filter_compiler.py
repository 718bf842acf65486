"""SQL of filters on PostgreSQL gives the sets that the predicates give in Python, whatever its locale."""

import itertools
import json
import re

import asyncpg

from scim_api.core.predicate import matches
from scim_api.store.sql.filter_compiler import Where, compile_filter
from support.where_cases import expressions, rows

ROWS = rows(120)


def numbered(where: Where) -> str:
    """The text with PostgreSQL's placeholders; the compiler writes ``?`` for nothing else."""
    count = itertools.count(1)
    return re.sub(r"\?", lambda _: f"${next(count)}", where.sql)


async def test_postgresql_finds_what_the_predicates_match(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    try:
        await connection.execute(
            "CREATE TEMP TABLE filtered (id text, created text, modified text, keys jsonb, kind text DEFAULT 'User')"
        )
        await connection.executemany("INSERT INTO filtered VALUES ($1, $2, $3, $4)", ROWS)
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
            where = compile_filter(expression, "postgresql")
            query = f"SELECT r.id, {numbered(where)} FROM filtered AS r"
            answers = await connection.fetch(query, *where.parameters)
            assert all(holds in {True, False} for _, holds in answers), where.sql
            assert {resource_id for resource_id, holds in answers if holds} == expected, text
    finally:
        await connection.close()

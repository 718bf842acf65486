"""Transactions written once for both drivers.

A transaction script is a generator that yields statements and is sent their rows: it knows what to ask and what to
conclude, and each driver knows how to ask (apsw in its writer thread, asyncpg over the network). SQL in
a script keeps to what both databases understand; placeholders are ``?``.
"""

import functools
from collections.abc import Generator, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

Row = Sequence[Any]
"""One row, by position."""

T = TypeVar("T")


class Statement(NamedTuple):
    """One SQL statement and its parameters in order."""

    sql: str
    parameters: tuple[Any, ...] = ()


TransactionScript = Generator[Statement, Sequence[Row], T]
"""Runs inside one transaction; what it raises rolls that transaction back."""


def run_all(statements: Iterable[Statement]) -> TransactionScript[None]:
    """A script of statements whose rows do not matter."""
    for statement in statements:  # noqa: UP028 - a list cannot be sent the rows
        yield statement


@functools.lru_cache(maxsize=512)
def number_placeholders(sql: str) -> str:
    """``?`` placeholders as PostgreSQL's ``$1``, ``$2``; no literal in our SQL holds a question mark."""
    first, *rest = sql.split("?")
    return first + "".join(f"${number}{text}" for number, text in enumerate(rest, 1))

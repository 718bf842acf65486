"""A search that runs until its deadline, in either database."""

from typing import Final

import pytest

from scim_api.core.predicate import AttributePath, Constant, Predicate, Present
from scim_api.store.dialect import Dialect
from scim_api.store.sql import filter_compiler, statements
from scim_api.store.sql.filter_compiler import Where

ANYTHING: Final = Constant(True)
SLOW: Final = Present(AttributePath(("slow",), "string"))
"""Compiled to a condition that never comes to its end, once ``slow_searches`` is used."""
_CONDITIONS: Final[dict[Dialect, Where]] = {
    "sqlite": Where(
        "EXISTS (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT 1 FROM n WHERE i < ?)",
        (0,),
    ),
    "postgresql": Where("(SELECT true FROM pg_sleep(?))", (30.0,)),
}


@pytest.fixture
def slow_searches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give ``SLOW`` its meaning."""

    def compile_filter(predicate: Predicate, dialect: Dialect) -> Where:
        return (
            _CONDITIONS[dialect] if predicate is SLOW else filter_compiler.compile_filter(predicate, dialect)
        )

    monkeypatch.setattr(statements, "compile_filter", compile_filter)

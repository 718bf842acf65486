"""Statements that are put together: parameters stand where the placeholders do, and values never in the text."""

import re

import pytest

from scim_api.core.model import Lookup
from scim_api.core.predicate import AttributePath, Constant, Present
from scim_api.store.dialect import Dialect
from scim_api.store.protocol import ListQuery, Sort
from scim_api.store.sql import statements
from scim_api.store.sql.statements import (
    groups_of,
    list_page,
    lookup,
    name_taken,
    rendered_users,
    search_page,
)
from scim_api.store.sql.transaction_script import Statement

TITLE = AttributePath(("title",), "string")
EVIL = "'; DROP TABLE resource; --?"
DIALECTS: tuple[Dialect, ...] = ("sqlite", "postgresql")


def built(dialect: Dialect) -> list[Statement]:
    query = ListQuery(Present(TITLE), Sort(TITLE, descending=True), offset=3, limit=2)
    return [
        *(lookup(dialect, 7, "User", by, EVIL) for by in Lookup),
        *(lookup(dialect, 7, "User", by, EVIL, Present(TITLE)) for by in Lookup),
        rendered_users(dialect, 7, EVIL, 3, 2),
        list_page(7, "User", ListQuery(after=5, limit=2)),
        search_page(dialect, 7, "User", query),
        search_page(dialect, 7, None, query),
        search_page(dialect, 7, "Group", ListQuery()),
        groups_of(7, [1, 2, 3]),
        name_taken(7, "User", EVIL, "x"),
    ]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_there_are_as_many_parameters_as_placeholders(dialect: Dialect) -> None:
    for statement in built(dialect):
        assert statement.sql.count("?") == len(statement.parameters), statement


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_statement_about_resources_names_the_tenant_and_no_value_is_in_its_text(
    dialect: Dialect,
) -> None:
    for statement in built(dialect):
        assert 7 in statement.parameters
        assert "tenant" in statement.sql
        assert "DROP" not in statement.sql
        assert not re.search(r"\{\w+\}", statement.sql)


@pytest.mark.parametrize("by", Lookup)
def test_a_look_up_with_more_conditions_is_the_same_look_up_and_one_condition(by: Lookup) -> None:
    alone = lookup("sqlite", 7, "User", by, "key")
    more = lookup("sqlite", 7, "User", by, "key", Constant(True))
    text, _, order = alone.sql.partition(" ORDER BY")
    selects = text.split(" UNION ALL ")
    more_selects = more.sql.removesuffix(f" ORDER BY{order}" if order else "").split(" UNION ALL ")
    for select, with_more in zip(selects, more_selects, strict=True):
        assert with_more.startswith(f"{select} AND (")
        assert with_more.endswith(")")
    assert more.parameters == alone.parameters == (7, "User", "key") * len(selects)


@pytest.mark.parametrize(("descending", "order"), [(False, "ASC NULLS LAST"), (True, "DESC NULLS FIRST")])
def test_resources_without_a_value_come_last_and_in_descending_order_first(
    descending: bool, order: str
) -> None:
    sql = search_page("sqlite", 7, "User", ListQuery(sort=Sort(TITLE, descending=descending))).sql
    assert f"ORDER BY k0 {order}" in sql
    assert f"ORDER BY s.k0 {order}" in sql
    assert sql.rstrip().endswith("s.pk")  # among equals the one created first


def test_look_ups_by_key_say_tenant_plus_0_as_their_indexes_do() -> None:
    for by in (Lookup.ID, Lookup.NAME, Lookup.EXTERNAL):
        assert "r.tenant + 0 = ?" in lookup("postgresql", 7, "User", by, "key").sql
    assert "r.tenant + 0 = " in name_taken(7, "User", "key", "x").sql
    assert "tenant + 0" not in list_page(7, "User", ListQuery()).sql


def test_a_page_is_counted_by_counters_and_only_a_search_counts_rows() -> None:
    assert "resource_count" in statements.LIST
    assert "count(*)" not in statements.LIST
    assert "count(*)" in search_page("sqlite", 7, "User", ListQuery(Constant(True))).sql

"""Sorting and cursors: both databases give the order that Python gives."""

import dataclasses
import functools
import json
import random
from typing import Any

import pytest

from scim_api.core.filter import resolver
from scim_api.core.model import Resource, ResourceWrite
from scim_api.core.predicate import AttributePath, Constant
from scim_api.core.resources.users import create_user
from scim_api.core.types import ResourceKind
from scim_api.store.change_log import Actor
from scim_api.store.protocol import ListQuery, Sort, Store
from support.scim_core import CUSTOM, ENT
from support.where_cases import TENANT, random_user

ACTOR = Actor("c1")
PATHS = (
    "userName",
    "title",
    "displayName",
    "name.givenName",
    "active",
    "externalId",
    "emails",
    "emails.type",
    f"{ENT}:department",
    f"{ENT}:manager.value",
    f"{CUSTOM}:postalCode",
    f"{CUSTOM}:share",
    f"{CUSTOM}:floor",
    f"{CUSTOM}:hiredAt",
    f"{CUSTOM}:remote",
    f"{CUSTOM}:skills",
    "meta.created",
    "id",
)

KINDS: tuple[tuple[ResourceKind, str], ...] = (("User", "b"), ("Group", "a"), ("User", "c"), ("Group", "d"))


@pytest.fixture
async def people(store: Store, tenant: int) -> list[Resource]:
    """Sixty random users in the order of their creation."""
    dice = random.Random(3)
    made = []
    for number in range(60):
        body = create_user(TENANT, random_user(dice, number))
        made.append(await store.create(tenant, "User", body, actor=ACTOR))
    return made


def _sorted_by(attribute: AttributePath, keys: dict[str, Any], resource: Resource) -> Any:
    """The value that sorts a resource, from its comparable form; None when there is none."""
    if attribute.column is not None:
        return getattr(resource, attribute.column)
    found: Any = keys
    for step in attribute.path:
        found = found.get(step) if isinstance(found, dict) else None
    if not attribute.multi_valued or not found:
        return found
    if attribute.sub_attribute is None:
        return found[0]
    chosen = next((one for one in found if one.get("primary")), found[0])
    return chosen.get(attribute.sub_attribute)


def _compare(one: Any, other: Any) -> int:
    """Numbers and booleans before text, nothing after everything."""

    def rank(value: Any) -> int:
        return 2 if value is None else 1 if isinstance(value, str) else 0

    if rank(one) != rank(other):
        return rank(one) - rank(other)
    return 0 if one is None or one == other else -1 if one < other else 1


@pytest.mark.parametrize("path", PATHS)
async def test_a_sorted_list_has_the_order_that_python_gives(
    store: Store, tenant: int, people: list[Resource], path: str
) -> None:
    attribute = resolver.sort_attribute(TENANT.user, path)
    bodies = {one.id: json.loads(_keys(one)) for one in people}
    values = {one.id: _sorted_by(attribute, bodies[one.id], one) for one in people}
    if attribute.type == "any":  # A boolean has no place among numbers and text.
        values = {one: None if isinstance(value, bool) else value for one, value in values.items()}

    key = functools.cmp_to_key(_compare)
    for descending in (False, True):
        # Stable also when reversed, so that among equals the one created first comes first.
        expected = sorted(people, key=lambda one: key(values[one.id]), reverse=descending)
        sort = Sort(attribute, descending)

        whole = await store.search(tenant, "User", ListQuery(sort=sort, limit=100))
        part = await store.search(tenant, "User", ListQuery(sort=sort, offset=7, limit=5))

        assert [one.id for one in whole.resources] == [one.id for one in expected]
        assert [one.id for one in part.resources] == [one.id for one in expected[7:12]]
        assert whole.total == part.total == len(people)


def _keys(resource: Resource) -> str:
    body = json.loads(resource.doc)
    del body["schemas"]
    return create_user(TENANT, body).normal_form


async def test_a_cursor_goes_on_after_a_resource_even_when_it_is_gone(
    store: Store, tenant: int, people: list[Resource]
) -> None:
    everybody = Constant(True)
    for where in (None, everybody):
        first = await store.search(tenant, "User", ListQuery(where, limit=10))
        after = first.resources[-1].pk
        second = await store.search(tenant, "User", ListQuery(where, after=after, limit=10))
        assert [one.id for one in (*first.resources, *second.resources)] == [one.id for one in people[:20]]
        assert second.total == len(people)

    await store.delete(tenant, "User", people[9].id, actor=ACTOR)

    for where in (None, everybody):
        page = await store.search(tenant, "User", ListQuery(where, after=people[9].pk, limit=3))
        assert [one.id for one in page.resources] == [one.id for one in people[10:13]]
        assert page.total == len(people) - 1
        past = await store.search(tenant, "User", ListQuery(where, after=people[-1].pk, limit=3))
        assert (past.total, list(past.resources)) == (len(people) - 1, [])


async def test_both_kinds_are_searched_and_sorted_together(store: Store, tenant: int) -> None:
    def named(name: str) -> ResourceWrite:
        keys = json.dumps({"displayname": name.lower()})
        doc = json.dumps({"schemas": [], "displayName": name})
        return ResourceWrite(doc, keys, None, name.lower())

    made = [await store.create(tenant, kind, named(name), actor=ACTOR) for kind, name in KINDS]
    sort = Sort(resolver.sort_attribute(TENANT.all_types, "displayName"), descending=True)

    by_creation = await store.search(tenant, None, ListQuery(limit=3))
    by_name = await store.search(tenant, None, ListQuery(sort=sort))

    assert [(one.id, one.kind) for one in by_creation.resources] == [(o.id, o.kind) for o in made[:3]]
    assert by_creation.total == by_name.total == 4
    assert [json.loads(one.doc)["displayName"] for one in by_name.resources] == ["d", "c", "b", "a"]


async def test_a_limit_of_none_still_counts(store: Store, tenant: int, people: list[Resource]) -> None:
    sort = Sort(resolver.sort_attribute(TENANT.user, "title"), descending=False)
    for query in (ListQuery(limit=0), ListQuery(Constant(True), limit=0), ListQuery(sort=sort, limit=0)):
        page = await store.search(tenant, "User", dataclasses.replace(query))
        assert (page.total, list(page.resources)) == (len(people), [])

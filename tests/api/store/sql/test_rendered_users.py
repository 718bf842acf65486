"""Pages that the database puts together are, byte for byte, those that are rendered here."""

import dataclasses
import json
from typing import Final

import pytest

from scim_api.core.messages.serialization import serialize_resource
from scim_api.store.change_log import Actor
from scim_api.store.protocol import ListQuery, Store
from support.stored import prepared, retitle, tenant_of

ACTOR: Final = Actor("c1")
BASES: Final = (
    "https://scim.test/scim/v2",
    'https://scim.test/"quoted"\\back/scim/v2',
    "https://münchen.test/\u2028/\U0001f98a/scim/v2",
    "https://scim.test/a\tb\x1f/?$1 %s {x} :y '' ||",
)
TITLES: Final = (
    "plain", "", '"', "\\", '\\"', "}", "Zo\u00eb", "\U0001f468\u200d\U0001f469", "\u0130\u00df\u03a3", "\u2028\u2029",
    "\t\n\x1f\x7f", "' || r.id || '", "$1 ? %s", "\\u0041", "\u05e9\u05b8", "x" * 5000, "\u00e9" * 5000,
)  # fmt: skip


async def add(store: Store, tenant: int, name: str, title: str, *, escaped: bool = False) -> None:
    body = prepared(name)
    document = json.loads(body.doc) | {"title": title, "nested": {"last": [title]}}
    doc = json.dumps(document, ensure_ascii=escaped, separators=(",", ":"))
    await store.create(tenant, "User", dataclasses.replace(body, doc=doc), actor=ACTOR)


async def check(store: Store, tenant: int, base: str, offset: int, limit: int) -> None:
    """The page is what the same page of ``search`` is when it is rendered; None when that one is empty."""
    expected = await store.search(tenant, "User", ListQuery(offset=offset, limit=limit))
    found = await store.rendered_users(tenant, base, offset=offset, limit=limit)
    if not expected.resources:
        assert found is None
        return
    assert found is not None
    assert found.total == expected.total
    assert [bytes(text) for text in found.texts] == [
        serialize_resource(one, base).encode() for one in expected.resources
    ]
    assert b",".join(found.texts).decode()


@pytest.mark.parametrize("base", BASES, ids=range(len(BASES)))
async def test_every_text_is_as_it_is_rendered_here(store: Store, tenant: int, base: str) -> None:
    for number, title in enumerate(TITLES):
        await add(store, tenant, f"u{number}", title, escaped=number % 2 == 1)

    await check(store, tenant, base, 0, 100)

    found = await store.rendered_users(tenant, base, offset=0, limit=100)
    assert found is not None
    assert [json.loads(text)["title"] for text in found.texts] == list(TITLES)
    assert all(json.loads(text)["meta"]["location"].startswith(f"{base}/Users/") for text in found.texts)


async def test_pages_are_those_of_the_list_after_changes_and_deletions(store: Store, tenant: int) -> None:
    for number in range(9):
        await add(store, tenant, f"u{number}", "x")
    everybody = (await store.search(tenant, "User", ListQuery(limit=100))).resources
    for one in (everybody[0], everybody[0], everybody[7]):
        await store.modify(tenant, "User", one.id, retitle(lambda title: f"{title}é"), actor=ACTOR)
    await store.delete(tenant, "User", everybody[3].id, actor=ACTOR)

    for offset in (0, 1, 3, 7, 8, 9, 10_000):
        for limit in (0, 1, 2, 8, 9, 200):
            await check(store, tenant, BASES[0], offset, limit)


async def test_only_people_of_the_tenant_are_in_it(store: Store, tenant: int) -> None:
    stranger = await tenant_of(store, "fabrikam")
    for number in range(3):
        await add(store, tenant, f"ours{number}", "ours")
        await add(store, stranger, f"theirs{number}", "theirs")
        await store.create(tenant, "Group", prepared(f"team{number}"), actor=ACTOR)

    for one in (tenant, stranger):
        await check(store, one, BASES[0], 0, 100)
    found = await store.rendered_users(tenant, BASES[0], offset=0, limit=100)
    assert found is not None
    assert found.total == 3
    assert [json.loads(text)["userName"] for text in found.texts] == ["ours0", "ours1", "ours2"]


async def test_where_nobody_is_there_is_no_page(store: Store, tenant: int) -> None:
    assert await store.rendered_users(tenant, BASES[0], offset=0, limit=100) is None
    await store.create(tenant, "Group", prepared("team"), actor=ACTOR)
    assert await store.rendered_users(tenant, BASES[0], offset=0, limit=100) is None

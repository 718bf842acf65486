"""After a change, look-ups find a person by its present keys and by no former one, and each is guarded."""

import dataclasses
from collections.abc import Iterable
from typing import Final

import pytest

from scim_api.core.model import Lookup, ResourceWrite
from scim_api.store.change_log import Actor
from scim_api.store.errors import Conflict
from scim_api.store.protocol import Store, Transform
from support.stored import prepared

ACTOR: Final = Actor("c1")
ADA: Final = dataclasses.replace(prepared("ada"), email_keys=("ada@contoso.com", "ada@old"))
RETITLED: Final = dataclasses.replace(prepared("ada", title="new"), email_keys=ADA.email_keys)
CHANGES: Final = {
    "no key": RETITLED,
    "userName": dataclasses.replace(RETITLED, name_key="eve"),
    "externalId": dataclasses.replace(RETITLED, external_key="ext-eve"),
    "no externalId": dataclasses.replace(RETITLED, external_key=None),
    "the matching key": dataclasses.replace(RETITLED, match_key="eve@contoso.com"),
    "no matching key": dataclasses.replace(RETITLED, match_key=None),
    "one e-mail": dataclasses.replace(RETITLED, email_keys=("ada@contoso.com", "ada@new")),
    "fewer e-mails": dataclasses.replace(RETITLED, email_keys=("ada@old",)),
    "no e-mails": dataclasses.replace(RETITLED, email_keys=()),
    "e-mails of another order": dataclasses.replace(RETITLED, email_keys=("ada@old", "ada@contoso.com")),
    "everything": prepared("eve"),
}


def to(body: ResourceWrite) -> Transform:
    """The change that makes it so."""
    return lambda _: body


def keys_of(body: ResourceWrite) -> set[tuple[Lookup, str]]:
    external = [(Lookup.EXTERNAL, body.external_key)] if body.external_key is not None else []
    return {(Lookup.NAME, body.name_key), *external, *((Lookup.WORK_EMAIL, one) for one in body.email_keys)}


async def found(store: Store, tenant: int, keys: Iterable[tuple[Lookup, str]]) -> set[tuple[Lookup, str]]:
    """Those of the keys that find somebody; what they find is what is there under its id."""
    hits = set()
    for by, key in keys:
        for one in await store.lookup(tenant, "User", by, key):
            assert await store.get(tenant, "User", one.id) == one
            hits.add((by, key))
    return hits


@pytest.mark.parametrize("name", CHANGES)
async def test_look_ups_follow_every_change_of_a_key(
    store: Store, other: Store, tenant: int, name: str
) -> None:
    before, after = ADA, CHANGES[name]
    ada = await store.create(tenant, "User", before, actor=ACTOR)
    everywhere = keys_of(before) | keys_of(after)

    for number, body in enumerate((after, before, after)):
        changed = await (store, other, store)[number].modify(
            tenant,
            "User",
            ada.id,
            to(body),
            actor=ACTOR,
        )
        assert changed is not None
        assert changed.version == number + 2
        for reader in (store, other):
            assert await found(reader, tenant, everywhere) == keys_of(body)
            assert await reader.get(tenant, "User", ada.id) == changed


@pytest.mark.parametrize("name", CHANGES)
async def test_the_former_keys_are_free_and_the_present_ones_taken(
    store: Store, tenant: int, name: str
) -> None:
    before, after = ADA, CHANGES[name]
    ada = await store.create(tenant, "User", before, actor=ACTOR)
    await store.modify(tenant, "User", ada.id, to(after), actor=ACTOR)

    rivals = {
        "name": dataclasses.replace(prepared("x1"), name_key=after.name_key),
        "match": prepared("x2", match=after.match_key or "nobody's"),
        "former name": dataclasses.replace(prepared("x3"), name_key=before.name_key),
        "former match": prepared("x4", match=before.match_key),
    }
    refused = set()
    for what, rival in rivals.items():
        try:
            await store.create(tenant, "User", rival, actor=ACTOR)
        except Conflict:
            refused.add(what)

    expected = {"name"}
    expected |= {"match"} if after.match_key is not None else set()
    expected |= {"former name"} if after.name_key == before.name_key else set()
    expected |= {"former match"} if after.match_key == before.match_key else set()
    assert refused == expected


async def test_a_refused_change_of_keys_leaves_all_of_them(store: Store, other: Store, tenant: int) -> None:
    ada = await store.create(tenant, "User", ADA, actor=ACTOR)
    bob = await other.create(tenant, "User", prepared("bob"), actor=ACTOR)

    for name_key, match_key in (
        ("bob", ADA.match_key),
        ("ada", "bob@contoso.com"),
        ("bob", "bob@contoso.com"),
    ):
        body = dataclasses.replace(CHANGES["everything"], name_key=name_key, match_key=match_key)
        with pytest.raises(Conflict):
            await store.modify(tenant, "User", ada.id, to(body), actor=ACTOR)

    everywhere = keys_of(ADA) | keys_of(prepared("bob")) | keys_of(CHANGES["everything"])
    assert await found(other, tenant, everywhere) == keys_of(ADA) | keys_of(prepared("bob"))
    assert await other.get(tenant, "User", ada.id) == ada
    assert await store.get(tenant, "User", bob.id) == bob

"""What is to be unique and is not is listed, of every tenant, with all who have it."""

from typing import Any

import pytest

from scim_api.contract.admin import Matching, TenantSettings
from scim_api.store.duplicate import Duplicate
from scim_api.store.protocol import Store
from support.earlier_release import EarlierRelease
from support.stored import connect, credential, digest_of


def user(name: str, *emails: str) -> dict[str, Any]:
    entries = [{"type": "work", "value": email} for email in emails]
    return {"userName": name, "externalId": name, "emails": entries}


async def tenant_with(store: Store, matching: Matching) -> tuple[int, TenantSettings]:
    settings = TenantSettings(matching=matching)
    await connect(
        store, credential(f"t-{matching}"), name=matching.lower(), tenant=matching.lower(), settings=settings
    )
    access = await store.access(digest_of(f"t-{matching}"))
    assert access is not None
    return access.tenant, settings


@pytest.mark.parametrize("rebuilt", [True, False])
async def test_shared_work_emails_are_told_where_users_match_by_them(store: Store, rebuilt: bool) -> None:
    ids: dict[Matching, list[str]] = {}
    for matching in Matching:
        tenant, settings = await tenant_with(store, matching)
        ids[matching] = await EarlierRelease(store.url, tenant, settings).create(
            "User",
            user("ada", "ada@x", "Shared@x"),
            user("bob", "bob@x", "shared@X", "two@x"),
            user("eve", "two@x"),
        )
    while rebuilt and (await store.rebuild_keys()).looked_at:
        pass
    ada, bob, eve = ids[Matching.WORK_EMAIL]
    work = 'emails[type eq "work"].value'
    assert list(await store.duplicates()) == [
        Duplicate("apps/workemail", "User", work, "shared@x", (ada, bob)),
        Duplicate("apps/workemail", "User", work, "two@x", (bob, eve)),
    ]


async def test_names_that_became_one_are_told(store: Store) -> None:
    tenant, settings = await tenant_with(store, Matching.USER_NAME)
    earlier = EarlierRelease(store.url, tenant, settings)
    users = await earlier.create("User", user("x\u03c3"), user("x\u03a3"), user("y"))
    groups = await earlier.create("Group", {"displayName": "x\u03a3"}, {"displayName": "x\u03c3"})
    while (await store.rebuild_keys()).looked_at:
        pass
    assert {(one.kind, one.attribute, one.key, one.ids) for one in await store.duplicates()} == {
        ("User", "userName", "x\u03c3", tuple(users[:2])),
        ("Group", "displayName", "x\u03c3", tuple(groups)),
    }


async def test_where_everything_is_unique_there_is_nothing_to_tell(store: Store) -> None:
    assert list(await store.duplicates()) == []

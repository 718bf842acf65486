"""Where users match by work e-mail, a work address is one user's: every one of theirs, by every way of writing.

Entra stops with MultipleEntries when its matching filter finds two, so no second user gets an address of the
first, whether it is the first, the second or the last of either.
"""

import asyncio
from typing import Any, Final

import httpx
import pytest
import pytest_asyncio

from api.conftest import Scim
from support.conversation import WORK_EMAIL, Conversation, op, refusal
from support.database import run_sql
from support.earlier_release import EarlierRelease
from support.shared_scim import SHARED, Connect

pytestmark = SHARED

BULK: Final = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"


def user(name: str, *emails: str) -> dict[str, Any]:
    return {
        "userName": name,
        "externalId": name,
        "emails": [{"type": "work", "value": email, "primary": not n} for n, email in enumerate(emails)],
    }


async def bulk(tenant: Conversation, method: str, path: str, data: dict[str, Any]) -> int:
    operation = {"method": method, "path": path, "bulkId": "b", "data": data}
    answer = await tenant.send("POST", "/Bulk", {"schemas": [BULK], "Operations": [operation]})
    assert answer.status_code == 200, answer.text
    [done] = answer.json()["Operations"]
    if int(done["status"]) == 409:
        assert done["response"]["scimType"] == "uniqueness"
    return int(done["status"])


@pytest.mark.parametrize("theirs", ["first@x", "second@x", "THIRD@x", "\u03bd\u03b9\u03ba\u03bf\u03c3@x"])
@pytest.mark.parametrize("place", ["first", "second"])
async def test_no_way_of_writing_gives_a_user_an_address_of_another(
    contoso: Conversation, theirs: str, place: str
) -> None:
    ada = user("ada", "first@x", "second@x", "third@x", "\u039d\u0399\u039a\u039f\u03a3@x")
    await contoso.create(ada)
    bob = await contoso.create(user("bob", "bob@x"))
    emails = (theirs, "eve@x") if place == "first" else ("eve@x", theirs)
    entries = user("bob", *emails)["emails"]
    there = f"/Users/{bob['id']}"
    writes: list[httpx.Response] = [
        await contoso.send("POST", "/Users", user("eve", *emails)),
        await contoso.send("PUT", there, user("bob", *emails)),
        await contoso.patched(there, op("replace", "emails", entries)),
        await contoso.patched(there, op("add", "emails", [{"type": "work", "value": theirs}])),
        await contoso.patched(there, op("Replace", WORK_EMAIL, theirs)),
        await contoso.patched(there, op("replace", None, {WORK_EMAIL: theirs})),
        await contoso.patched(there, op("replace", None, {"emails": entries})),
    ]
    for answer in writes:
        assert "work e-mail" in refusal(answer, 409, "uniqueness")
    patch = {"Operations": [op("replace", "emails", entries)]}
    assert await bulk(contoso, "POST", "/Users", user("eve", *emails)) == 409
    assert await bulk(contoso, "PUT", there, user("bob", *emails)) == 409
    assert await bulk(contoso, "PATCH", there, patch) == 409
    assert await contoso.get(bob["id"]) == bob
    assert len(await contoso.find(f'{WORK_EMAIL} eq "{theirs}"')) == 1
    assert await contoso.find(f'{WORK_EMAIL} eq "eve@x"') == []


async def test_an_address_is_free_when_its_user_is_deleted_or_gives_it_up(contoso: Conversation) -> None:
    ada = await contoso.create(user("ada", "ada@x", "shared@x"))
    bob = await contoso.create(user("bob", "bob@x"))
    await contoso.patch(ada["id"], op("remove", 'emails[value eq "shared@x"]'))
    await contoso.patch(bob["id"], op("add", "emails", [{"type": "work", "value": "shared@x"}]))
    refusal(
        await contoso.send("PUT", f"/Users/{ada['id']}", user("ada", "ada@x", "shared@x")), 409, "uniqueness"
    )
    await contoso.delete(f"/Users/{bob['id']}")
    answer = await contoso.send("PUT", f"/Users/{ada['id']}", user("ada", "ada@x", "shared@x", "bob@x"))
    assert answer.status_code == 200
    assert [one["id"] for one in await contoso.find(f'{WORK_EMAIL} eq "bob@x"')] == [ada["id"]]


async def test_what_is_no_work_address_or_in_another_tenant_is_nobodys(
    contoso: Conversation, connect: Connect
) -> None:
    await contoso.create(user("ada", "ada@x", "shared@x"))
    home = {**user("bob", "bob@x")}
    home["emails"] = [*home["emails"], {"type": "home", "value": "shared@x"}, {"value": "ada@x"}]
    await contoso.create(home)
    for matching in ("workEmail", "userName", "externalId"):
        other = await connect(matching=matching)
        await other.create(user("eve", "eve@x", "shared@x"))
        answer = await other.send("POST", "/Users", user("bob", "bob@x", "shared@x"))
        assert answer.status_code == (409 if matching == "workEmail" else 201)


async def test_a_user_may_have_an_address_twice_and_reorder_its_own(contoso: Conversation) -> None:
    ada = await contoso.create(user("ada", "ada@x", "ADA@x", "second@x"))
    for emails in (("second@x", "ada@x"), ("Second@x",), ("ada@x", "second@x", "ada@X")):
        answer = await contoso.send("PUT", f"/Users/{ada['id']}", user("ada", *emails))
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("ways", ["creates", "changes", "both"])
async def test_of_two_writes_at_once_one_gets_the_address(contoso: Conversation, ways: str) -> None:
    people = [await contoso.create(user(f"p{n}", f"p{n}@x")) for n in range(2)]
    for turn in range(12):
        email = f"shared{turn}@x"
        created = [
            contoso.send("POST", "/Users", user(f"new{turn}-{n}", f"new{turn}-{n}@x", email))
            for n in range(4)
        ]
        changed = [
            contoso.patched(f"/Users/{one['id']}", op("add", "emails", [{"type": "work", "value": email}]))
            for one in people
        ]
        asked = {"creates": created, "changes": changed, "both": created + changed}[ways]
        for unused in created + changed:
            if unused not in asked:
                unused.close()
        answers = await asyncio.gather(*asked)
        assert sorted(answer.status_code for answer in answers)[1:] == [409] * (len(asked) - 1)
        assert min(answer.status_code for answer in answers) in {200, 201}
        assert len(await contoso.find(f'{WORK_EMAIL} eq "{email}"')) == 1


async def rebuild(scim: Scim) -> None:
    while (await scim.service.store.rebuild_keys()).looked_at:
        pass
    await scim.service.store.rebuild_keys()


@pytest_asyncio.fixture(
    loop_scope="module", params=["second and second", "first and second", "second and first"]
)
async def sharing(request: pytest.FixtureRequest, scim: Scim, contoso: Conversation) -> tuple[str, str]:
    """Ids of two users who have one address, as a process of an earlier release let them."""
    one = await contoso.create(user("first", "own@x"))
    [[tenant]] = await run_sql(
        scim.service.store.url, f"SELECT tenant FROM resource WHERE id = '{one['id']}'"
    )
    emails = {
        "second and second": (("ada@x", "shared@x"), ("bob@x", "shared@x")),
        "first and second": (("shared@x", "ada@x"), ("bob@x", "shared@x")),
        "second and first": (("ada@x", "shared@x"), ("shared@x", "bob@x")),
    }[request.param]
    ada, bob = await EarlierRelease(scim.service.store.url, tenant).create(
        "User", user("ada", *emails[0]), user("bob", *emails[1])
    )
    return ada, bob


@pytest.mark.parametrize("rebuilt", [True, False])
async def test_users_who_share_an_address_already_are_served_and_can_be_mended(
    scim: Scim, contoso: Conversation, sharing: tuple[str, str], rebuilt: bool
) -> None:
    if rebuilt:
        await rebuild(scim)
    for identity in sharing:
        now = await contoso.patch(identity, op("replace", "title", "new"))
        assert len(now["emails"]) == 2
        answer = await contoso.send("PUT", f"/Users/{identity}", {**now, "title": "newer"})
        assert answer.status_code == 200, answer.text
    assert {one["id"] for one in await contoso.find(f'{WORK_EMAIL} eq "shared@x"')} == set(sharing)
    await rebuild(scim)
    refusal(await contoso.send("POST", "/Users", user("eve", "eve@x", "Shared@x")), 409, "uniqueness")

    ada, bob = sharing
    answer = await contoso.send("PUT", f"/Users/{ada}", user("ada", "ada@x"))
    assert answer.status_code == 200
    await rebuild(scim)

    assert [one["id"] for one in await contoso.find(f'{WORK_EMAIL} eq "shared@x"')] == [bob]
    refusal(await contoso.send("POST", "/Users", user("eve", "eve@x", "shared@x")), 409, "uniqueness")
    await contoso.delete(f"/Users/{bob}")
    await contoso.create(user("eve", "eve@x", "shared@x"))

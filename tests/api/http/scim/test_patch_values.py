"""What a PATCH does whose value is absent, null or empty: nothing is taken away that nobody asked to remove.

RFC 7644 section 3.5.2.1 (an Add contains a value), 3.5.2.3 (a Replace that selects nothing fails) and 3.12
(invalidValue: a required value was missing); explicit null and "" clear, since Entra needs it.
"""

import uuid
from typing import Any, Final

import pytest

from support.conversation import CUSTOM, ENTERPRISE, GROUP, WORK_EMAIL, Conversation, expect, op, refusal
from support.shared_scim import SHARED, Connect, connect, contoso, scim

__all__ = ["connect", "contoso", "scim"]
pytestmark = SHARED

BULK: Final = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
PATCH_OP: Final = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
FIELDS: Final = [
    {"name": "floor", "type": "Integer"},
    {"name": "skills", "type": "String", "multiValued": True},
]
ADA: Final = {
    "userName": "ada@x",
    "displayName": "Ada",
    "active": False,
    "name": {"givenName": "Ada"},
    "emails": [{"type": "work", "value": "ada@x", "primary": True}],
    "roles": [{"value": "reader"}],
    ENTERPRISE: {"department": "R&D", "manager": {"value": "boss"}},
    CUSTOM: {"floor": 3, "skills": ["a", "b"]},
}
EMPTY_ENTRIES: Final = [None, "", {}, {"value": None}, {"value": ""}, {"$ref": None}, {"display": "x"}]


async def bulk(tenant: Conversation, method: str, path: str, data: dict[str, Any]) -> dict[str, Any]:
    """The result of one operation of a bulk request."""
    operation = {"method": method, "path": path, "data": data}
    if method == "POST":
        operation["bulkId"] = "it"
    body = {"schemas": [BULK], "Operations": [operation]}
    [result] = expect(await tenant.send("POST", "/Bulk", body), 200)["Operations"]
    return dict(result)


async def bulk_patch(tenant: Conversation, path: str, *operations: dict[str, Any]) -> dict[str, Any]:
    """The result of a PATCH within a bulk request."""
    return await bulk(tenant, "PATCH", path, {"schemas": [PATCH_OP], "Operations": list(operations)})


@pytest.fixture
def nobody() -> str:
    """An id that no resource has."""
    return str(uuid.uuid4())


# -- absent values ----------------------------------------------------------------------------------
PATHS: Final = [
    "displayName", "active", "userName", "name", "name.givenName", "emails", "emails.value", WORK_EMAIL,
    'emails[type eq "work"]', 'emails[value sw "ada"]', 'emails[type eq "home"].value', "roles", "manager", ENTERPRISE,
    f"{ENTERPRISE}:department", f"{ENTERPRISE}:manager.value", CUSTOM, f"{CUSTOM}:floor", f"{CUSTOM}:skills",
    f'{CUSTOM}:skills[value eq "a"]', "password", "id", "", None,
]  # fmt: skip


@pytest.mark.parametrize("kind", ["add", "Add", "replace", "Replace"])
async def test_a_user_loses_nothing_by_an_operation_without_a_value(connect: Connect, kind: str) -> None:
    tenant = await connect(customFields=FIELDS)
    before = await tenant.create(ADA)
    for path in PATHS:
        detail = refusal(await tenant.patched(f"/Users/{before['id']}", op(kind, path)), 400, "invalidValue")
        assert 'no "value"' in detail
        assert (path or "path") in detail.replace("\\", "")
        result = await bulk_patch(tenant, f"/Users/{before['id']}", op(kind, path))
        assert (result["status"], result["response"]["scimType"]) == ("400", "invalidValue")
    assert await tenant.get(before["id"]) == before


@pytest.mark.parametrize("kind", ["add", "Replace"])
@pytest.mark.parametrize(
    "path", ["members", "displayName", "externalId", f"{GROUP}:members", "members.value", None]
)
async def test_a_group_loses_nothing_by_an_operation_without_a_value(
    contoso: Conversation, kind: str, path: str | None
) -> None:
    ada = await contoso.create(ADA | {CUSTOM: {}})
    group = (await contoso.create_group("Staff", ada["id"], externalId="g"))["id"]
    before = await contoso.get(group, "/Groups")
    for where in (path, f'members[value eq "{ada["id"]}"]', 'members[type eq "User"]'):
        refusal(await contoso.patched(f"/Groups/{group}", op(kind, where)), 400, "invalidValue")
        result = await bulk_patch(contoso, f"/Groups/{group}", op(kind, where))
        assert (result["status"], result["response"]["scimType"]) == ("400", "invalidValue")
    assert await contoso.get(group, "/Groups") == before


async def test_an_operation_without_a_value_stops_those_before_it(contoso: Conversation) -> None:
    before = await contoso.create(ADA | {CUSTOM: {}})
    answer = await contoso.patched(
        f"/Users/{before['id']}", op("replace", "displayName", "New"), op("replace", "name.givenName")
    )
    refusal(answer, 400, "invalidValue")
    assert await contoso.get(before["id"]) == before


# -- empty values -----------------------------------------------------------------------------------
@pytest.mark.parametrize("nothing", [None, ""])
@pytest.mark.parametrize("kind", ["Add", "Replace"])
async def test_null_and_an_empty_string_go_on_clearing(connect: Connect, kind: str, nothing: Any) -> None:
    tenant = await connect(customFields=FIELDS, matching="userName")
    made = await tenant.create(ADA)
    cleared = await tenant.patch(
        made["id"],
        op(kind, "displayName", nothing),
        op(kind, "name.givenName", nothing),
        op(kind, WORK_EMAIL, nothing),
        op(kind, "manager", nothing),
        op(kind, None, {f"{ENTERPRISE}:department": nothing, f"{CUSTOM}:floor": nothing}),
    )
    assert not {"displayName", "name", "emails", ENTERPRISE} & cleared.keys()
    assert cleared[CUSTOM] == {"skills": ["a", "b"]}


@pytest.mark.parametrize(
    "added",
    [
        op("add", "displayName", []),
        op("add", "name", []),
        op("add", "name", {}),
        op("add", "name.givenName", []),
        op("add", "emails", []),
        op("add", "emails", [{"type": "work"}]),
        op("add", 'emails[type eq "work"]', []),
        op("add", WORK_EMAIL, []),
        op("add", "manager", []),
        op("add", "manager", {}),
        op("add", "manager", [{"displayName": "Boss"}]),
        op("replace", "manager", {"displayName": "Boss"}),
        op("add", f"{CUSTOM}:floor", []),
        op("add", None, {"displayName": [], "manager": {}, "name": {"givenName": []}}),
    ],
)
async def test_what_names_no_value_adds_none_and_takes_none_away(
    connect: Connect, added: dict[str, Any]
) -> None:
    tenant = await connect(customFields=FIELDS)
    before = await tenant.create(ADA)
    assert await tenant.patch(before["id"], added) == before


async def test_a_value_added_to_a_selected_one_stands_beside_it(connect: Connect) -> None:
    tenant = await connect(customFields=FIELDS)
    made = await tenant.create(ADA)
    where = f'{CUSTOM}:skills[value eq "a"]'
    assert (await tenant.patch(made["id"], op("add", where, "c")))[CUSTOM]["skills"] == ["a", "b", "c"]
    assert (await tenant.patch(made["id"], op("replace", where, "d")))[CUSTOM]["skills"] == ["d", "b", "c"]


async def test_an_address_without_an_id_names_no_manager(contoso: Conversation) -> None:
    before = await contoso.create(ADA | {CUSTOM: {}})
    answer = await contoso.patched(f"/Users/{before['id']}", op("replace", "manager", {"$ref": "/"}))
    assert "manager" in refusal(answer, 400, "invalidValue")
    assert await contoso.get(before["id"]) == before


# -- members ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("value", [None, "", [], {"value": "x"}, ["x"]])
async def test_an_add_to_selected_members_takes_nobody_away(contoso: Conversation, value: Any) -> None:
    ada = await contoso.create(ADA | {CUSTOM: {}})
    group = (await contoso.create_group("Staff", ada["id"]))["id"]
    for where in (f'members[value eq "{ada["id"]}"]', 'members[type eq "User"]'):
        answer = await contoso.patched(f"/Groups/{group}", op("add", where, value))
        assert where in refusal(answer, 400, "invalidPath").replace("\\", "")
    assert await contoso.members(group) == {ada["id"]}


@pytest.mark.parametrize("value", [None, "", []])
async def test_adding_no_members_takes_nobody_away(contoso: Conversation, value: Any) -> None:
    ada = await contoso.create(ADA | {CUSTOM: {}})
    group = (await contoso.create_group("Staff", ada["id"]))["id"]
    await contoso.patch_group(group, op("Add", "members", value), op("add", None, {"members": value}))
    assert await contoso.members(group) == {ada["id"]}


@pytest.mark.parametrize("entry", EMPTY_ENTRIES, ids=repr)
async def test_a_member_that_names_nobody_is_refused_wherever_it_comes(
    contoso: Conversation, entry: Any
) -> None:
    ada = (await contoso.create(ADA | {CUSTOM: {}}))["id"]
    group = (await contoso.create_group("Staff", ada))["id"]
    before = await contoso.get(group, "/Groups")
    path = f"/Groups/{group}"
    for value, position in (([entry], 1), ([{"value": ada}, entry], 2), ([entry, {"value": ada}], 1)):
        for operation in (
            op("replace", "members", value),
            op("Add", "members", value),
            op("replace", f'members[value eq "{ada}"]', value),
            op("replace", None, {"members": value}),
        ):
            detail = refusal(await contoso.patched(path, operation), 400, "invalidValue")
            assert f"Entry {position} of members" in detail
            result = await bulk_patch(contoso, path, operation)
            assert (result["status"], result["response"]["detail"]) == ("400", detail)
        body = {"displayName": "Other", "members": value}
        for method, where in (("PUT", path), ("POST", "/Groups")):
            detail = refusal(await contoso.send(method, where, body), 400, "invalidValue")
            assert f"Entry {position} of members" in detail
            assert (await bulk(contoso, method, where, body))["response"]["detail"] == detail
    if isinstance(entry, dict):
        refusal(await contoso.patched(path, op("replace", "members", entry)), 400, "invalidValue")
    assert await contoso.get(group, "/Groups") == before
    assert len(await contoso.find("displayName pr", "/Groups")) == 1


@pytest.mark.parametrize("value", [None, "", []])
async def test_no_members_at_all_is_said_by_null_an_empty_string_or_list(
    contoso: Conversation, value: Any
) -> None:
    ada = (await contoso.create(ADA | {CUSTOM: {}}))["id"]
    created = await contoso.create({"displayName": "New", "members": value}, "/Groups")
    assert created["members"] == []
    patched = (await contoso.create_group("Patched", ada))["id"]
    await contoso.patch_group(patched, op("replace", "members", value))
    assert await contoso.members(patched) == set()
    put = (await contoso.create_group("Put", ada))["id"]
    answer = await contoso.send("PUT", f"/Groups/{put}", {"displayName": "Put", "members": value})
    assert expect(answer, 200)["members"] == []


# -- a replace that selects nobody ------------------------------------------------------------------
@pytest.mark.parametrize("value", [..., None, ""])
async def test_a_replace_of_members_that_selects_nobody_has_no_target(
    contoso: Conversation, nobody: str, value: Any
) -> None:
    ada = (await contoso.create(ADA | {CUSTOM: {}}))["id"]
    bob = (
        await contoso.create(ADA | {CUSTOM: {}, "userName": "b", "emails": [{"type": "work", "value": "b"}]})
    )["id"]
    group = (await contoso.create_group("Staff", ada))["id"]
    before = await contoso.get(group, "/Groups")
    sent = {"value": bob} if value is ... else value
    for where in ('members[value eq "bogus"]', f'members[value eq "{nobody}"]', 'members[type eq "Group"]',
                  f'members[value eq "{bob}"]'):  # fmt: skip
        operation = op("replace", where, sent)
        detail = refusal(await contoso.patched(f"/Groups/{group}", operation), 400, "noTarget")
        assert where in detail
        result = await bulk_patch(contoso, f"/Groups/{group}", op("add", "externalId", "x"), operation)
        assert (result["status"], result["response"]["scimType"]) == ("400", "noTarget")
    assert await contoso.get(group, "/Groups") == before
    await contoso.patch_group(group, op("remove", 'members[value eq "bogus"]'))
    await contoso.patch_group(group, op("replace", f'members[value eq "{ada}"]', {"value": bob}))
    assert await contoso.members(group) == {bob}


async def test_what_an_earlier_operation_added_is_selected(contoso: Conversation) -> None:
    ada = (await contoso.create(ADA | {CUSTOM: {}}))["id"]
    inner = (await contoso.create_group("Inner"))["id"]
    group = (await contoso.create_group("Staff"))["id"]
    await contoso.patch_group(
        group,
        op("add", "members", [{"value": ada}]),
        op("replace", f'members[value eq "{ada}"]', {"value": inner}),
    )
    assert await contoso.members(group) == {inner}


async def test_what_brackets_describe_is_created_on_a_user(contoso: Conversation) -> None:
    made = await contoso.create(ADA | {CUSTOM: {}})
    phone = 'phoneNumbers[type eq "mobile"]'
    changed = await contoso.patch(
        made["id"], op("Replace", f"{phone}.value", "1"), op("replace", phone, {"display": "M"})
    )
    assert changed["phoneNumbers"] == [{"type": "mobile", "display": "M"}]


# -- active -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("enabled", [False, True])
@pytest.mark.parametrize(
    "operations",
    [
        [op("replace", "active", None)],
        [op("Replace", "active", "")],
        [op("add", "active", [])],
        [op("replace", "active", [])],
        [op("Add", "active", [{"value": None}])],
        [op("Remove", "active")],
        [op("remove", "ACTIVE", "True")],
        [op("replace", None, {"active": None})],
        [op("add", None, {"active": ""})],
        [op("replace", None, {"urn:ietf:params:scim:schemas:core:2.0:User": {"active": None}})],
        [op("remove", "urn:ietf:params:scim:schemas:core:2.0:User:active")],
        [op("remove", "active"), op("replace", "displayName", "Ada")],
    ],
)
async def test_nobody_is_enabled_or_disabled_by_omission(
    contoso: Conversation, enabled: bool, operations: list[dict[str, Any]]
) -> None:
    before = await contoso.create(ADA | {CUSTOM: {}, "active": enabled})
    path = f"/Users/{before['id']}"
    assert expect(await contoso.patched(path, *operations), 200) == before
    assert (await bulk_patch(contoso, path, *operations))["status"] == "200"
    assert await contoso.get(before["id"]) == before
    assert [one["id"] for one in await contoso.find(f"active eq {str(enabled).lower()}")] == [before["id"]]
    put = await contoso.send("PUT", path, {**ADA, CUSTOM: {}, "active": None})
    assert expect(put, 200)["active"] is enabled


async def test_a_user_that_is_disabled_stays_so_when_the_flag_is_cleared_at_once(
    contoso: Conversation,
) -> None:
    made = await contoso.create(ADA | {CUSTOM: {}, "active": True})
    changed = await contoso.patch(made["id"], op("replace", "active", "False"), op("remove", "active"))
    assert changed["active"] is False
    assert (await contoso.patch(made["id"], op("remove", "active"), op("add", "active", True)))[
        "active"
    ] is True


async def test_a_custom_field_with_the_name_of_the_flag_is_cleared(connect: Connect) -> None:
    tenant = await connect(customFields=[{"name": "active", "type": "Boolean"}])
    made = await tenant.create(ADA | {CUSTOM: {"active": True}})
    changed = await tenant.patch(made["id"], op("replace", f"{CUSTOM}:active", None))
    assert CUSTOM not in changed
    assert changed["active"] is False

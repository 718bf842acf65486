"""PATCHes that lack, null, empty or misplace each part, over HTTP and in Bulk, on both databases, judged by a model."""

import dataclasses
import itertools
import json
from typing import Any, Final

import pytest_asyncio
from hypothesis import HealthCheck, example, given, settings

from api.conftest import BASE
from support import patch_grammar, patch_model_groups, patch_model_users
from support.conversation import Conversation, Json, expect
from support.patch_model import ENTERPRISE, Refused
from support.patch_model_groups import ADA, BOB, INNER, SELF, Group
from support.shared_scim import SHARED, Connect, connect, scim

__all__ = ["connect", "scim"]
pytestmark = SHARED

PATCH_OP: Final = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
BULK: Final = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
FIELDS: Final = [
    {"name": "floor", "type": "Integer"},
    {"name": "skills", "type": "String", "multiValued": True},
]
COMPUTED: Final = frozenset({"id", "meta", "schemas"})
BOUNDED: Final = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
_numbers = itertools.count()


@dataclasses.dataclass
class Tenant:
    """A tenant with those whom groups of the model have as members."""

    conversation: Conversation
    ids: dict[str, str]
    """The ids here of the model's."""

    async def patch(self, path: str, operations: list[Any], *, in_bulk: bool) -> tuple[int, str | None]:
        """Send a PATCH, alone or in a bulk request; its status and, when it is refused, the scimType."""
        body = {"schemas": [PATCH_OP], "Operations": operations}
        if not in_bulk:
            answer = await self.conversation.send("PATCH", path, body)
            return answer.status_code, answer.json()["scimType"] if answer.status_code >= 400 else None
        bulk = {"schemas": [BULK], "Operations": [{"method": "PATCH", "path": path, "data": body}]}
        [result] = expect(await self.conversation.send("POST", "/Bulk", bulk), 200)["Operations"]
        return int(result["status"]), result.get("response", {}).get("scimType")

    def here(self, value: Any, **more: str) -> Any:
        """A value of the model with the ids of this tenant, in their letters' case."""
        text = json.dumps(value)
        for theirs, ours in (self.ids | more).items():
            text = text.replace(theirs, ours).replace(theirs.upper(), ours.upper())
        return json.loads(text)


@pytest_asyncio.fixture(loop_scope="module")
async def tenant(connect: Connect) -> Tenant:
    conversation = await connect(customFields=FIELDS, matching="userName")
    ids = {
        theirs: (await conversation.create({"userName": f"of the group {theirs}"}))["id"]
        for theirs in (ADA, BOB)
    }
    ids[INNER] = (await conversation.create_group("Inner"))["id"]
    return Tenant(conversation, ids)


def check(answer: tuple[int, str | None], expected: object) -> None:
    """Done or refused, as the model says."""
    status, scim_type = answer
    if isinstance(expected, Refused):
        assert status == 400
        assert scim_type in expected.scim_types
    else:
        assert status in {200, 204}


def without_computed(user: Json) -> Json:
    """What a client said of a user: not what the service adds."""
    said = {name: value for name, value in user.items() if name not in COMPUTED}
    if "manager" in (enterprise := said.get(ENTERPRISE, {})):
        address = enterprise["manager"]["$ref"]
        assert address == f"{BASE}/Users/{enterprise['manager']['value']}"
        said[ENTERPRISE] = {**enterprise, "manager": {"value": enterprise["manager"]["value"]}}
    return said


async def check_user(tenant: Tenant, user: Json, operations: list[Any], *, in_bulk: bool) -> None:
    """A new user takes the operations as the model does; it is deleted again."""
    made = await tenant.conversation.create(user)
    path = f"/Users/{made['id']}"
    expected = patch_model_users.patch_user(user, operations)
    check(await tenant.patch(path, operations, in_bulk=in_bulk), expected)
    after = await tenant.conversation.get(made["id"])
    if isinstance(expected, Refused) or expected == user:
        assert after == made
    else:
        assert without_computed(after) == expected
        found = await tenant.conversation.find(
            f"active eq {str(expected['active']).lower()} and id eq {json.dumps(made['id'])}"
        )
        assert found == [after]
    await tenant.conversation.delete(path)


async def check_group(tenant: Tenant, members: set[str], operations: list[Any], *, in_bulk: bool) -> None:
    """The same for a group."""
    group = Group({"displayName": f"Staff {next(_numbers)}", "externalId": "g"}, members)
    made = await tenant.conversation.create_group(
        group.attributes["displayName"], *(tenant.ids[one] for one in sorted(members)), externalId="g"
    )
    path = f"/Groups/{made['id']}"
    expected = patch_model_groups.patch_group(group, operations)
    check(await tenant.patch(path, tenant.here(operations, **{SELF: made["id"]}), in_bulk=in_bulk), expected)
    after = await tenant.conversation.get(made["id"], "/Groups")
    if isinstance(expected, Refused):
        assert after == made
    else:
        held = {name: value for name, value in after.items() if name not in COMPUTED | {"members"}}
        assert held == expected.attributes
        assert {one["value"] for one in after["members"]} == {tenant.ids[one] for one in expected.members}
    await tenant.conversation.delete(path)


@BOUNDED
@given(user=patch_grammar.users, operations=patch_grammar.user_patches)
@example(user={"userName": "ada", "active": False, "title": "T"}, operations=[{"op": "add", "path": "title"}])
@example(user={"userName": "ada", "active": False}, operations=[{"op": "Remove", "path": "active"}])
async def test_a_user_becomes_what_the_model_says(tenant: Tenant, user: Json, operations: list[Any]) -> None:
    await check_user(tenant, user, operations, in_bulk=False)
    await check_user(tenant, user, operations, in_bulk=True)


@BOUNDED
@given(members=patch_grammar.memberships, operations=patch_grammar.group_patches)
@example(members={ADA}, operations=[{"op": "replace", "path": "members"}])
@example(members={ADA}, operations=[{"op": "add", "path": f'members[value eq "{ADA}"]', "value": ""}])
@example(members={ADA}, operations=[{"op": "add", "path": f'members[value eq "{ADA}"]', "value": None}])
@example(
    members={ADA},
    operations=[{"op": "replace", "path": 'members[value eq "bogus"]', "value": {"value": BOB}}],
)
async def test_a_group_becomes_what_the_model_says(
    tenant: Tenant, members: set[str], operations: list[Any]
) -> None:
    await check_group(tenant, members, operations, in_bulk=False)
    await check_group(tenant, members, operations, in_bulk=True)

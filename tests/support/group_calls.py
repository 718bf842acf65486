"""What tests of groups in a store do again and again."""

from collections.abc import Callable, Sequence

from scim_api.contract.urns import PATCH_OP
from scim_api.core.model import Resource, ResourceWrite
from scim_api.core.patch.groups import patch_group
from scim_api.core.patch.request import read_patch
from scim_api.core.resources.groups import create_group
from scim_api.store.change_log import Actor
from scim_api.store.protocol import Store
from support.scim_core import profile_of
from support.stored import prepared

TENANT = profile_of()
ACTOR = Actor("c1")


async def person(store: Store, tenant: int, name: str) -> str:
    return (await store.create(tenant, "User", prepared(name), actor=ACTOR)).id


async def group(store: Store, tenant: int, name: str, members: Sequence[str] = ()) -> Resource:
    body = create_group(TENANT, {"displayName": name, "members": [{"value": one} for one in members]})
    return await store.create(tenant, "Group", body, actor=ACTOR)


async def members(store: Store, tenant: int, of: Resource) -> list[str]:
    return [one.id for one in await store.members(tenant, of.pk, after=0, limit=10_000)]


def change(*operations: dict[str, object]) -> Callable[[Resource], ResourceWrite | None]:
    """A transform of a PATCH."""
    read = read_patch(TENANT, {"schemas": [PATCH_OP], "Operations": list(operations)}, "Group")
    return lambda current: patch_group(TENANT, current, read)


def add(*ids: str) -> dict[str, object]:
    return {"op": "add", "path": "members", "value": [{"value": one} for one in ids]}


def remove(*ids: str) -> dict[str, object]:
    return {"op": "remove", "path": "members", "value": [{"value": one} for one in ids]}


async def patched(store: Store, tenant: int, of: Resource, *operations: dict[str, object]) -> Resource:
    made = await store.modify(tenant, "Group", of.id, change(*operations), actor=ACTOR)
    assert made is not None
    return made

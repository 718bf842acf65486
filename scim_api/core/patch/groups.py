"""Applying a PATCH to a group: operations on its body, and changes of its members as steps for the store."""

import orjson

from scim_api.core.errors import mutability
from scim_api.core.model import MemberChange, Resource, ResourceWrite
from scim_api.core.patch.apply import apply_operation
from scim_api.core.patch.request import PatchOperation
from scim_api.core.resources.body import is_missing
from scim_api.core.resources.groups import prepare_group, refuse_self_membership
from scim_api.core.schema.tenant_schema import TenantSchema
from scim_api.core.types import Json


def patch_group(
    tenant_schema: TenantSchema, current: Resource, operations: tuple[PatchOperation, ...]
) -> ResourceWrite | None:
    """The group after all operations, with the steps to take on its members; None when there is nothing
    to do.

    Args:
        tenant_schema: the tenant's.
        current: the group as stored; not modified.
        operations: from ``read_patch``.

    Raises:
        ScimError: 400 mutability when displayName would be missing; invalidValue for a group in itself.
    """
    doc: dict[str, Json] = orjson.loads(current.doc)
    del doc["schemas"]
    before = dict(doc)
    changes: list[MemberChange] = []
    for operation in operations:
        if operation.target.attribute.is_membership:
            change: MemberChange = operation.value
            refuse_self_membership(current, change.ids if change.op != "remove" else ())
            changes.append(change)
        else:
            apply_operation(doc, operation)
    if doc == before and not changes:
        return None
    if is_missing(doc.get("displayName"), before.get("displayName")):
        raise mutability("displayName cannot be cleared: every group needs one. Send a new value.")
    return prepare_group(tenant_schema, doc, tuple(changes), current)

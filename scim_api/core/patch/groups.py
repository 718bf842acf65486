"""PATCH of a group (RFC 7644 section 3.5.2): the body's operations, and the steps on its members."""

import orjson

from scim_api.core.errors import mutability
from scim_api.core.model import MemberChange, Prepared, Resource
from scim_api.core.patch.apply import apply
from scim_api.core.patch.request import Operation
from scim_api.core.resources.groups import prepare_group, refuse_itself
from scim_api.core.schema.tenant_schema import Profile
from scim_api.core.types import Json


def patch_group(profile: Profile, current: Resource, operations: tuple[Operation, ...]) -> Prepared | None:
    """The group after all operations, with the steps to take on its members; None when there is nothing
    to do.

    Args:
        profile: the tenant's.
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
        if operation.target.field.linked:
            change: MemberChange = operation.value
            refuse_itself(current, change.ids if change.op != "remove" else ())
            changes.append(change)
        else:
            apply(doc, operation)
    if doc == before and not changes:
        return None
    if "displayName" not in doc:
        raise mutability("displayName cannot be cleared: every group needs one. Send a new value.")
    return prepare_group(profile, doc, tuple(changes))

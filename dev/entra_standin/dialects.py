"""Entra's two ways to write a PATCH request; a service has to take both."""

import enum
from collections.abc import Mapping, Sequence
from typing import Any, Final

USER_SCHEMA: Final = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP_SCHEMA: Final = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE_SCHEMA: Final = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
MANAGER: Final = f"{ENTERPRISE_SCHEMA}:manager"
PATCH_SCHEMA: Final = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

Value = str | bool | None
"""What an attribute is set to; ``None`` and the empty string clear it."""


class Dialect(enum.StrEnum):
    """How a provisioning job writes its PATCH requests."""

    CLASSIC = "classic"
    """Without a flag: capitalised operations, booleans as strings, one operation per attribute."""
    AAD_OPT_SCIM = "aadOptscim062020"
    """With the flag of this name at the Tenant URL: lower case, booleans, one object for many attributes."""


def patch_body(changes: Mapping[str, Value], dialect: Dialect) -> dict[str, Any]:
    """The body of a PATCH request.

    Args:
        changes: new values by attribute path, such as ``name.givenName``,
            ``emails[type eq "work"].value`` or the URN of an extension attribute.
        dialect: which of the two ways to write them.

    Raises:
        ValueError: when nothing changes; Entra sends no such request.
    """
    if not changes:
        raise ValueError("a PATCH request needs at least one change")
    operations = _classic(changes) if dialect is Dialect.CLASSIC else _optimised(changes)
    return _body(operations)


def rename_body(name: str, dialect: Dialect) -> dict[str, Any]:
    """The body of a PATCH that gives a group another name."""
    if dialect is Dialect.CLASSIC:
        return _body([{"op": "Replace", "path": "displayName", "value": name}])
    return _body([{"op": "replace", "value": {"displayName": name}}])


def add_members_body(ids: Sequence[str], dialect: Dialect) -> dict[str, Any]:
    """The body of a PATCH that adds members, several in one operation; ``$ref`` is there and null."""
    members = [{"$ref": None, "value": one} for one in ids]
    return _body(
        [{"op": "Add" if dialect is Dialect.CLASSIC else "add", "path": "members", "value": members}]
    )


def remove_members_body(ids: Sequence[str], dialect: Dialect) -> dict[str, Any]:
    """The body of a PATCH that removes members: by a list of values, or each by a filter in the path."""
    if dialect is Dialect.CLASSIC:
        members = [{"$ref": None, "value": one} for one in ids]
        return _body([{"op": "Remove", "path": "members", "value": members}])
    return _body([{"op": "remove", "path": f'members[value eq "{one}"]'} for one in ids])


def _body(operations: list[dict[str, Any]]) -> dict[str, Any]:
    return {"schemas": [PATCH_SCHEMA], "Operations": operations}


def _classic(changes: Mapping[str, Value]) -> list[dict[str, Any]]:
    return [_classic_operation(path, value) for path, value in changes.items()]


def _classic_operation(path: str, value: Value) -> dict[str, Any]:
    if value is None:
        return {"op": "Remove", "path": path}
    if isinstance(value, bool):
        return {"op": "Replace", "path": path, "value": str(value)}
    return {"op": "Add" if path == MANAGER else "Replace", "path": path, "value": value}


def _optimised(changes: Mapping[str, Value]) -> list[dict[str, Any]]:
    """Dotted and URN paths share one value object; a path with a filter is no key and stands alone."""
    together = {path: value for path, value in changes.items() if value is not None and "[" not in path}
    alone = [
        {"op": "replace", "path": path, "value": value}
        for path, value in changes.items()
        if value is not None and "[" in path
    ]
    removed = [{"op": "remove", "path": path} for path, value in changes.items() if value is None]
    return [*([{"op": "replace", "value": together}] if together else []), *alone, *removed]

"""What the log says of a write: which attributes changed, by comparing what is stored with what is to be stored.

Whoever follows the log must not depend on the request that was sent: a PUT, a PATCH and a Bulk operation with the same
outcome leave the same rows.
"""

from typing import Final

import orjson

from scim_api.core.model import ResourceChange
from scim_api.core.types import Json

_ACTIVE: Final = "active"
_SCHEMAS: Final = "schemas"
_URN: Final = "urn:"


def user_changes(before: dict[str, Json], after: dict[str, Json]) -> tuple[ResourceChange, ...]:
    """What changed in a user; at least one entry. Being enabled or disabled is an entry of its own.

    Args:
        before: the body as stored.
        after: the body to be stored.
    """
    paths = changed_paths(before, after)
    is_now = after.get(_ACTIVE, True)
    if before.get(_ACTIVE, True) == is_now:
        return (ResourceChange("updated", _text(paths)),)
    paths = [path for path in paths if path != _ACTIVE]
    switched = ResourceChange("activated" if is_now else "deactivated", _text([_ACTIVE]))
    return (ResourceChange("updated", _text(paths)), switched) if paths else (switched,)


def group_changes(before: dict[str, Json], after: dict[str, Json]) -> tuple[ResourceChange, ...]:
    """What changed in the body of a group; its members are no part of it."""
    return (ResourceChange("updated", _text(changed_paths(before, after))),)


def changed_paths(before: dict[str, Json], after: dict[str, Json]) -> list[str]:
    """Paths of the attributes that differ, in the notation of RFC 7644 section 3.10: down to the sub-attributes of
    complex attributes, and as a whole where there are several values.
    """
    names = [name for name, value in after.items() if before.get(name) != value]
    names += [name for name in before if name not in after]
    paths = []
    for name in names:
        old, new = before.get(name), after.get(name)
        if type(old or new) is dict and type(new or old) is dict:
            prefix = name + (":" if name.startswith(_URN) else ".")
            paths += [prefix + path for path in changed_paths(old or {}, new or {})]
        elif name != _SCHEMAS:
            paths.append(name)
    return paths


def _text(paths: list[str]) -> str:
    return orjson.dumps(paths).decode()

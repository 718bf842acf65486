"""A model of PATCH to judge the service by: RFC 7644 section 3.5.2, with what Entra needs otherwise.

Written from the RFC's text and from what docs/scim.md promises, and sharing no code with the service. It knows a
few attributes of each kind: ``patch_model_users`` and ``patch_model_groups`` have them. Where Entra's needs go
beyond the RFC a comment says "Entra".
"""

import dataclasses
import re
from collections.abc import Callable
from typing import Any, Final, Literal

CORE: Final = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE: Final = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
CUSTOM: Final = "urn:ietf:params:scim:schemas:extension:CustomExtensionName:2.0:User"

Doc = dict[str, Any]
Type = Literal["string", "boolean", "integer"]
Kind = Literal["simple", "complex", "multi", "plain", "reference", "extension", "core", "readOnly", "ignored"]

NULLS: Final = (None, "")
"""What a client writes to clear (Entra)."""


class Refusal(Exception):
    """One operation, or one attribute of a value object, cannot be done, for one of RFC 7644's reasons."""

    def __init__(self, *scim_types: str) -> None:
        super().__init__(*scim_types)
        self.scim_types = frozenset(scim_types)


@dataclasses.dataclass(frozen=True)
class Refused:
    """The PATCH is refused and changes nothing, for one of these reasons."""

    scim_types: frozenset[str]


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a path leads."""

    kind: Kind
    name: str = ""
    extension: str | None = None
    type: Type = "string"
    sub: str | None = None
    selects: Callable[[Any], bool] | None = None
    """What the brackets of the path say of an entry."""
    template: Any = None
    """The entry that they describe."""


def low(value: Any) -> Any:
    """As values compare here: without case, and true is not 1."""
    return value.lower() if isinstance(value, str) else (type(value), value)


@dataclasses.dataclass(frozen=True)
class Places:
    """The paths of a resource type."""

    by_path: dict[str, Place]
    core: str
    """The URN of the core schema, which means the resource as a whole."""

    def find(self, path: str) -> Place:
        """Raises Refusal for a path that leads nowhere."""
        for known, place in self.by_path.items():
            if known.lower() == path.strip().lower():
                return place
        raise Refusal("invalidPath")


Write = Callable[[Place, str, Any], None]


def perform(operation: Any, places: Places, write_to: Write) -> set[str]:
    """One operation: the reasons for which it cannot be done; none when it was done."""
    try:
        op, place, value = read(operation, places)
    except Refusal as refusal:
        return set(refusal.scim_types)
    if place is not None and place.kind != "core":
        return attempt(lambda: write_to(place, op, value))
    if op == "remove":
        return {"noTarget"}  # 3.5.2.2: "If path is unspecified, the operation fails"
    value = one_of(value)
    if not isinstance(value, dict):
        return {"invalidSyntax"}
    return set[str]().union(*(_attribute(places, write_to, op, name, item) for name, item in value.items()))


def attempt(deed: Callable[[], None]) -> set[str]:
    """The reasons for which something cannot be done."""
    try:
        deed()
    except Refusal as refusal:
        return set(refusal.scim_types)
    return set()


def read(operation: Any, places: Places) -> tuple[str, Place | None, Any]:
    """The parts of an operation; section 3.5.2 says which it must have."""
    if not isinstance(operation, dict):
        raise Refusal("invalidSyntax")
    parts = {name.lower(): part for name, part in operation.items()}
    op, path = parts.get("op"), parts.get("path")
    if not isinstance(op, str) or op.lower() not in {"add", "replace", "remove"}:  # Entra: in any case
        raise Refusal("invalidSyntax")
    if path is not None and not isinstance(path, str):
        raise Refusal("invalidPath")
    place = places.find(path) if path and path.strip() else None
    if op.lower() != "remove" and "value" not in parts:
        raise Refusal("invalidValue")  # 3.5.2.1: "the operation MUST contain a "value" member"; 3.12
    return op.lower(), place, parts.get("value")


def _attribute(places: Places, write_to: Write, op: str, name: str, value: Any, depth: int = 0) -> set[str]:
    """One attribute of a value object; Entra: its name may be a path, and what is read-only is noise."""
    if not name.strip():
        return {"invalidPath"}
    try:
        place = places.find(name)
    except Refusal as refusal:
        return set(refusal.scim_types)
    if place.kind == "core":
        if depth:
            return {"invalidPath"}
        value = one_of(value)
        if not isinstance(value, dict):
            return {"invalidSyntax"}
        inner = (_attribute(places, write_to, op, key, item, 1) for key, item in value.items())
        return set[str]().union(*inner)
    return set() if place.kind == "readOnly" else attempt(lambda: write_to(place, op, value))


# -- values -----------------------------------------------------------------------------------------
def typed(kind: Type, value: Any) -> Any:
    """A value of a type (RFC 7643 section 2.3); Entra: booleans and numbers as strings."""
    if kind == "string" and isinstance(value, str):
        return value
    if kind == "boolean" and (isinstance(value, bool) or str(value).lower() in {"true", "false"}):
        return str(value).lower() == "true"
    if kind == "integer" and not isinstance(value, bool) and re.fullmatch(r"[+-]?[0-9]{1,19}", str(value)):
        return int(value)
    raise Refusal("invalidValue")


def single(op: str, kind: Type, value: Any) -> Any:
    """What a single value becomes: ``None`` for nothing, ``...`` for "as it is".

    Entra: one value may come in an array, itself or as ``{"value": …}``.
    """
    if op == "remove":
        return None
    if value == [] and op == "add":
        return ...
    if isinstance(value, list) and len(value) <= 1:
        value = value[0] if value else None
        if isinstance(value, dict):
            value = next((item for name, item in value.items() if name.lower() == "value"), value)
    return None if value in NULLS else typed(kind, value)


def one_of(value: Any) -> Any:
    """What stands in an array of one, as older jobs (Entra) and SCIM-SDK send it."""
    return (
        value[0] if isinstance(value, list) and len(value) == 1 and not isinstance(value[0], list) else value
    )


def clears(op: str, value: Any) -> bool | None:
    """Whether a value says that there is none; None when it says nothing at all, as ``[]`` does in an Add."""
    if op == "remove" or value in NULLS:
        return True
    return (None if op == "add" else True) if value in ([], {}) else False

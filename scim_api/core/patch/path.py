"""What a PATCH path means (RFC 7644 section 3.5.2): an attribute, entries of it, a sub-attribute."""

import dataclasses
import functools
import json
import re

from scim_api.contract.urns import CUSTOM_USER
from scim_api.core.errors import ScimError, invalid_path, quoted
from scim_api.core.filter import resolver
from scim_api.core.limits import MAX_PATH
from scim_api.core.predicate import Predicate
from scim_api.core.resources.body import undeclared_custom_field
from scim_api.core.schema.attributes import Attribute
from scim_api.core.schema.tenant_schema import AttributeTable
from scim_api.core.types import Equalities, Json
from scim_api.core.values.coercion import coerce_scalar
from scim_api.core.values.comparison import is_storable

_CUSTOM = f"{CUSTOM_USER.lower()}:"
_BRACKETS = re.compile(
    r'\[\s*([\w$]+)\s+eq\s+("(?:[^"\\\x00-\x1f]|\\.)*"|true|false)\s*\](?:\.([\w$-]+))?',
    re.IGNORECASE | re.ASCII,
)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """The entries that brackets select."""

    predicate: Predicate
    path: str
    """The whole path, as sent."""
    template: Json
    """The entry to create when none is selected; None where brackets ask for more than equality, so that
    no such entry can be derived from them."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Target:
    """Where an operation acts."""

    attribute: Attribute
    sub_attribute: Attribute | None = None
    selection: Selection | None = None

    @property
    def path(self) -> str:
        """A name for messages."""
        return (self.sub_attribute or self.attribute).path


ROOT = None
"""The path of an operation on the resource as a whole."""


def resolve_path(table: AttributeTable, path: str) -> Target | None:
    """The target of a path; ``ROOT`` for the core schema's URN.

    Args:
        table: of the resource type.
        path: as sent, not empty, in any case.

    Raises:
        ScimError: 400 invalidPath when it cannot be read or names no attribute of the tenant.
    """
    if len(path) > MAX_PATH:
        raise invalid_path(f"A path has {len(path)} characters; at most {MAX_PATH} are read.")
    if not is_storable(path):
        raise invalid_path("A path contains a NUL character or is not valid UTF-8.")
    return _resolve_path(table, path.strip())


@functools.lru_cache(maxsize=2048)
def _resolve_path(table: AttributeTable, path: str) -> Target | None:
    attribute = table.find(path)
    if attribute is not None:
        return Target(attribute)
    if path.lower() == table.urn.lower():
        return ROOT
    head, bracket, _ = path.partition("[")
    if bracket:
        return _select(table, head, path)
    head, _, tail = path.rpartition(".")
    attribute = table.find(head)
    if attribute is not None and not attribute.is_extension:
        return Target(attribute, _sub(attribute, tail, path))
    raise _unknown(table, path)


def _select(table: AttributeTable, head: str, path: str) -> Target:
    attribute = table.find(head)
    if attribute is None:
        raise _unknown(table, path)
    if not attribute.multi_valued:
        raise invalid_path(
            f"{attribute.path} has a single value, so the path {quoted(path)} needs no brackets."
        )
    quick = _BRACKETS.fullmatch(path, len(head))
    literal = None if quick is None else _literal(quick[2])
    predicate: Predicate
    if quick is not None and literal is not None:
        predicate = resolver.entry_comparison(attribute, quick[1], "eq", literal)
        equalities: Equalities | None = ((quick[1], literal),)
        tail = quick[3]
    else:
        from scim_api.core.filter.grammar import read_path

        attribute, predicate, equalities, tail = read_path(table, path)
    sub = None if tail is None else _sub(attribute, tail, path)
    return Target(attribute, sub, Selection(predicate, path, _template(attribute, equalities)))


def _literal(text: str) -> str | bool | None:
    """A string or boolean as JSON spells it; None leaves the complaint to the grammar."""
    try:
        value: str | bool = json.loads(text if text.startswith('"') else text.lower())
    except ValueError:
        return None
    return value


def _template(attribute: Attribute, equalities: Equalities | None) -> Json:
    """The entry that brackets describe, with values as they were sent; None if they don't describe one."""
    if equalities is None:
        return None
    if attribute.type != "complex":
        return coerce_scalar(attribute, equalities[0][1])
    seed: dict[str, Json] = {}
    for name, value in equalities:
        sub = attribute.sub_attributes_by_name[name.lower()]
        if value is None or value == "" or sub.mutability != "readWrite":
            return None
        seed[sub.name] = coerce_scalar(sub, value)
    return seed


def _sub(attribute: Attribute, name: str, path: str) -> Attribute:
    sub = attribute.sub_attributes_by_name.get(name.lower())
    if sub is None:
        raise invalid_path(
            f"The path {quoted(path)} names no sub-attribute of {attribute.path}; see /Schemas."
        )
    return sub


def _unknown(table: AttributeTable, path: str) -> ScimError:
    if path.lower().startswith(_CUSTOM):
        return invalid_path(undeclared_custom_field(path[len(_CUSTOM) :]))
    return invalid_path(
        f"The path {quoted(path)} names no attribute of {table.kind}. Correct the attribute mapping in Entra ID;"
        " /Schemas lists what can be mapped."
    )

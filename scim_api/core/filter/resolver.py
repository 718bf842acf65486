"""From names in a filter to attributes of the tenant, and from its values to the comparable form.

Independent of the grammar: both the quick regular expressions and the tree of scim2-models end here.
"""

from collections.abc import Mapping
from types import MappingProxyType

from scim_api.core.errors import ScimError, invalid_filter, invalid_path, shown
from scim_api.core.predicate import Attribute, Compare, Constant, Predicate, Present
from scim_api.core.schema.attributes import Field
from scim_api.core.schema.tenant_schema import Table
from scim_api.core.types import Column, Operand, Operator
from scim_api.core.values.coercion import read_scalar
from scim_api.core.values.comparison import microseconds, storable, timestamp
from scim_api.core.values.normal_form import comparable_value

_MOMENTS: Mapping[str, Column] = MappingProxyType(
    {"created": "created", "lastModified": "modified", "resourceType": "kind"}
)
"""What of ``meta`` is a column."""
_SUBSTRING = frozenset({"co", "sw", "ew"})
_ORDER = frozenset({"gt", "ge", "lt", "le"})


def comparison(table: Table, name: str, sub: str | None, op: Operator, operand: Operand) -> Predicate:
    """``name.sub op operand`` on a resource.

    Args:
        table: of the resource type.
        name: the attribute, with or without a URN, in any case.
        sub: the sub-attribute, in any case.
        op: the operator.
        operand: a JSON value as the filter has it.

    Raises:
        ScimError: 400 invalidFilter, naming the attribute and what it takes.
    """
    field = _head(table, name)
    full = name if sub is None else f"{name}.{sub}"
    if field.name in {"id", "meta"} and field.urn is None:
        return _metadata(field, sub, op, operand, full)
    if sub is None and field.type == "complex":
        if "value" not in field.fields:
            raise invalid_filter(f"{shown(name)} is complex: compare one of its sub-attributes.")
        sub = "value"
    leaf = field if sub is None else _sub(field, sub)
    return Compare(_attribute(field, leaf), op, _operand(leaf, op, operand, full))


def presence(table: Table, name: str, sub: str | None) -> Predicate:
    """``name.sub pr`` on a resource. Raises as ``comparison``."""
    field = _head(table, name)
    if field.name in {"id", "meta"} and field.urn is None:
        if sub is not None:
            _sub(field, sub)
        return Constant(True)
    leaf = field if sub is None else _sub(field, sub)
    return Present(_attribute(field, leaf))


def entries(table: Table, name: str) -> Field:
    """The multi-valued attribute before the brackets of ``name[…]``. Raises as ``comparison``."""
    field = _head(table, name)
    if not field.multi_valued or field.name == "schemas":
        raise invalid_filter(f"{shown(name)} holds no entries to select with brackets; compare it directly.")
    return field


def entry_comparison(field: Field, name: str, op: Operator, operand: Operand) -> Compare:
    """``name op operand`` inside the brackets of a multi-valued attribute. Raises as ``comparison``."""
    leaf = _in_entry(field, name)
    return Compare(_entry_attribute(field, leaf), op, _operand(leaf, op, operand, f"{field.path}.{name}"))


def entry_presence(field: Field, name: str) -> Present:
    """``name pr`` inside the brackets. Raises as ``comparison``."""
    return Present(_entry_attribute(field, _in_entry(field, name)))


def place(field: Field) -> tuple[str, ...]:
    """Where the attribute is in the comparable form."""
    return (field.name.lower(),) if field.urn is None else (field.urn.lower(), field.name.lower())


def _head(table: Table, name: str) -> Field:
    field = table.find(name)
    if field is None or field.mutability == "writeOnly" or field.extension:
        raise invalid_filter(
            f"{shown(name)} is no attribute of {table.kind or 'any resource'} that can be filtered; /Schemas"
            " lists them."
        )
    return field


def _sub(field: Field, name: str) -> Field:
    sub = field.fields.get(name.lower())
    if sub is None:
        raise invalid_filter(f"{field.path} has no sub-attribute {shown(name)}; /Schemas lists them.")
    if field.linked and sub.name in {"$ref", "display"}:
        raise invalid_filter(f"{sub.path} is not kept: compare {field.path}.value, which holds the id.")
    return sub


def _in_entry(field: Field, name: str) -> Field:
    if field.type == "complex":
        return _sub(field, name)
    if name.lower() != "value":
        raise invalid_filter(f"The entries of {field.path} are plain values: compare them as value.")
    return field


def _attribute(field: Field, leaf: Field) -> Attribute:
    path = place(field)
    if leaf is field:
        return Attribute(path, field.type, multi_valued=field.multi_valued)
    if field.multi_valued:
        return Attribute(path, leaf.type, multi_valued=True, sub=leaf.name.lower())
    return Attribute((*path, leaf.name.lower()), leaf.type)


def _entry_attribute(field: Field, leaf: Field) -> Attribute:
    return Attribute(() if leaf is field else (leaf.name.lower(),), leaf.type)


def _operand(field: Field, op: Operator, operand: Operand, name: str) -> Operand:
    if isinstance(operand, str) and not storable(operand):
        raise invalid_filter(f"The value compared with {shown(name)} has a character that cannot be stored.")
    if op in _ORDER and field.type in {"boolean", "binary"}:
        raise invalid_filter(f"{shown(name)} is {field.type} and has no order: use eq or ne, not {op}.")
    if op in _SUBSTRING:
        if field.type not in {"string", "reference", "any"} or not isinstance(operand, str):
            raise invalid_filter(f"{op} compares text, but {shown(name)} or its value is not text: use eq.")
    elif operand is None:
        return None
    try:
        value = read_scalar(field, operand)
    except ScimError as error:
        raise invalid_filter(error.detail) from None
    key: Operand = comparable_value(field, value)
    return key


def _metadata(field: Field, sub: str | None, op: Operator, operand: Operand, name: str) -> Predicate:
    if field.name == "id":
        if not isinstance(operand, str):
            raise invalid_filter("id is a string: compare it with one.")
        return Compare(Attribute((), "string", column="id"), op, _operand(field, op, operand, name))
    leaf = _sub(field, sub) if sub else None
    if leaf is not None and leaf.name == "resourceType":
        kind = Attribute((), "string", column="kind")
        return Compare(kind, op, _operand(leaf, op, operand, name))
    if leaf is None or leaf.name not in {"created", "lastModified"}:
        raise invalid_filter(
            f"{shown(name)} cannot be filtered: use meta.created, meta.lastModified or meta.resourceType."
        )
    moment = microseconds(operand) if isinstance(operand, str) else None
    text = None if moment is None else timestamp(moment)
    if text is None or op in _SUBSTRING:
        raise invalid_filter(f"{shown(name)} is compared with a moment such as 2026-01-23T04:56:22Z.")
    return Compare(Attribute((), "string", column=_MOMENTS[leaf.name]), op, text)


def sorting(table: Table, path: str) -> Attribute:
    """The attribute that ``sortBy`` names, with or without a sub-attribute.

    Raises:
        ScimError: 400 invalidPath when it names none, or one that has no order.
    """
    try:
        return _sorting(table, path)
    except ScimError as error:
        raise invalid_path(f"sortBy: {error.detail}") from None


def _sorting(table: Table, path: str) -> Attribute:
    name, sub = path, None
    if table.find(path) is None:
        name, _, sub = path.rpartition(".")
    field = _head(table, name)
    if field.name == "id":
        return Attribute((), "string", column="id")
    leaf = field if sub is None else _sub(field, sub)
    if field.name == "meta":
        if leaf.name not in _MOMENTS:
            raise invalid_filter("sort by meta.created, meta.lastModified or meta.resourceType.")
        return Attribute((), "string", column=_MOMENTS[leaf.name])
    if field.linked or field.name == "schemas":
        raise invalid_filter(f"{field.path} has no order.")
    if leaf.type == "complex":
        leaf = leaf.fields.get("value") or leaf.fields.get("formatted") or leaf
        if leaf.type == "complex":
            raise invalid_filter(f"{field.path} is complex: sort by one of its sub-attributes.")
    return _attribute(field, leaf)

"""From names in a filter to attributes of the tenant, and from its values to the normal form.

Independent of the grammar: both the quick regular expressions and the tree of scim2-models end here.
"""

from collections.abc import Mapping
from types import MappingProxyType

from scim_api.core.errors import ScimError, invalid_filter, invalid_path, quoted
from scim_api.core.predicate import AttributePath, Comparison, Constant, Predicate, Present
from scim_api.core.schema.attributes import Attribute
from scim_api.core.schema.tenant_schema import AttributeTable
from scim_api.core.types import Column, Operand, Operator
from scim_api.core.values.coercion import coerce_scalar
from scim_api.core.values.comparison import from_microseconds, is_storable, to_microseconds
from scim_api.core.values.normal_form import normal_value

_META_COLUMNS: Mapping[str, Column] = MappingProxyType(
    {"created": "created", "lastModified": "modified", "resourceType": "kind"}
)
"""What of ``meta`` is a column."""
_SUBSTRING = frozenset({"co", "sw", "ew"})
_ORDER = frozenset({"gt", "ge", "lt", "le"})


def comparison(
    table: AttributeTable, name: str, sub: str | None, op: Operator, operand: Operand
) -> Predicate:
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
    attribute = _attribute_named(table, name)
    full = name if sub is None else f"{name}.{sub}"
    if attribute.name in {"id", "meta"} and attribute.urn is None:
        return _metadata(attribute, sub, op, operand, full)
    if sub is None and attribute.type == "complex":
        if "value" not in attribute.sub_attributes_by_name:
            raise invalid_filter(f"{quoted(name)} is complex: compare one of its sub-attributes.")
        sub = "value"
    leaf = attribute if sub is None else _sub_attribute(attribute, sub)
    return Comparison(_path_of(attribute, leaf), op, _operand(leaf, op, operand, full))


def presence(table: AttributeTable, name: str, sub: str | None) -> Predicate:
    """``name.sub pr`` on a resource. Raises as ``comparison``."""
    attribute = _attribute_named(table, name)
    if attribute.name in {"id", "meta"} and attribute.urn is None:
        if sub is not None:
            _sub_attribute(attribute, sub)
        return Constant(True)
    leaf = attribute if sub is None else _sub_attribute(attribute, sub)
    return Present(_path_of(attribute, leaf))


def multi_valued_attribute(table: AttributeTable, name: str) -> Attribute:
    """The multi-valued attribute before the brackets of ``name[…]``. Raises as ``comparison``."""
    attribute = _attribute_named(table, name)
    if not attribute.multi_valued or attribute.name == "schemas":
        raise invalid_filter(f"{quoted(name)} holds no entries to select with brackets; compare it directly.")
    return attribute


def entry_comparison(attribute: Attribute, name: str, op: Operator, operand: Operand) -> Comparison:
    """``name op operand`` inside the brackets of a multi-valued attribute. Raises as ``comparison``."""
    leaf = _entry_leaf(attribute, name)
    return Comparison(
        _path_in_entry(attribute, leaf), op, _operand(leaf, op, operand, f"{attribute.path}.{name}")
    )


def entry_presence(attribute: Attribute, name: str) -> Present:
    """``name pr`` inside the brackets. Raises as ``comparison``."""
    return Present(_path_in_entry(attribute, _entry_leaf(attribute, name)))


def normal_form_path(attribute: Attribute) -> tuple[str, ...]:
    """Where the attribute is in the normal form."""
    return (
        (attribute.name.lower(),)
        if attribute.urn is None
        else (attribute.urn.lower(), attribute.name.lower())
    )


def _attribute_named(table: AttributeTable, name: str) -> Attribute:
    attribute = table.find(name)
    if attribute is None or attribute.mutability == "writeOnly" or attribute.is_extension:
        raise invalid_filter(
            f"{quoted(name)} is no attribute of {table.kind or 'any resource'} that can be filtered; /Schemas"
            " lists them."
        )
    return attribute


def _sub_attribute(attribute: Attribute, name: str) -> Attribute:
    sub = attribute.sub_attributes_by_name.get(name.lower())
    if sub is None:
        raise invalid_filter(f"{attribute.path} has no sub-attribute {quoted(name)}; /Schemas lists them.")
    if (attribute.is_membership or attribute.is_reference) and sub.name in {"$ref", "display"}:
        raise invalid_filter(f"{sub.path} is not kept: compare {attribute.path}.value, which holds the id.")
    return sub


def _entry_leaf(attribute: Attribute, name: str) -> Attribute:
    if attribute.type == "complex":
        return _sub_attribute(attribute, name)
    if name.lower() != "value":
        raise invalid_filter(f"The entries of {attribute.path} are plain values: compare them as value.")
    return attribute


def _path_of(attribute: Attribute, leaf: Attribute) -> AttributePath:
    path = normal_form_path(attribute)
    if leaf is attribute:
        return AttributePath(path, attribute.type, multi_valued=attribute.multi_valued)
    if attribute.multi_valued:
        return AttributePath(path, leaf.type, multi_valued=True, sub_attribute=leaf.name.lower())
    return AttributePath((*path, leaf.name.lower()), leaf.type)


def _path_in_entry(attribute: Attribute, leaf: Attribute) -> AttributePath:
    return AttributePath(() if leaf is attribute else (leaf.name.lower(),), leaf.type)


def _operand(attribute: Attribute, op: Operator, operand: Operand, name: str) -> Operand:
    if isinstance(operand, str) and not is_storable(operand):
        raise invalid_filter(
            f"{quoted(name)} is compared with {quoted(operand)}, which has a character that cannot be stored."
        )
    if op in _ORDER and attribute.type in {"boolean", "binary"}:
        raise invalid_filter(f"{quoted(name)} is {attribute.type} and has no order: use eq or ne, not {op}.")
    if op in _SUBSTRING:
        if attribute.type not in {"string", "reference", "any"}:
            raise invalid_filter(f"{op} compares text, but {quoted(name)} is {attribute.type}: use eq.")
        if not isinstance(operand, str):
            raise invalid_filter(
                f"{op} compares text, but {quoted(name)} is compared with {quoted(operand)}: use eq."
            )
    elif operand is None:
        return None
    try:
        value = coerce_scalar(attribute, operand)
    except ScimError as error:
        raise invalid_filter(error.detail) from None
    key: Operand = normal_value(attribute, value)
    return key


def _metadata(attribute: Attribute, sub: str | None, op: Operator, operand: Operand, name: str) -> Predicate:
    if attribute.name == "id":
        if not isinstance(operand, str):
            raise invalid_filter(f"id is a string: compare it with one, not with {quoted(operand)}.")
        return Comparison(
            AttributePath((), "string", column="id"), op, _operand(attribute, op, operand, name)
        )
    leaf = _sub_attribute(attribute, sub) if sub else None
    if leaf is not None and leaf.name == "resourceType":
        kind = AttributePath((), "string", column="kind")
        return Comparison(kind, op, _operand(leaf, op, operand, name))
    if leaf is None or leaf.name not in {"created", "lastModified"}:
        raise invalid_filter(
            f"{quoted(name)} cannot be filtered: use meta.created, meta.lastModified or meta.resourceType."
        )
    moment = to_microseconds(operand) if isinstance(operand, str) else None
    text = None if moment is None else from_microseconds(moment)
    if text is None or op in _SUBSTRING:
        raise invalid_filter(
            f"{quoted(name)} is compared with {quoted(operand)} by {op}: compare it, by eq or an order, with a moment"
            " such as 2026-01-23T04:56:22Z."
        )
    return Comparison(AttributePath((), "string", column=_META_COLUMNS[leaf.name]), op, text)


def sort_attribute(table: AttributeTable, path: str) -> AttributePath:
    """The attribute that ``sortBy`` names, with or without a sub-attribute.

    Raises:
        ScimError: 400 invalidPath when it names none, or one that has no order.
    """
    try:
        return _sort_attribute(table, path)
    except ScimError as error:
        raise invalid_path(f"sortBy: {error.detail}") from None


def _sort_attribute(table: AttributeTable, path: str) -> AttributePath:
    name, sub = path, None
    head, _, tail = path.rpartition(".")
    if table.find(head) is not None:
        name, sub = head, tail
    attribute = _attribute_named(table, name)
    if attribute.name == "id":
        return AttributePath((), "string", column="id")
    leaf = attribute if sub is None else _sub_attribute(attribute, sub)
    if attribute.name == "meta":
        if leaf.name not in _META_COLUMNS:
            raise invalid_filter(
                f"{quoted(path)} has no order: sort by meta.created, meta.lastModified or meta.resourceType."
            )
        return AttributePath((), "string", column=_META_COLUMNS[leaf.name])
    if attribute.is_membership or attribute.name == "schemas":
        raise invalid_filter(f"{quoted(path)} has no order; leave it out, or sort by another attribute.")
    if leaf.type == "complex":
        leaf = (
            leaf.sub_attributes_by_name.get("value") or leaf.sub_attributes_by_name.get("formatted") or leaf
        )
        if leaf.type == "complex":
            raise invalid_filter(f"{quoted(path)} is complex: sort by one of its sub-attributes.")
    return _path_of(attribute, leaf)

"""Reading a PATCH request: both of Entra's dialects, and any other client's, become canonical operations.

The dialects: capitalised ``op`` with a path per attribute and booleans
as strings; lower-case ``op`` without a path and a value object whose keys are paths. After this module
there is one form: an operation sets or removes one attribute, one sub-attribute, or entries of a
multi-valued attribute, and its value has been read (``core.values.coercion``, which also lists the noise that is
not kept). Decisions where the RFC leaves room:

* A value that is *absent* is refused (RFC 7644 sections 3.5.2.1 and 3.12: a required value was missing); a
  value that is *empty* says that there is none: ``""`` and ``null`` in Add or Replace clear their target, as
  Entra needs it; ``[]`` and ``{}`` replace by nothing, and add nothing.
* Whatever it comes with, an Add takes nothing out of a list: neither members, nor plain values in brackets.
* An array around the one value of a single-valued attribute is taken off (older Entra jobs send
  ``[{"$ref": null, "value": "x"}]``; SCIM-SDK wraps value objects), and one entry for a multi-valued attribute
  may come without it.
* A read-only attribute named by a path is refused (mutability); in a value object, which may be a whole
  resource sent back, it is ignored. ``schemas`` and ``password`` are ignored in both.
* Remove on a multi-valued attribute with a value removes the entries it names, and no others.
"""

import dataclasses
import enum
from collections.abc import Iterator

from scim_api.contract.urns import CUSTOM_USER, PATCH_OP
from scim_api.core.errors import (
    ScimError,
    described,
    invalid_path,
    invalid_syntax,
    invalid_value,
    mutability,
    no_target,
    quoted,
    told,
    too_large,
)
from scim_api.core.limits import MAX_GROUP_OPERATIONS, MAX_PATCH_CHANGES, MAX_USER_OPERATIONS, MAX_VALUES
from scim_api.core.patch.path import Target, resolve_path
from scim_api.core.resources.body import undeclared_custom_field
from scim_api.core.resources.members import read_member_changes
from scim_api.core.schema.attributes import Attribute
from scim_api.core.schema.tenant_schema import AttributeTable, TenantSchema
from scim_api.core.types import Json, ResourceKind
from scim_api.core.values.coercion import (
    coerce_object,
    coerce_reference,
    coerce_scalar,
    coerce_value,
    names_reference,
    type_mismatch,
)

_IGNORED = frozenset({"schemas", "password"})


class Op(enum.StrEnum):
    """What an operation does."""

    ADD = "add"
    REPLACE = "replace"
    REMOVE = "remove"


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class PatchOperation:
    """One change in canonical form."""

    op: Op
    target: Target
    value: Json = None
    """What to set. With REMOVE on a whole multi-valued attribute: a list naming the entries to remove,
    or None for all. With members: a ``MemberChange``."""


def read_patch(
    tenant_schema: TenantSchema, body: dict[str, Json], kind: ResourceKind = "User"
) -> tuple[PatchOperation, ...]:
    """Read the body of a PATCH.

    Args:
        tenant_schema: the tenant's.
        body: as decoded.
        kind: of the resource that is changed.

    Returns:
        Canonical operations in their order; none when all that was sent is noise, or nothing was sent.

    Raises:
        ScimError: 400 invalidSyntax for a body of another shape, invalidPath for a path that names no
            attribute, invalidFilter for brackets that cannot be compared, invalidValue for a value that
            does not fit, mutability for a read-only attribute, noTarget for a Remove without a path;
            413 for too many operations.
    """
    operations: list[PatchOperation] = []
    most, changes = (
        (MAX_USER_OPERATIONS, MAX_PATCH_CHANGES)
        if kind == "User"
        else (MAX_GROUP_OPERATIONS, 2 * MAX_GROUP_OPERATIONS)
    )
    for raw in _raw_operations(body, most):
        operations.extend(_read_operation(tenant_schema.tables[kind], raw))
        if len(operations) > changes:
            raise too_large(
                f"The PATCH changes more than {changes} attributes; split it into several requests."
            )
    return tuple(operations)


def _raw_operations(body: dict[str, Json], most: int) -> list[Json]:
    names = {name.lower(): value for name, value in body.items()}
    schemas = names.get("schemas")
    if schemas not in (None, []) and (
        not isinstance(schemas, list)
        or PATCH_OP.lower() not in (s.lower() for s in schemas if isinstance(s, str))
    ):
        raise invalid_syntax(
            f'The body of a PATCH needs "schemas": ["{PATCH_OP}"], but {quoted(schemas)} was sent.'
        )
    operations = names.get("operations")
    if not isinstance(operations, list):
        raise invalid_syntax(
            f'"Operations" is {told(names, "operations")}; the body of a PATCH needs an array of them.'
        )
    if len(operations) > most:
        raise too_large(f"The PATCH has {len(operations)} operations; at most {most} are possible. Split it.")
    return operations


def _read_operation(table: AttributeTable, raw: Json) -> Iterator[PatchOperation]:
    if not isinstance(raw, dict):
        raise invalid_syntax(
            f'Each of "Operations" must be a JSON object with "op", but {described(raw)} was sent.'
        )
    names = {name.lower(): value for name, value in raw.items()}
    op, path = _op(names), names.get("path")
    if path is not None and not isinstance(path, str):
        raise invalid_path(f'The "path" of an operation must be a string, but {described(path)} was sent.')
    target = resolve_path(table, path) if path and path.strip() else None
    if op is not Op.REMOVE and "value" not in names:
        raise _without_value(names["op"], path)
    value = names.get("value")
    if target is not None:
        yield from _change(op, target, value)
        return
    if op is Op.REMOVE:
        raise no_target('A Remove needs a "path" that says what to remove.')
    value = _out_of_array(value)
    if not isinstance(value, dict):
        raise invalid_syntax(
            f'An operation {quoted(names["op"])} without "path" needs a "value" that is an object of attributes and'
            f" values; it is {told(names, 'value')}."
        )
    for name, item in value.items():
        yield from _change_named(op, table, name, item)


def _without_value(op: Json, path: str | None) -> ScimError:
    """Nothing says what to set: no reason to clear what is there (RFC 7644 section 3.12, invalidValue)."""
    where = f"on {quoted(path)}" if path and path.strip() else 'without "path"'
    return invalid_value(
        f'Operation {quoted(op)} {where} has no "value", so nothing was changed. Send the value; to clear an attribute,'
        ' send a remove, or a replace with "value": null.'
    )


def _op(names: dict[str, Json]) -> Op:
    op = names.get("op")
    try:
        return Op(op.lower() if isinstance(op, str) else "")
    except ValueError:
        raise invalid_syntax(f'"op" is {told(names, "op")}; it must be add, replace or remove.') from None


def _change_named(op: Op, table: AttributeTable, name: str, value: Json) -> Iterator[PatchOperation]:
    """A key of a value object: a path, or the core schema's URN around such keys."""
    if not name.strip():
        raise invalid_path("A value object has an empty key; every key must name an attribute.")
    target = resolve_path(table, name)
    if target is None:
        value = _out_of_array(value)
        if not isinstance(value, dict):
            raise invalid_syntax(
                f"{quoted(name)} must hold an object of attributes and values, but {described(value)} was sent."
            )
        for inner, item in value.items():
            inner_target = resolve_path(table, inner)
            if inner_target is None:
                raise invalid_path(f"{quoted(inner)} cannot stand inside itself.")
            yield from _change_unless_read_only(op, inner_target, item)
        return
    yield from _change_unless_read_only(op, target, value)


def _change_unless_read_only(op: Op, target: Target, value: Json) -> Iterator[PatchOperation]:
    if not _read_only(target):
        yield from _change(op, target, value)


def _read_only(target: Target) -> bool:
    return "readOnly" in (
        target.attribute.mutability,
        target.sub_attribute.mutability if target.sub_attribute else "",
    )


def _change(op: Op, target: Target, value: Json) -> Iterator[PatchOperation]:
    """The canonical operations of one target and value."""
    attribute, sub = target.attribute, target.sub_attribute
    if attribute.name in _IGNORED:
        return iter(())
    if _read_only(target):
        raise mutability(f"{target.path} is read-only; remove it from the attribute mappings.")
    if attribute.is_extension:
        return _extension(op, attribute, value)
    if attribute.is_membership:
        return _membership(op, target, value)
    if target.selection is not None:
        return _selected(op, target, value)
    if attribute.is_reference:
        return _reference(op, attribute, sub, value)
    if sub is not None:
        return _single(op, target, sub, value)
    if attribute.multi_valued:
        return _multi_valued(op, target, value)
    if attribute.type == "complex":
        return _complex(op, attribute, value)
    return _single(op, target, attribute, value)


def _membership(op: Op, target: Target, value: Json) -> Iterator[PatchOperation]:
    """Members of a group, as steps of a change."""
    if target.sub_attribute is not None:
        raise mutability(f"{target.path} cannot be changed: remove the member and add another one.")
    chosen = target.selection
    changes = read_member_changes(
        op.value,
        value,
        path=chosen.path if chosen else target.path,
        chosen=chosen.predicate if chosen else None,
    )
    for change in changes:
        yield PatchOperation(op, target, change)


def _extension(op: Op, container: Attribute, value: Json) -> Iterator[PatchOperation]:
    value = _out_of_array(value)
    if op is Op.REMOVE or value is None or value == "":
        for attribute in container.sub_attributes:
            yield PatchOperation(Op.REMOVE, Target(attribute))
        return
    if not isinstance(value, dict):
        raise type_mismatch(container, value, "an object of attributes and values")
    for name, item in value.items():
        inner = container.sub_attributes_by_name.get(name) or container.sub_attributes_by_name.get(
            name.lower()
        )
        if inner is not None:
            yield from _change_unless_read_only(op, Target(inner), item)
        elif name.lower() != "schemas":  # python-scim's clients write it into extensions too
            raise _unknown(container, name)


def _unknown(container: Attribute, name: str) -> ScimError:
    if container.name == CUSTOM_USER:
        return invalid_path(undeclared_custom_field(name))
    return invalid_path(f"{quoted(name)} is no attribute of {container.name}; /Schemas lists them.")


def _single(op: Op, target: Target, leaf: Attribute, value: Json) -> Iterator[PatchOperation]:
    """A plain value: an attribute's, or that of one sub-attribute."""
    if op is Op.REMOVE:
        yield PatchOperation(op, target)
        return
    if op is Op.ADD and value == []:
        return
    read = coerce_value(leaf, _unwrap(value))
    yield PatchOperation(Op.REMOVE if read is None else op, target, read)


def _unwrap(value: Json) -> Json:
    """The one value in an array of one, itself or as ``{"value": …}``."""
    if not isinstance(value, list) or len(value) > 1:
        return value
    inner = value[0] if value else None
    if isinstance(inner, dict):
        names = {name.lower(): item for name, item in inner.items()}
        return names.get("value", inner)
    return inner


def _out_of_array(value: Json) -> Json:
    """The one value in an array of one; an array within an array is no value of anything."""
    return (
        value[0] if isinstance(value, list) and len(value) == 1 and not isinstance(value[0], list) else value
    )


def _adds_nothing(op: Op, value: Json) -> bool:
    return op is Op.ADD and value in ([], {})


def _reference(op: Op, attribute: Attribute, sub: Attribute | None, value: Json) -> Iterator[PatchOperation]:
    """A manager, in any of its shapes, or its ``value`` or ``$ref`` alone."""
    value = _out_of_array(value) if sub is None else {sub.name: value}
    if op is Op.REMOVE or value is None or value in ("", [], {}):
        if not _adds_nothing(op, value):
            yield PatchOperation(Op.REMOVE, Target(attribute))
        return
    if isinstance(value, dict) and not names_reference(value):
        return  # such as a displayName, which is not kept; the sub-attributes that are not sent stay
    read = coerce_reference(attribute, value)
    yield PatchOperation(Op.REMOVE if read is None else Op.REPLACE, Target(attribute), read)


def _complex(op: Op, attribute: Attribute, value: Json) -> Iterator[PatchOperation]:
    """A complex attribute: its sub-attributes one by one, others stay (RFC 7644 section 3.5.2.3)."""
    value = _out_of_array(value)
    if op is Op.REMOVE or value is None or value in ("", [], {}):
        if not _adds_nothing(op, value):
            yield PatchOperation(Op.REMOVE, Target(attribute))
        return
    if not isinstance(value, dict):
        raise type_mismatch(attribute, value, "an object with sub-attributes")
    for name, item in value.items():
        sub = attribute.sub_attributes_by_name.get(name) or attribute.sub_attributes_by_name.get(name.lower())
        if sub is not None and sub.mutability == "readWrite":
            yield from _single(op, Target(attribute, sub), sub, item)


def _multi_valued(op: Op, target: Target, value: Json) -> Iterator[PatchOperation]:
    if value is None or value == "":
        yield PatchOperation(Op.REMOVE, target)
        return
    entries = value if isinstance(value, list) else [value]
    if op is Op.REMOVE:
        if len(entries) > MAX_VALUES:
            raise invalid_value(f"A Remove on {target.path} names more than {MAX_VALUES} entries; split it.")
        yield PatchOperation(op, target, entries)
        return
    read = coerce_value(target.attribute, entries)
    if read is not None:
        yield PatchOperation(op, target, read)
    elif op is Op.REPLACE:
        yield PatchOperation(Op.REMOVE, target)


def _selected(op: Op, target: Target, value: Json) -> Iterator[PatchOperation]:
    """Entries that brackets select, or one sub-attribute of them."""
    if target.sub_attribute is not None:
        yield from _single(op, target, target.sub_attribute, value)
        return
    value = _out_of_array(value)
    if op is Op.REMOVE or value is None or value in ("", []):
        if not _adds_nothing(op, value):
            yield PatchOperation(Op.REMOVE, target)
        return
    if target.attribute.type != "complex":
        plain = coerce_scalar(target.attribute, value)
        if op is Op.ADD:  # it stands beside those that the brackets select
            yield PatchOperation(op, Target(target.attribute), [plain])
        else:
            yield PatchOperation(op, target, plain)
        return
    read = coerce_object(target.attribute, value)
    if read is not None:
        yield PatchOperation(op, target, read)
    elif op is Op.REPLACE:
        yield PatchOperation(Op.REMOVE, target)

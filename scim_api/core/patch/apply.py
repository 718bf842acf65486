"""Applying canonical operations to a user (RFC 7644 section 3.5.2), all of them or none.

What is required is checked once at the end, so that an order such as "remove the work e-mail, add the new
one" works. Entries of multi-valued attributes that were left with nothing but ``type`` and ``primary``
are dropped at the end as well, so that clearing a value twice, or setting its parts one by one, works.
"""

from collections.abc import Callable
from typing import Any

from scim_api.core.errors import invalid_value, mutability, no_target
from scim_api.core.json_numbers import dumps, loads
from scim_api.core.limits import MAX_VALUES
from scim_api.core.model import Resource, ResourceWrite
from scim_api.core.patch.path import Target
from scim_api.core.patch.request import Op, PatchOperation
from scim_api.core.predicate import matches
from scim_api.core.resources.body import count_primaries, duplicate_primary, is_same_body
from scim_api.core.resources.changes import user_changes
from scim_api.core.resources.users import missing_required, prepare_user
from scim_api.core.schema.attributes import Attribute
from scim_api.core.schema.tenant_schema import TenantSchema
from scim_api.core.types import Json
from scim_api.core.values.coercion import is_empty_entry
from scim_api.core.values.normal_form import normal_value

_NOT_IDENTIFYING = frozenset({"$ref", "display"})
"""Sub-attributes that do not identify an entry which a Remove names."""
_NEVER_CLEARED = "active"
"""Cleared or removed it stays as it is, as with a PUT that does not name it: nobody is enabled by omission."""


def patch_user(
    tenant_schema: TenantSchema, current: Resource, operations: tuple[PatchOperation, ...]
) -> ResourceWrite | None:
    """The user after all operations; None when nothing changes.

    Args:
        tenant_schema: the tenant's.
        current: the user as stored; not modified.
        operations: from ``read_patch``.

    Raises:
        ScimError: 400 mutability when userName or the matching attribute would be missing; noTarget when
            brackets select nothing and do not say what to create; invalidValue for two primary entries
            or too many of them; 413 when the user grows too large.
    """
    before: dict[str, Json] = loads(current.doc)
    doc: dict[str, Json] = loads(current.doc)
    del before["schemas"], doc["schemas"]
    for operation in operations:
        apply_operation(doc, operation)
    _drop_empty_entries(doc)
    if is_same_body(doc, before):
        return None
    lacks = missing_required(tenant_schema, doc)
    if lacks is not None:
        lacks = missing_required(tenant_schema, doc, before)
    if lacks is not None:
        name, reason = lacks
        raise mutability(
            f"{name} cannot be cleared: {reason}. Send a new value, or disable the user (active: false)."
        )
    return prepare_user(tenant_schema, doc, user_changes(before, doc))


def apply_operation(doc: dict[str, Json], operation: PatchOperation) -> None:
    """Change a decoded body by one operation; not for members, which are no part of it."""
    attribute = operation.target.attribute
    holder: dict[str, Json] = doc if attribute.urn is None else doc.setdefault(attribute.urn, {})
    if attribute.multi_valued:
        _apply_to_entries(holder, operation)
    elif operation.target.sub_attribute is not None:
        _set(holder.setdefault(attribute.name, {}), operation.target.sub_attribute, operation)
        _drop_empty(holder, attribute.name)
    else:
        _set(holder, attribute, operation)
    if attribute.urn is not None:
        _drop_empty(doc, attribute.urn)


def _set(holder: dict[str, Json], attribute: Attribute, operation: PatchOperation) -> None:
    if operation.op is not Op.REMOVE:
        holder[attribute.name] = operation.value
    elif attribute.path != _NEVER_CLEARED:
        holder.pop(attribute.name, None)


def _drop_empty(holder: dict[str, Json], name: str) -> None:
    if not holder[name]:
        del holder[name]


def _apply_to_entries(holder: dict[str, Json], operation: PatchOperation) -> None:
    target, attribute = operation.target, operation.target.attribute
    entries: list[Json] = _as_list(holder.get(attribute.name))
    if target.selection is None and target.sub_attribute is None:
        kept, fresh = _apply_to_all(entries, attribute, operation)
    elif operation.op is Op.REMOVE:
        kept, fresh = _remove_selected(entries, target), []
    else:
        kept, fresh = _write_selected(entries, target, operation)
    if len(kept) > MAX_VALUES:
        raise invalid_value(f"{attribute.path} would have {len(kept)} values; at most {MAX_VALUES} are kept.")
    _demote_other_primaries(attribute, kept, fresh)
    if kept:
        holder[attribute.name] = kept
    else:
        holder.pop(attribute.name, None)


def _as_list(value: Json) -> list[Json]:
    """The entries; a custom field that became multi-valued may still hold a single value."""
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def _apply_to_all(
    entries: list[Json], attribute: Attribute, operation: PatchOperation
) -> tuple[list[Json], list[Json]]:
    """Add, replace or remove without brackets: the entries after it, and those that it wrote."""
    if operation.op is Op.REMOVE:
        if operation.value is None:
            return [], []
        is_named = _entry_matcher(attribute, operation.value)
        return [entry for entry in entries if not is_named(entry)], []
    values: list[Json] = operation.value
    if operation.op is Op.REPLACE:
        return list(values), list(values)
    present = {_identity(attribute, entry) for entry in entries}
    fresh = [value for value in values if _identity(attribute, value) not in present]
    return entries + fresh, fresh


def _identity(attribute: Attribute, entry: Json) -> bytes:
    return dumps(normal_value(attribute, entry), sort_keys=True)


def _identifying_form(attribute: Attribute, item: Json) -> Any:
    """What an entry must be equal to when a Remove names it, in the normal form; None for nothing."""
    if isinstance(item, dict):
        subs = {name.lower(): value for name, value in item.items()}
        given = {
            sub.name: subs[sub.name.lower()]
            for sub in attribute.sub_attributes
            if sub.name not in _NOT_IDENTIFYING and subs.get(sub.name.lower()) not in (None, "")
        }
        return normal_value(attribute, given)
    if attribute.type == "complex":
        return normal_value(attribute, {"value": item}) if isinstance(item, str) and item else None
    return normal_value(attribute, item) if isinstance(item, str | int | float) else None


def _entry_matcher(attribute: Attribute, items: list[Json]) -> Callable[[Json], bool]:
    """Whether an entry is among those that a Remove names; its cost does not grow with their number."""
    forms: dict[tuple[str, ...], set[Any]] = {}
    for item in items:
        name = _identifying_form(attribute, item)
        if name is not None:
            shape = tuple(name) if isinstance(name, dict) else ()
            forms.setdefault(shape, set()).add(_hashable(name, shape))

    def is_named(entry: Json) -> bool:
        form = normal_value(attribute, entry)
        return any(_hashable(form, shape) in named for shape, named in forms.items())

    return is_named


def _hashable(form: Any, shape: tuple[str, ...]) -> Any:
    """The sub-attributes in ``shape``, or a plain value; true is not 1."""
    parts = [form.get(name) for name in shape] if isinstance(form, dict) else [form]
    return tuple((isinstance(part, bool), part) for part in parts)


def _selected_entries(entries: list[Json], target: Target) -> list[bool]:
    """Which entries the target means: those that brackets select, or all without brackets."""
    if target.selection is None:
        return [True] * len(entries)
    predicate, attribute = target.selection.predicate, target.attribute
    return [matches(predicate, normal_value(attribute, entry)) for entry in entries]


def _remove_selected(entries: list[Json], target: Target) -> list[Json]:
    chosen = _selected_entries(entries, target)
    if target.sub_attribute is None:
        return [entry for entry, is_chosen in zip(entries, chosen, strict=True) if not is_chosen]
    name = target.sub_attribute.name
    cleared = [
        {key: value for key, value in entry.items() if key != name} if is_chosen else entry
        for entry, is_chosen in zip(entries, chosen, strict=True)
    ]
    return [entry for entry in cleared if entry]


def _write_selected(
    entries: list[Json], target: Target, operation: PatchOperation
) -> tuple[list[Json], list[Json]]:
    """Add or replace on selected entries; when there is none, the one that brackets describe is created."""
    chosen = _selected_entries(entries, target)
    if not any(chosen):
        entries = [*entries, _template(target)]
        chosen.append(True)
    fresh: list[Json] = []
    kept: list[Json] = []
    for entry, is_chosen in zip(entries, chosen, strict=True):
        if is_chosen:
            entry = _write_entry(entry, target, operation)
            fresh.append(entry)
        kept.append(entry)
    return kept, fresh


def _template(target: Target) -> Json:
    if target.selection is None:
        return {}
    if target.selection.template is None:
        raise no_target(
            f"No entry of {target.attribute.path} satisfies the brackets of the path, and they do not say what"
            ' to create; use a path such as emails[type eq "work"].value.'
        )
    return target.selection.template


def _write_entry(entry: Json, target: Target, operation: PatchOperation) -> Json:
    if target.sub_attribute is not None:
        return {**entry, target.sub_attribute.name: operation.value}
    if not isinstance(entry, dict):
        return operation.value
    if operation.op is Op.ADD:
        return {**entry, **operation.value}
    seed = target.selection.template if target.selection else None
    return {**(seed or {}), **operation.value}


def _demote_other_primaries(attribute: Attribute, kept: list[Json], fresh: list[Json]) -> None:
    """A new primary entry takes it from the old one (RFC 7644 section 3.5.2); two new ones are refused."""
    if count_primaries(kept) < 2:
        return
    if count_primaries(fresh) > 1:
        raise duplicate_primary(attribute)
    for position, entry in enumerate(kept):
        is_new = any(entry is written for written in fresh)
        if not is_new and entry.get("primary") is True:  # an object: only those can be primary
            kept[position] = {**entry, "primary": False}


def _drop_empty_entries(doc: dict[str, Json]) -> None:
    for name, value in list(doc.items()):
        if isinstance(value, list):
            entries = [entry for entry in value if not is_empty_entry(entry)]
            if entries:
                doc[name] = entries
            else:
                del doc[name]

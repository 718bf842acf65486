"""Bulk requests (RFC 7644 section 3.7) without I/O: reading them, the order of their operations, and what
takes the place of ``bulkId`` references.

An operation runs after those whose resources it refers to, otherwise operations keep their order. Where
references lead in a circle, a resource is created without the reference that closes it, and completed by
a PUT of all that was sent as soon as the id is known.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from scim_api.core.errors import (
    ScimError,
    described,
    invalid_path,
    invalid_syntax,
    invalid_value,
    quoted,
    told,
    too_large,
)
from scim_api.core.limits import MAX_BULK_OPERATIONS
from scim_api.core.types import ResourceKind

Method = Literal["POST", "PUT", "PATCH", "DELETE"]
_METHODS: Final[Mapping[str, Method]] = {
    "POST": "POST",
    "PUT": "PUT",
    "PATCH": "PATCH",
    "DELETE": "DELETE",
}
_KINDS: Final[Mapping[str, ResourceKind]] = {"users": "User", "groups": "Group"}
_REFERENCE: Final = re.compile(r'(?:^|(?<=[/"]))bulkId:([^"/]+)(?=$|")')
"""A whole string, the end of an address, or a quoted value in a PATCH path."""
_REFERENCE_ATTRIBUTES: Final = frozenset({"value", "$ref"})
_OMITTED: Final = object()


@dataclasses.dataclass(frozen=True, slots=True)
class BulkOperation:
    """One operation, well-formed."""

    method: Method
    kind: ResourceKind
    target: str | None
    """The id in its path, or a reference; None for POST."""
    path: str
    data: Mapping[str, Any] | None
    bulk_id: str | None
    version: str | None
    """The entity tag at which the resource may be changed."""
    references: frozenset[str]
    """The bulkIds that its path and data refer to."""


@dataclasses.dataclass(frozen=True, slots=True)
class InvalidOperation:
    """One operation that makes no sense."""

    error: ScimError
    method: str | None
    path: str | None
    bulk_id: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class BulkRequest:
    """A bulk request."""

    operations: tuple[BulkOperation | InvalidOperation, ...]
    fail_on_errors: int | None
    """After so many errors no further operation is begun."""


@dataclasses.dataclass(frozen=True, slots=True)
class BulkStep:
    """What to do next."""

    index: int
    """Of the operation."""
    completes: bool = False
    """Put what had to be left out when the resource was created."""
    without: frozenset[str] = frozenset()
    """The bulkIds of resources that are not there yet, because this one has to be there first."""


def read_bulk(body: Mapping[str, Any]) -> BulkRequest:
    """Read a BulkRequest; attribute names in any case.

    Raises:
        ScimError: 400 for a body of another shape, 413 for too many operations. What is wrong with a single
            operation is left to its result.
    """
    values = {name.lower(): value for name, value in body.items()}
    operations, limit = values.get("operations"), values.get("failonerrors")
    if not isinstance(operations, list):
        raise invalid_syntax(
            f'Operations is {told(values, "operations")}; it must be an array: send "Operations": […].'
        )
    if len(operations) > MAX_BULK_OPERATIONS:
        raise too_large(
            f"The request has {len(operations)} operations; at most {MAX_BULK_OPERATIONS} are possible. Send"
            " several requests."
        )
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise invalid_value(
            f"failOnErrors is {described(limit)}; it must be an integer of 1 or more: leave it out to do all that can be"
            " done."
        )
    read: list[BulkOperation | InvalidOperation] = []
    taken: set[str] = set()
    for item in operations:
        operation = _read(item, taken)
        read.append(operation)
        if operation.bulk_id is not None:
            taken.add(operation.bulk_id)
    return BulkRequest(tuple(read), limit)


def _read(value: Any, taken: set[str]) -> BulkOperation | InvalidOperation:
    if not isinstance(value, dict):
        error = invalid_syntax(
            "An operation must be an object with method, path and, unless it deletes, data, but"
            f" {described(value)} was sent."
        )
        return InvalidOperation(error, None, None, None)
    values = {name.lower(): item for name, item in value.items()}
    method, path, bulk_id = (_string(values, name) for name in ("method", "path", "bulkid"))
    try:
        return _operation(values, method, path, bulk_id, taken)
    except ScimError as error:
        # A bulkId that is not unique names the first operation that has it, and no other.
        return InvalidOperation(error, method, path, bulk_id)


def _string(values: Mapping[str, Any], name: str) -> str | None:
    value = values.get(name)
    return value if isinstance(value, str) and value else None


def _operation(
    values: Mapping[str, Any], method: str | None, path: str | None, bulk_id: str | None, taken: set[str]
) -> BulkOperation:
    verb = _METHODS.get((method or "").upper())
    if verb is None:
        raise invalid_value(f"method is {told(values, 'method')}; it must be POST, PUT, PATCH or DELETE.")
    kind, target = _path(verb, path, told(values, "path"))
    if verb == "POST" and bulk_id is None:
        raise invalid_value(
            f"bulkId is {told(values, 'bulkid')}; a POST needs one, a string that no other operation has."
        )
    if bulk_id in taken:
        raise invalid_value(
            f"bulkId {quoted(bulk_id)} is that of an earlier operation, too; choose another one."
        )
    data = values.get("data")
    if verb == "DELETE":
        data = None
    elif not isinstance(data, dict):
        raise invalid_syntax(
            f"data is {told(values, 'data')}; it must be an object, as the body of a single {verb}."
        )
    version = values.get("version")
    if version is not None and not isinstance(version, str):
        raise invalid_value(
            f'version is {described(version)}; it must be a string, an entity tag such as W/"1".'
        )
    references = frozenset(_references(data)) | frozenset(_references(target))
    return BulkOperation(verb, kind, target, path or "", data, bulk_id, version or None, references)


def _path(method: Method, path: str | None, sent: str) -> tuple[ResourceKind, str | None]:
    """The kind and the id of a path; ``sent`` is what messages call it."""
    parts = [part for part in (path or "").split("/") if part]
    kind = _KINDS.get(parts[0].lower()) if parts else None
    expected = 1 if method == "POST" else 2
    if kind is None or len(parts) != expected:
        example = "/Users" if method == "POST" else "/Users/<id>"
        raise invalid_path(f"path is {sent}; a {method} takes one such as {example}.")
    return kind, parts[1] if expected == 2 else None


def _references(value: Any) -> list[str]:
    """All bulkIds that a value refers to."""
    if isinstance(value, str):
        return _REFERENCE.findall(value) if "bulkId:" in value else []
    children = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return [reference for child in children for reference in _references(child)]


def order_operations(operations: Sequence[BulkOperation | InvalidOperation]) -> tuple[BulkStep, ...]:
    """The operations in an order in which references can be resolved; each runs once, and once more to be
    completed where references lead in a circle.
    """
    by_id = {operation.bulk_id: index for index, operation in enumerate(operations) if _creates(operation)}
    needs = [
        [by_id[name] for name in sorted(operation.references) if name in by_id and by_id[name] != index]
        if isinstance(operation, BulkOperation)
        else []
        for index, operation in enumerate(operations)
    ]
    order = _topological_order(needs)
    done = {index: position for position, index in enumerate(order)}
    steps: list[BulkStep] = []
    completions: dict[int, list[int]] = {}
    for index in order:
        unresolved = [other for other in needs[index] if done[other] > done[index]]
        operation = operations[index]
        refers_to_itself = (
            isinstance(operation, BulkOperation)
            and _creates(operation)
            and operation.bulk_id in operation.references
        )
        without = {operations[other].bulk_id or "" for other in unresolved} | (
            {operation.bulk_id or ""} if refers_to_itself else set()
        )
        steps.append(BulkStep(index, without=frozenset(without)))
        if without:
            last = max(unresolved, key=lambda other: done[other], default=index)
            completions.setdefault(last, []).append(index)
        steps.extend(BulkStep(other, completes=True) for other in completions.get(index, ()))
    return tuple(steps)


def _creates(operation: BulkOperation | InvalidOperation) -> bool:
    return isinstance(operation, BulkOperation) and operation.method == "POST"


def _topological_order(needs: Sequence[Sequence[int]]) -> list[int]:
    """Every index after those that it needs, but for circles (a depth-first search without recursion)."""
    order: list[int] = []
    seen: set[int] = set()
    for root in range(len(needs)):
        stack = [] if root in seen else [(root, iter(needs[root]))]
        seen.add(root)
        while stack:
            index, rest = stack[-1]
            following = next((other for other in rest if other not in seen), None)
            if following is None:
                order.append(index)
                stack.pop()
            else:
                seen.add(following)
                stack.append((following, iter(needs[following])))
    return order


def resolve_references(value: Any, ids: Mapping[str, str], without: frozenset[str] = frozenset()) -> Any:
    """A value of an operation with ids in place of references.

    Args:
        value: the data, or the target of a path.
        ids: of the resources that are there.
        without: what refers to these is left out: the entry or complex value that points there.
    """
    resolved = _resolve(value, ids, without)
    return None if resolved is _OMITTED else resolved


def _resolve(value: Any, ids: Mapping[str, str], without: frozenset[str]) -> Any:
    if isinstance(value, str):
        if "bulkId:" not in value:
            return value
        if not without.isdisjoint(_REFERENCE.findall(value)):
            return _OMITTED
        return _REFERENCE.sub(lambda match: ids.get(match[1], match[0]), value)
    if isinstance(value, list):
        entries = (_resolve(item, ids, without) for item in value)
        return [item for item in entries if item is not _OMITTED]
    if isinstance(value, dict):
        return _object(value, ids, without)
    return value


def _object(value: dict[str, Any], ids: Mapping[str, str], without: frozenset[str]) -> Any:
    result = {}
    for name, item in value.items():
        changed = _resolve(item, ids, without)
        if changed is not _OMITTED:
            result[name] = changed
        elif name.lower() in _REFERENCE_ATTRIBUTES:
            return _OMITTED
    return result

"""From stored text to what a client reads: splicing, projection, lists and entity tags."""

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import orjson

from scim_api.core.errors import invalid_value
from scim_api.core.profile import Profile, Table
from scim_api.core.records import Resource, ResourceKind

_LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
_ENTITY_TAG = re.compile(r'(?:W/)?"?([0-9]{1,18})"?', re.ASCII)
_ALWAYS = frozenset({"schemas", "id"})


def render(resource: Resource, kind: ResourceKind, base_url: str) -> str:
    """The JSON text of a resource: its stored body with ``id`` and ``meta`` spliced in.

    Args:
        resource: as the store returned it.
        kind: its resource type.
        base_url: of the SCIM service, without a slash at the end.
    """
    return (
        f'{resource.doc[:-1]},"id":"{resource.id}","meta":{{"resourceType":"{kind}",'
        f'"created":"{resource.created}","lastModified":"{resource.modified}",'
        f'"location":"{_inside_json(base_url)}/{kind}s/{resource.id}",'
        f'"version":"W/\\"{resource.version}\\""}}}}'
    )


@functools.lru_cache(maxsize=64)
def _inside_json(text: str) -> str:
    """A string as it stands between the quotes of JSON text."""
    return orjson.dumps(text).decode()[1:-1]


def etag(version: int) -> str:
    """The weak entity tag of a version, as the ETag header and ``meta.version`` carry it."""
    return f'W/"{version}"'


def read_etag(header: str) -> int | Literal["*"] | None:
    """The version that an If-Match or If-None-Match header names.

    Returns:
        ``"*"`` for any version, None when the header is none of ours and so matches nothing. Of a list
        of tags, the first of ours counts.
    """
    for part in header.split(","):
        tag = part.strip()
        if tag == "*":
            return "*"
        found = _ENTITY_TAG.fullmatch(tag)
        if found:
            return int(found[1])
    return None


def list_response(rendered: Sequence[str], total: int, start_index: int) -> bytes:
    """A ListResponse (RFC 7644 section 3.4.2); ``Resources`` is there when it is empty, too."""
    return (
        f'{{"schemas":["{_LIST}"],"totalResults":{total},"startIndex":{start_index},'
        f'"itemsPerPage":{len(rendered)},"Resources":[{",".join(rendered)}]}}'
    ).encode()


def project(
    profile: Profile,
    resource: str | dict[str, Any],
    attributes: str | None,
    excluded: str | None,
    kind: ResourceKind = "User",
) -> str:
    """The JSON text of a rendered resource with the attributes that the client asked for.

    ``id`` and ``schemas`` are always returned (RFC 7644 section 3.9); unknown names are ignored.

    Args:
        profile: the tenant's.
        resource: rendered text, or the same as a dict.
        attributes: the query parameter: names to return, separated by commas.
        excluded: the query parameter ``excludedAttributes``: names to leave out.
        kind: the resource type.

    Raises:
        ScimError: 400 invalidValue when both are given.
    """  # fmt: skip
    if attributes and excluded:
        raise invalid_value("Send either attributes or excludedAttributes, not both.")
    if not attributes and not excluded:
        return resource if isinstance(resource, str) else orjson.dumps(resource).decode()
    document = orjson.loads(resource) if isinstance(resource, str) else resource
    table = profile.tables[kind]
    if attributes:
        chosen = _only(document, _paths(table, attributes))
    else:
        chosen = _without(document, _paths(table, excluded or ""))
    return orjson.dumps(chosen).decode()


def _paths(table: Table, names: str) -> dict[tuple[str, ...], None]:
    """The places in a document that a list of attribute names means, such as ``(urn, "department")``."""
    found: dict[tuple[str, ...], None] = {}
    for name in names.split(","):
        path = _path(table, name.strip())
        if path is not None:
            found[path] = None
    return found


def _path(table: Table, name: str) -> tuple[str, ...] | None:
    if name.lower() == table.urn.lower():
        return None
    field = table.find(name)
    sub = None
    if field is None:
        head, _, tail = name.rpartition(".")
        field = table.find(head)
        sub = None if field is None else field.fields.get(tail.lower())
        if field is None or sub is None:
            return None
    return (*(part for part in (field.urn, field.name) if part), *((sub.name,) if sub else ()))


def _only(document: Mapping[str, Any], paths: Mapping[tuple[str, ...], None]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in document.items():
        if name in _ALWAYS or (name,) in paths:
            result[name] = value
            continue
        below = {path[1:]: None for path in paths if path[0] == name}
        if below:
            kept = _each(value, lambda part, below=below: _inner_only(part, below))
            if kept:
                result[name] = kept
    return result


def _inner_only(value: Mapping[str, Any], paths: Mapping[tuple[str, ...], None]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, item in value.items():
        if (name,) in paths:
            result[name] = item
            continue
        below = {path[1:]: None for path in paths if len(path) > 1 and path[0] == name}
        kept = _each(item, lambda part, below=below: _inner_only(part, below)) if below else None
        if kept:
            result[name] = kept
    return result


def _without(document: Mapping[str, Any], paths: Mapping[tuple[str, ...], None]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in document.items():
        if name in _ALWAYS:
            result[name] = value
        elif (name,) not in paths:
            below = {path[1:]: None for path in paths if path[0] == name}
            kept = _each(value, lambda part, below=below: _inner_without(part, below)) if below else value
            if kept not in ({}, []):
                result[name] = kept
    return result


def _inner_without(value: Mapping[str, Any], paths: Mapping[tuple[str, ...], None]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, item in value.items():
        if (name,) not in paths:
            below = {path[1:]: None for path in paths if len(path) > 1 and path[0] == name}
            kept = _each(item, lambda part, below=below: _inner_without(part, below)) if below else item
            if kept not in ({}, []):
                result[name] = kept
    return result


def _each(value: Any, change: Any) -> Any:
    """A change of a complex value, or of every entry of a multi-valued one; empty entries vanish."""
    if isinstance(value, list):
        return [kept for item in value if (kept := change(item) if isinstance(item, dict) else item)]
    return change(value) if isinstance(value, dict) else value

"""Whether a resource is what /Schemas says: an independent reading of RFC 7643, for tests."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

Schemas = Mapping[str, Mapping[str, Any]]
"""The resources of /Schemas by id."""

_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_COMMON: Final = frozenset({"schemas", "id", "meta"})
"""On every resource without being listed (RFC 7643 section 3.1); externalId is listed here."""


def violations(resource: Mapping[str, Any], core: str, schemas: Schemas) -> list[str]:
    """What is wrong with a resource, one sentence for each fault.

    Args:
        resource: as an answer has it, without ``attributes`` or ``excludedAttributes``.
        core: the URN of its core schema.
        schemas: what /Schemas lists; an attribute of the type ``any`` may hold any value, and the form of
            references and binaries is not looked at: the service keeps them as they were sent.
    """
    return [*_common(resource, core), *_attributes(resource, core, schemas)]


def _common(resource: Mapping[str, Any], core: str) -> Iterator[str]:
    extensions = {name for name in resource if name.startswith("urn:")}
    if set(resource.get("schemas", ())) != {core} | extensions:
        yield f"schemas is {resource.get('schemas')}, the extensions present are {sorted(extensions)}"
    if not isinstance(resource.get("id"), str) or not resource["id"]:
        yield "id is missing"
    meta = resource.get("meta", {})
    for name in ("resourceType", "created", "lastModified", "location", "version"):
        if not isinstance(meta.get(name), str):
            yield f"meta.{name} is missing"


def _attributes(resource: Mapping[str, Any], core: str, schemas: Schemas) -> Iterator[str]:
    plain = {
        name: value for name, value in resource.items() if name not in _COMMON and not name.startswith("urn:")
    }
    yield from _object(plain, schemas[core]["attributes"], core)
    for name, value in resource.items():
        if name.startswith("urn:"):
            if name not in schemas:
                yield f"{name} is in no schema"
            elif not isinstance(value, dict) or not value:
                yield f"{name} is no object, or an empty one"
            else:
                yield from _object(value, schemas[name]["attributes"], name)


def _object(value: Mapping[str, Any], attributes: list[Mapping[str, Any]], where: str) -> Iterator[str]:
    known = {attribute["name"]: attribute for attribute in attributes}
    for name, item in value.items():
        if name not in known:
            yield f"{where}: {name} is in no schema"
        else:
            yield from _attribute(item, known[name], f"{where}.{name}")
    for name, attribute in known.items():
        if attribute["required"] and attribute["returned"] != "never" and name not in value:
            yield f"{where}: {name} is required"


def _attribute(value: Any, attribute: Mapping[str, Any], where: str) -> Iterator[str]:
    if attribute["returned"] == "never":
        yield f"{where} is never returned"
    if attribute["multiValued"] != isinstance(value, list):
        yield f"{where} is{'' if isinstance(value, list) else ' not'} a list"
        return
    if not attribute["multiValued"]:
        yield from _single(value, attribute, where)
        return
    if not value and attribute["name"] != "members":
        yield f"{where} is an empty list"
    for item in value:
        yield from _single(item, attribute, where)
    primaries = [item for item in value if isinstance(item, dict) and item.get("primary") is True]
    if len(primaries) > 1:
        yield f"{where} has {len(primaries)} primary entries"


def _single(value: Any, attribute: Mapping[str, Any], where: str) -> Iterator[str]:
    kind = attribute["type"]
    if kind == "complex":
        if not isinstance(value, dict) or not value:
            yield f"{where} is no object, or an empty one"
        else:
            yield from _object(value, attribute["subAttributes"], where)
    elif not _fits(value, kind):
        yield f"{where} is no {kind}: {value!r}"


def _fits(value: Any, kind: str) -> bool:
    match kind:
        case "any":
            return value is not None and value != ""
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "decimal":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "dateTime":
            return isinstance(value, str) and _MOMENT.fullmatch(value) is not None
        case _:
            return isinstance(value, str) and value != ""

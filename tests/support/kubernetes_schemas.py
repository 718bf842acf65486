"""JSON schemas of all kinds that an API server serves, for kubeconform: it gets its own from the network otherwise."""

import json
from pathlib import Path
from typing import Any, Final

LOCATION: Final = "{{ .Group }}_{{ .ResourceAPIVersion }}_{{ .ResourceKind }}.json"
"""How kubeconform finds a kind's file; it takes the version for the group of kinds that have none."""
_GVK: Final = "x-kubernetes-group-version-kind"
_REF: Final = "#/definitions/"


def write_schemas(openapi: dict[str, Any], directory: Path) -> int:
    """Write a file for each kind; returns how many.

    Args:
        openapi: what the API server answers to ``/openapi/v2``.
        directory: to write to.
    """
    definitions = {name: _strict(node) for name, node in openapi["definitions"].items()}
    written = 0
    for name, node in definitions.items():
        for kind in node.get(_GVK, ()):
            group, version = kind["group"] or kind["version"], kind["version"]
            needed = _reachable(name, definitions)
            schema = {"$ref": _REF + name, "definitions": {item: definitions[item] for item in needed}}
            (directory / f"{group}_{version}_{kind['kind'].lower()}.json").write_text(json.dumps(schema))
            written += 1
    return written


def _strict(node: Any) -> Any:
    """Refuse fields that there are not, and take numbers where a port may be one."""
    if isinstance(node, list):
        return [_strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("format") == "int-or-string" or node.get("x-kubernetes-int-or-string") is True:
        return {"type": ["integer", "string"]}
    strict = {key: _strict(value) for key, value in node.items()}
    described = isinstance(node.get("properties"), dict) and node.get("type", "object") == "object"
    if described and node.get("x-kubernetes-preserve-unknown-fields") is not True:
        strict.setdefault("additionalProperties", False)
    return strict


def _reachable(name: str, definitions: dict[str, Any]) -> set[str]:
    found, waiting = set(), [name]
    while waiting:
        current = waiting.pop()
        if current not in found:
            found.add(current)
            waiting += _references(definitions[current])
    return found


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        reference = node.get("$ref")
        own = [reference.removeprefix(_REF)] if isinstance(reference, str) else []
        return own + [item for value in node.values() for item in _references(value)]
    if isinstance(node, list):
        return [item for value in node for item in _references(value)]
    return []

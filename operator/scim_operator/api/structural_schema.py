"""From pydantic's JSON schema to the structural schema that a CustomResourceDefinition takes.

No ``$ref``, no null branches, no titles; a pattern becomes a CEL rule, because the message of a pattern teaches nobody.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from scim_operator.api.status import ApiModel

JsonSchema = dict[str, Any]

RULES: Final = "x-kubernetes-validations"
INT32_MAX: Final = 2**31 - 1
_DROPPED: Final = {"title", "properties", "items", "additionalProperties", "$defs"}


def schema_of(
    model: type[ApiModel],
    *,
    pattern_messages: Mapping[str, str],
    list_types: Mapping[str, JsonSchema],
) -> JsonSchema:
    """A model as a structural schema.

    Args:
        model: its docstrings become descriptions.
        pattern_messages: each pattern of the model as people should read it.
        list_types: what tells the items of a list apart, by the path of the list in the model.
    """
    raw = model.model_json_schema(by_alias=True)
    schema = _structural(raw, raw.get("$defs", {}), pattern_messages)
    nodes = dict(walk(schema))
    for path in list_types.keys() & nodes.keys():
        nodes[path].update(list_types[path])
    return schema


def walk(node: JsonSchema, path: str = "") -> Iterator[tuple[str, JsonSchema]]:
    """Each node with its path: ``secret.name``, and ``customFields[].name`` below the items of a list."""
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from walk(child, f"{path}.{name}" if path else name)
    if "items" in node:
        yield from walk(node["items"], f"{path}[]")


def _structural(
    node: JsonSchema, definitions: Mapping[str, JsonSchema], messages: Mapping[str, str]
) -> JsonSchema:
    """One node as Kubernetes takes it, with all below it."""
    node = _resolved(node, definitions)
    properties = {
        name: _structural(child, definitions, messages) for name, child in node.get("properties", {}).items()
    }
    result = {key: value for key, value in node.items() if key not in _DROPPED}
    if properties:
        result["properties"] = properties
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            result[key] = _structural(node[key], definitions, messages)
    if "description" in result:
        result["description"] = " ".join(result["description"].split())
    if result.get("type") == "integer":
        result["format"] = "int32" if result.get("maximum", INT32_MAX + 1) <= INT32_MAX else "int64"
    if pattern := result.pop("pattern", None):
        result[RULES] = [{"rule": f"self.matches({_cel_text(pattern)})", "message": messages[pattern]}]
    return _with_default(result)


def _cel_text(text: str) -> str:
    """A CEL string. No text of ours has a quote."""
    return "'" + text.replace("\\", "\\\\") + "'"


def _resolved(node: JsonSchema, definitions: Mapping[str, JsonSchema]) -> JsonSchema:
    """Inline ``$ref``, and make of ``X | None`` a plain X that may be absent; what the field says wins."""
    node = dict(node)
    if "$ref" in node:
        referred = definitions[node.pop("$ref").rsplit("/", 1)[1]]
        return _resolved({**referred, **node}, definitions)
    if "anyOf" in node:
        (branch,) = (b for b in node.pop("anyOf") if b.get("type") != "null")
        return _resolved({**branch, **node}, definitions)
    return node


def _with_default(node: JsonSchema) -> JsonSchema:
    """Keep defaults that say something; give a parent ``{}``, or the defaults inside it never apply. One that may be
    absent, such as the other members of a union, gets none.
    """
    may_be_absent = "default" in node and node["default"] is None
    default = node.pop("default", None)
    if node["type"] == "object":
        if may_be_absent:
            return node
        children = node.get("properties", {}).values()
        if any("default" in child for child in children) and "required" not in node:
            node["default"] = {}
    elif default not in (None, []):
        node["default"] = default
    return node

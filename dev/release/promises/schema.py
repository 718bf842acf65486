"""JSON schemas: what the old one takes has to be taken by the new one. As CRDs and OpenAPI 3 write them.

It is careful where it can't judge: a pattern, a format or a rule of CEL that is new or other than before counts as
broken. A person may look at it, and list it with a reason (``policy.toml``).
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from release.promises.broken import Broken

Schema = Mapping[str, Any]
_LOWER: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_FIXED: Final = ("pattern", "format", "multipleOf", "not", "uniqueItems")
"""May be left out later, and neither added nor changed."""
_KEPT: Final = (
    "default",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-int-or-string",
)
"""May not change once they are there."""
_CHOICES: Final = ("anyOf", "oneOf")
_RULES: Final = "x-kubernetes-validations"


class Comparison:
    """Of schemas in two documents, whose references it follows."""

    def __init__(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        self._old, self._new = old, new
        self._open: set[tuple[str, str]] = set()
        """References that are being compared: a schema may hold itself."""

    def broken(self, old: Schema, new: Schema, where: str) -> Iterator[Broken]:
        """What the old schema takes or has and the new one does not."""
        pair = (old.get("$ref", ""), new.get("$ref", ""))
        if any(pair):
            if pair in self._open:
                return
            self._open.add(pair)
        try:
            yield from self._alternatives(_resolved(old, self._old), _resolved(new, self._new), where)
        finally:
            self._open.discard(pair)

    def _alternatives(self, old: Schema, new: Schema, where: str) -> Iterator[Broken]:
        if not any(choice in schema for choice in _CHOICES for schema in (old, new)):
            yield from self._one(old, new, where)
            return
        for branch in _branches(old):
            # The new branch that comes nearest: its differences say best what is missing.
            yield from min((list(self.broken(branch, other, where)) for other in _branches(new)), key=len)

    def _one(self, old: Schema, new: Schema, where: str) -> Iterator[Broken]:
        yield from _type(old, new, where)
        yield from _values(old, new, where)
        yield from _bounds(old, new, where)
        for key in _FIXED:
            if key in new and new[key] != old.get(key):
                yield Broken(where, f"{key} is {new[key]!r} now and was {old.get(key, 'not set')!r}")
        for key in _KEPT:
            if key in old and old[key] != new.get(key):
                yield Broken(where, f"{key} was {old[key]!r} and is {new.get(key, 'not set')!r} now")
        for flag in ("nullable", "x-kubernetes-preserve-unknown-fields"):
            if old.get(flag) and not new.get(flag):
                yield Broken(where, f"{flag} is gone")
        known = {rule["rule"] for rule in old.get(_RULES, [])}
        for rule in new.get(_RULES, []):
            if rule["rule"] not in known:
                yield Broken(where, f"has a new rule: {rule['rule']}")
        yield from self._members(old, new, where)

    def _members(self, old: Schema, new: Schema, where: str) -> Iterator[Broken]:
        for name in sorted(set(new.get("required", [])) - set(old.get("required", []))):
            yield Broken(f"{where}.{name}", "has to be given now")
        after = new.get("properties", {})
        for name, schema in old.get("properties", {}).items():
            if name in after:
                yield from self.broken(schema, after[name], f"{where}.{name}")
            else:
                yield Broken(f"{where}.{name}", "is gone")
        if "items" in old and "items" in new:
            yield from self.broken(old["items"], new["items"], f"{where}[]")
        others, now = old.get("additionalProperties", True), new.get("additionalProperties", True)
        if others is not False and now is False:
            yield Broken(where, "takes no other members any more")
        elif isinstance(now, dict) and isinstance(others, dict):
            yield from self.broken(others, now, f"{where}.*")
        elif isinstance(now, dict) and now and others is not False:
            yield Broken(where, "does not take any other member any more")


def _resolved(schema: Schema, document: Mapping[str, Any]) -> Schema:
    while "$ref" in schema:
        target: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part.replace("~1", "/").replace("~0", "~")]
        schema = {**{key: value for key, value in schema.items() if key != "$ref"}, **target}
    return schema


def _branches(schema: Schema) -> list[Schema]:
    """What a schema's choices are, each with what holds for all of them; the schema itself when it has none."""
    for choice in _CHOICES:
        if choice in schema:
            rest = {key: value for key, value in schema.items() if key not in (choice, "default")}
            return [_merged(rest, branch) for branch in schema[choice]]
    return [schema]


def _merged(rest: Schema, branch: Schema) -> Schema:
    if "$ref" in branch:
        return {**branch, **{key: value for key, value in rest.items() if key in ("properties", "required")}}
    merged = {**rest, **branch}
    for key, empty in (("properties", {}), ("required", [])):
        if key in rest and key in branch:
            merged[key] = rest[key] | branch[key] if isinstance(empty, dict) else [*rest[key], *branch[key]]
    return merged


def _types(schema: Schema) -> set[str]:
    named = schema.get("type")
    types = {named} if isinstance(named, str) else set(named or ())
    return types | {"integer"} if "number" in types else types


def _type(old: Schema, new: Schema, where: str) -> Iterator[Broken]:
    before, after = _types(old), _types(new)
    if after and (not before or before - after):
        was, now = (", ".join(sorted(types)) or "anything" for types in (before, after))
        yield Broken(where, f"was {was} and is {now} now")


def _values(old: Schema, new: Schema, where: str) -> Iterator[Broken]:
    before, after = ([schema["const"]] if "const" in schema else schema.get("enum") for schema in (old, new))
    if after is None:
        return
    if before is None:
        yield Broken(where, f"takes only {', '.join(map(repr, after))} now")
        return
    for value in before:
        if value not in after:
            yield Broken(where, f"{value!r} is no value any more")


def _bounds(old: Schema, new: Schema, where: str) -> Iterator[Broken]:
    for keys, sign in ((_LOWER, 1), (_UPPER, -1)):
        for key in keys:
            if key in new and (key not in old or sign * new[key] > sign * old[key]):
                yield Broken(where, f"{key} is {new[key]} now and was {old.get(key, 'not set')}")

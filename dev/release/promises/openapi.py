"""HTTP APIs as OpenAPI 3 describes them: a caller of the last release goes on working (docs/stability.md)."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from release.promises.broken import Broken
from release.promises.schema import Comparison

_METHODS: Final = ("get", "put", "post", "delete", "patch", "head", "options")


def broken_by_api(old: Mapping[str, Any], new: Mapping[str, Any], where: str) -> Iterator[Broken]:
    """What the new API does not serve, take or answer any more. ``where`` is its file."""
    comparison = Comparison(old, new)
    for path, item in old["paths"].items():
        for method in _METHODS:
            if method not in item:
                continue
            operation = new["paths"].get(path, {}).get(method)
            place = f"{where}: {method.upper()} {path}"
            if operation is None:
                yield Broken(place, "is gone")
            else:
                yield from _operation(comparison, item[method], operation, place)


def _operation(
    comparison: Comparison, old: Mapping[str, Any], new: Mapping[str, Any], where: str
) -> Iterator[Broken]:
    yield from _parameters(comparison, old, new, where)
    before, after = old.get("requestBody", {}), new.get("requestBody", {})
    if after.get("required") and not before.get("required"):
        yield Broken(where, "needs a body now")
    yield from _contents(comparison, before, after, f"{where}: body")
    for status, response in old["responses"].items():
        if status not in new["responses"]:
            yield Broken(where, f"does not answer {status} any more")
            continue
        now = new["responses"][status]
        yield from _contents(comparison, response, now, f"{where}: {status}")
        for header in sorted(set(response.get("headers", {})) - set(now.get("headers", {}))):
            yield Broken(f"{where}: {status}", f"the header {header} is gone")
    if new.get("security", []) != old.get("security", []):
        yield Broken(where, "has other ways to sign in")


def _parameters(
    comparison: Comparison, old: Mapping[str, Any], new: Mapping[str, Any], where: str
) -> Iterator[Broken]:
    before, after = (
        {(one["in"], one["name"]): one for one in operation.get("parameters", [])} for operation in (old, new)
    )
    for key, parameter in before.items():
        place = f"{where}: {key[0]} parameter {key[1]}"
        if key not in after:
            yield Broken(place, "is gone")
            continue
        if after[key].get("required") and not parameter.get("required"):
            yield Broken(place, "has to be given now")
        yield from comparison.broken(parameter.get("schema", {}), after[key].get("schema", {}), place)
    for key in after.keys() - before.keys():
        if after[key].get("required"):
            yield Broken(f"{where}: {key[0]} parameter {key[1]}", "is new and has to be given")


def _contents(
    comparison: Comparison, old: Mapping[str, Any], new: Mapping[str, Any], where: str
) -> Iterator[Broken]:
    for kind, content in old.get("content", {}).items():
        if kind not in new.get("content", {}):
            yield Broken(where, f"{kind} is gone")
        else:
            yield from comparison.broken(
                content.get("schema", {}), new["content"][kind].get("schema", {}), where
            )

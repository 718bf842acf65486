"""CustomResourceDefinitions: what a released one has and takes, the next one has and takes (docs/stability.md)."""

from collections.abc import Iterator, Mapping
from typing import Any

from release.promises.broken import Broken
from release.promises.schema import Comparison


def broken_by_crd(old: Mapping[str, Any], new: Mapping[str, Any], where: str) -> Iterator[Broken]:
    """What the new definition does not have or take any more. ``where`` is its file."""
    before, after = old["spec"], new["spec"]
    for key in ("group", "scope"):
        if before[key] != after[key]:
            yield Broken(f"{where}: {key}", f"was {before[key]} and is {after[key]} now")
    for key, value in before["names"].items():
        now = after["names"].get(key)
        lost = set(value) - set(now or ()) if isinstance(value, list) else {value} - {now}
        for name in sorted(lost):
            yield Broken(f"{where}: names.{key}", f"{name} is gone")
    versions = {version["name"]: version for version in after["versions"]}
    for version in before["versions"]:
        name = version["name"]
        if not version["served"]:
            continue
        if not versions.get(name, {}).get("served"):
            yield Broken(f"{where}: {name}", "is not served any more")
        else:
            yield from _of_version(version, versions[name], f"{where}: {name}")


def _of_version(old: Mapping[str, Any], new: Mapping[str, Any], where: str) -> Iterator[Broken]:
    for name in sorted(set(old.get("subresources", {})) - set(new.get("subresources", {}))):
        yield Broken(where, f"the subresource {name} is gone")
    columns = {column["name"]: column for column in new.get("additionalPrinterColumns", [])}
    for column in old.get("additionalPrinterColumns", []):
        name = column["name"]
        now = columns.get(name)
        if now is None:
            yield Broken(where, f"the printer column {name} is gone")
        elif (now["type"], now["jsonPath"]) != (column["type"], column["jsonPath"]):
            yield Broken(where, f"the printer column {name} shows something else")
    before, after = (version["schema"]["openAPIV3Schema"] for version in (old, new))
    yield from Comparison(before, after).broken(before, after, where)

"""What is written from the chart's values.yaml, its README and its schema, and from pyproject.toml, its version.

`make chart` runs it.

In values.yaml, a comment above a value is its description when it begins with ``--``. A map with a description is a
value as a whole, in whose keys the chart has no say; one without is a group. ``@schema {...}`` adds to the JSON
schema, and ``@section Title`` opens a section of the README.
"""

import argparse
import dataclasses
import json
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

CHART: Final = Path(__file__).resolve().parents[1] / "charts/scim-operator"
PLACE: Final = "<!-- values -->"
_TYPES: Final[Mapping[type, str]] = {
    bool: "boolean",
    int: "integer",
    str: "string",
    list: "array",
    dict: "object",
}


class ChartError(Exception):
    """values.yaml is not as it must be; the message says where."""


@dataclasses.dataclass(frozen=True, slots=True)
class Value:
    """One value that can be set."""

    path: tuple[str, ...]
    default: Any
    description: str
    narrowed: Mapping[str, Any]
    """What ``@schema`` adds."""
    section: str

    @property
    def name(self) -> str:
        """As in ``--set``."""
        return ".".join(self.path)


@dataclasses.dataclass(slots=True)
class _Comment:
    description: str = ""
    narrowed: dict[str, Any] = dataclasses.field(default_factory=dict)


def values(text: str) -> list[Value]:
    """All values of a values.yaml, in its order.

    Raises:
        ChartError: one has no description.
    """
    root = yaml.compose(text)
    if not isinstance(root, yaml.MappingNode):
        raise ChartError("values.yaml is no map")
    return list(_walk(root, (), text.splitlines()))


def _walk(node: yaml.MappingNode, path: tuple[str, ...], lines: list[str]) -> Iterator[Value]:
    for key, child in node.value:
        below = (*path, key.value)
        line = key.start_mark.line
        comment = _comment_above(lines, line)
        if isinstance(child, yaml.MappingNode) and not comment.description:
            yield from _walk(child, below, lines)
            continue
        if not comment.description:
            raise ChartError(
                f"values.yaml:{line + 1}: {'.'.join(below)} has no description; write `# -- …` above it"
            )
        default = yaml.safe_load(yaml.serialize(child))
        yield Value(below, default, comment.description, comment.narrowed, _section_of(lines, line))


def _comment_above(lines: list[str], line: int) -> _Comment:
    """The comment right above a line, without a gap."""
    start = line
    while start > 0 and lines[start - 1].lstrip().startswith("#"):
        start -= 1
    comment, described = _Comment(), False
    for raw in lines[start:line]:
        text = raw.strip().removeprefix("#").strip()
        if text.startswith("@schema "):
            comment.narrowed |= json.loads(text.removeprefix("@schema "))
        elif text.startswith("-- "):
            comment.description, described = text.removeprefix("-- "), True
        elif described:
            comment.description += f" {text}"
    return comment


def _section_of(lines: list[str], line: int) -> str:
    titles = (
        text.removeprefix("# @section ") for text in reversed(lines[:line]) if text.startswith("# @section ")
    )
    return next(titles, "")


def schema(text: str) -> str:
    """values.schema.json: what Helm refuses before it renders anything."""
    root: dict[str, Any] = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "scim-operator"}
    root |= {"type": "object", "properties": {}}
    for value in values(text):
        group = root
        for part in value.path[:-1]:
            group = group["properties"].setdefault(part, {"type": "object", "properties": {}})
        group["properties"][value.path[-1]] = {
            "description": value.description,
            "type": _TYPES[type(value.default)],
            **value.narrowed,
        }
    return json.dumps(_closed(root), indent=2, ensure_ascii=False) + "\n"


def _closed(group: dict[str, Any]) -> dict[str, Any]:
    """Refuse other keys. Helm shows a schema's own words only: so the refusal is a value that nobody writes, for
    `additionalProperties: false` would not tell what there is instead.
    """
    if "items" in group:
        return {**group, "items": _closed(group["items"])}
    if "properties" not in group:
        return group
    there_is = ", ".join(group["properties"])
    return {
        **group,
        "properties": {name: _closed(child) for name, child in group["properties"].items()},
        "additionalProperties": {"const": f"left out, for there is no such value; here are {there_is}"},
    }


def readme(template: str, text: str) -> str:
    """The README: the template with the tables of all values."""
    if template.count(PLACE) != 1:
        raise ChartError(f"the template must hold {PLACE} once")
    return template.replace(PLACE, "\n".join(_tables(values(text))).strip())


def _tables(listed: list[Value]) -> Iterator[str]:
    section = ""
    for value in listed:
        if value.section != section:
            section = value.section
            yield from ("", f"### {section}", "", "| value | default | |", "|---|---|---|")
        default = json.dumps(value.default, ensure_ascii=False).replace("|", "\\|")
        yield f"| `{value.name}` | `{default}` | {value.description.replace('|', chr(92) + '|')} |"


def with_version(chart_yaml: str, version: str) -> str:
    """Chart.yaml with this version of chart and images."""
    return re.sub(r"^(version|appVersion): .*$", rf"\1: {version}", chart_yaml, flags=re.MULTILINE)


def generated(chart: Path = CHART) -> dict[Path, str]:
    """Each generated file and what it must hold."""
    text = (chart / "values.yaml").read_text(encoding="utf-8")
    template = (chart / "README.md.tmpl").read_text(encoding="utf-8")
    root = chart.parents[1]
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    described = (chart / "Chart.yaml").read_text(encoding="utf-8")
    return {
        chart / "Chart.yaml": with_version(described, project["version"]),
        chart / "README.md": readme(template, text),
        chart / "values.schema.json": schema(text),
        **{
            chart / "files" / crd.name: crd.read_text(encoding="utf-8")
            for crd in sorted((root / "crds").glob("*.yaml"))
        },
    }


def main() -> int:
    """Write them."""
    parser = argparse.ArgumentParser(
        "python -m chart_files",
        description="Write the chart's README, schema, version and CRDs anew, from its values.yaml, pyproject.toml and crds/.",
    )
    parser.parse_args()
    try:
        for path, content in generated().items():
            path.write_text(content, encoding="utf-8")
    except ChartError as error:
        sys.stderr.write(f"chart_files: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

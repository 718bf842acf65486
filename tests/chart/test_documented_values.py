"""Values that a page shows are values of the chart: each block renders, on top of the smallest installation."""

import re
import textwrap
from typing import Any

import pytest
import yaml

from support.chart import CHART, HOST, ROOT, Helm

KEYS = frozenset(yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8")))
POSTGRESQL = {"api": {"database": {"type": "postgresql", "existingSecret": {"name": "scim-database"}}}}


def blocks() -> list[tuple[str, dict[str, Any]]]:
    """Page, and each YAML of it whose keys are the chart's."""
    found = []
    for page in sorted((ROOT / "docs").glob("*.md")):
        for text in re.findall(
            r"^ *```yaml\n(.*?)^ *```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
        ):
            content = yaml.safe_load(textwrap.dedent(text))
            if isinstance(content, dict) and content.keys() <= KEYS:
                found.append((page.name, content))
    return found


@pytest.mark.parametrize(("page", "values"), blocks())
def test_values_of_a_page_are_taken(helm: Helm, page: str, values: dict[str, Any]) -> None:
    needs_postgresql = values.get("api", {}).get("replicas", 1) > 1 or "extraVolumes" in values.get("api", {})
    rendered = helm.render(HOST, *([POSTGRESQL] if needs_postgresql else []), values)
    assert rendered.of_kind("Deployment"), page


def test_there_are_such_blocks() -> None:
    pages = {page for page, _ in blocks()}
    assert {"install.md", "operations.md", "postgresql.md", "runbooks.md"} <= pages

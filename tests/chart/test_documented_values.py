"""Values that a page shows are values of the chart: each block renders, on top of the smallest installation."""

import re
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from support.chart import CHART, HOST, ROOT, Helm

KEYS = frozenset(yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8")))
POSTGRESQL = {"api": {"database": {"type": "postgresql", "existingSecret": {"name": "scim-database"}}}}


def documents() -> Iterator[tuple[str, dict[str, Any]]]:
    """Page, and each YAML document of it."""
    for page in sorted((ROOT / "docs").glob("*.md")):
        text = page.read_text(encoding="utf-8")
        for block in re.findall(r"^ *```yaml\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL):
            for content in yaml.safe_load_all(textwrap.dedent(block)):
                if isinstance(content, dict):
                    yield page.name, content


def blocks() -> list[tuple[str, dict[str, Any]]]:
    """Page, and each YAML of it whose keys are the chart's."""
    return [(page, content) for page, content in documents() if content.keys() <= KEYS]


@pytest.mark.parametrize(("page", "values"), blocks())
def test_values_of_a_page_are_taken(helm: Helm, page: str, values: dict[str, Any]) -> None:
    needs_postgresql = values.get("api", {}).get("replicas", 1) > 1 or "extraVolumes" in values.get("api", {})
    rendered = helm.render(HOST, *([POSTGRESQL] if needs_postgresql else []), values)
    assert rendered.of_kind("Deployment"), page


def test_there_are_such_blocks() -> None:
    pages = {page for page, _ in blocks()}
    assert {"install.md", "moving-to-postgresql.md", "openshift.md", "postgresql.md"} <= pages


def test_values_of_a_helm_release_of_flux_suffice(helm: Helm) -> None:
    (release,) = (content for _, content in documents() if content.get("kind") == "HelmRelease")
    assert helm.render(release["spec"]["values"]).of_kind("Ingress")
    assert (ROOT / release["spec"]["chart"]["spec"]["chart"]) == CHART


def test_the_application_of_argo_cd_names_the_chart() -> None:
    (application,) = (content for _, content in documents() if content.get("kind") == "Application")
    assert (ROOT / application["spec"]["source"]["path"]) == CHART
    assert application["spec"]["source"]["helm"]["releaseName"] == application["metadata"]["name"]

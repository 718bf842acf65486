"""Images that a node pulls from a registry, and how it forgets those that it has."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from localcluster.node import images, runtime
from localcluster.node.images import Builder
from localcluster.node.layout import Layout
from localcluster.projects import NodeTools

TOOLS = NodeTools(Path("/tools"), {})
HELD = """\
REF                               TYPE                                    DIGEST      SIZE     PLATFORMS   LABELS
ghcr.io/team/scim-api@sha256:aa   application/vnd.oci.image.index.v1+json sha256:aa   62.0 MiB linux/amd64 -
localhost/scim-api:dev            application/vnd.oci.image.index.v1+json sha256:bb   62.0 MiB linux/amd64 -
sha256:0123                       application/vnd.oci.image.index.v1+json sha256:bb   62.0 MiB linux/amd64 -
localhost/scim-api-of-another:dev application/vnd.oci.image.index.v1+json sha256:cc   62.0 MiB linux/amd64 -
"""


def hosts(layout: Layout) -> dict[str, Any]:
    """What is said of hosts where containerd is configured to look for it."""
    configured = tomllib.loads(runtime._containerd_configuration(layout, TOOLS, "pause", Path("/cni")))
    folder = Path(configured["plugins"]["io.containerd.cri.v1.images"]["registry"]["config_path"])
    return {path.parent.name: tomllib.loads(path.read_text()) for path in folder.glob("*/hosts.toml")}


def test_a_registry_is_asked_at_another_address_and_nowhere_else_for_the_length_of_a_block(
    tmp_path: Path,
) -> None:
    layout = Layout(tmp_path)
    with Builder(layout, TOOLS).registry("registry.example.com", "http://127.0.0.1:5000"):
        assert hosts(layout) == {"registry.example.com": {"server": "http://127.0.0.1:5000"}}
    assert hosts(layout) == {}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What containerd's client is asked, which answers with ``HELD``."""
    asked: list[tuple[str, ...]] = []

    def ctr(_layout: Layout, _tools: NodeTools, *arguments: str) -> str:
        asked.append(arguments)
        return HELD

    monkeypatch.setattr(images, "ctr", ctr)
    return asked


def test_an_image_is_removed_by_all_the_names_that_it_has(
    tmp_path: Path, asked: list[tuple[str, ...]]
) -> None:
    Builder(Layout(tmp_path), TOOLS).remove(["scim-api"])
    names = ("ghcr.io/team/scim-api@sha256:aa", "localhost/scim-api:dev", "sha256:0123")
    assert asked == [("images", "ls"), ("images", "rm", "--sync", *names)]


def test_what_is_not_there_needs_no_removal(tmp_path: Path, asked: list[tuple[str, ...]]) -> None:
    Builder(Layout(tmp_path), TOOLS).remove(["scim-operator"])
    assert asked == [("images", "ls")]

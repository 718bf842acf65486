"""``make demo KEEP=1`` on kind, which is played here; test_demo.py has the whole story on it."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo import installation
from demo.cluster import Way
from demo.console import Console
from localcluster import Tools
from support.demo_run import on_kind


@pytest.fixture
def clusters(tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the clusters are that kind has on this machine, whose state is a test's own."""
    for name, value in on_kind(tmp_path / "kind", tools).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    yield tmp_path / "kind" / "clusters"
    installation.stop_kept()


def test_what_is_kept_on_kind_goes_on_until_it_is_ended(clusters: Path) -> None:
    console = Console(io.StringIO())
    with installation.kept(console, Way.KIND) as left:
        left.start("http://127.0.0.1:1", {})
    api_and_operator = installation._identities(left.directory)
    assert [identity.alive for identity in api_and_operator] == [True, True]
    [cluster] = clusters.iterdir()
    assert "scimtokens" in left.plane.kubectl("get", "crds", "-o", "name").stdout
    assert installation.stop_kept()
    assert not cluster.exists()
    assert not any(identity.alive for identity in api_and_operator)
    assert not installation.kept_directory().exists()
    assert not installation.stop_kept()
    left.stop()  # They are this process's own, and are waited for.

"""What names a build, and what it is told about its version."""

from pathlib import Path

import pytest

from localcluster import build
from localcluster.build import MODULE, build_command, cache_key, kubernetes_version
from localcluster.errors import ClusterError

GO_MOD = b"require k8s.io/kubernetes v1.37.2\n"
COMPILER = "go1.26.0 linux amd64"


@pytest.mark.parametrize(
    ("go_mod", "go_sum", "compiler"),
    [
        (GO_MOD.replace(b"v1.37.2", b"v1.37.3"), b"sum", COMPILER),
        (GO_MOD + b"\n", b"sum", COMPILER),
        (GO_MOD, b"another sum", COMPILER),
        (GO_MOD + b"sum", b"", COMPILER),
        (GO_MOD, b"sum", "go1.26.1 linux amd64"),
        (GO_MOD, b"sum", "go1.26.0 linux arm64"),
    ],
)
def test_what_is_built_differently_has_another_place_in_the_cache(
    go_mod: bytes, go_sum: bytes, compiler: str
) -> None:
    assert cache_key(go_mod, go_sum, compiler) != cache_key(GO_MOD, b"sum", COMPILER)


def test_the_same_is_found_again() -> None:
    assert cache_key(GO_MOD, b"sum", COMPILER) == cache_key(GO_MOD, b"sum", COMPILER)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PACKAGES", {"etcd": "go.etcd.io/etcd/server/v3"}),
        ("GO_BUILD", ("go", "build", "-race")),
        ("ENVIRONMENT", {"CGO_ENABLED": "1"}),
    ],
)
def test_another_recipe_has_another_place_in_the_cache(
    monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    before = cache_key(GO_MOD, b"sum", COMPILER)
    monkeypatch.setattr(build, name, value)
    assert cache_key(GO_MOD, b"sum", COMPILER) != before


def test_the_version_comes_from_go_mod() -> None:
    assert kubernetes_version("require (\n\tk8s.io/api v0.1.0\n\tk8s.io/kubernetes v1.2.3\n)") == "v1.2.3"
    assert kubernetes_version((MODULE / "go.mod").read_text()).startswith("v1.37.")


def test_a_go_mod_without_kubernetes_is_told() -> None:
    with pytest.raises(ClusterError, match="does not require"):
        kubernetes_version("module x")


def test_the_binaries_are_told_their_version_and_not_where_they_were_built() -> None:
    command = build_command("k8s.io/kubernetes/cmd/kubectl", Path("/made/kubectl"), "v1.37.2")
    assert "-trimpath" in command
    assert "-buildvcs=false" in command
    assert "-X k8s.io/component-base/version.gitVersion=v1.37.2" in command[command.index("-ldflags") + 1]
    assert command[-2:] == ["/made/kubectl", "k8s.io/kubernetes/cmd/kubectl"]


def test_every_tool_is_pinned_by_go_mod() -> None:
    go_mod = (MODULE / "go.mod").read_text()
    tools = go_mod[go_mod.index("tool (") :].partition(")")[0].split()[2:]
    assert sorted(tools) == sorted(build.PACKAGES.values())

"""The life of a release on a real API server: installed, upgraded, rolled back, removed, and back again.

There is no node, so no pod and no hook runs here; what Helm does with the objects is the same.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from localcluster import ControlPlane, Tools
from support.chart import CHART, HOST, NAMESPACE, RELEASE, Helm
from support.installed import manifest

CRD = "scimtokens.scim-operator.io"
KINDS = (CRD, "scimwebhooks.scim-operator.io")


class Releases:
    """helm against one control plane."""

    def __init__(self, helm: Helm, plane: ControlPlane) -> None:
        self._helm, self.plane = helm, plane

    def helm(self, *arguments: str, check: bool = True) -> str:
        done = self._helm.run(*arguments, check=check, kubeconfig=self.plane.kubeconfig)
        return done.stdout + done.stderr

    def install(
        self, *options: str, name: str = RELEASE, namespace: str = NAMESPACE, check: bool = True
    ) -> str:
        host = ("--set-json", json.dumps(HOST))
        return self.helm(
            "install", name, str(CHART), "-n", namespace, "--create-namespace", *host, *options, check=check
        )

    def uninstall(self, name: str = RELEASE, namespace: str = NAMESPACE) -> None:
        self.helm("uninstall", name, "-n", namespace, "--no-hooks")

    def get(self, kind: str, name: str, namespace: str = NAMESPACE) -> dict[str, Any] | None:
        """An object; None when it is not there."""
        done = self.plane.kubectl(
            "get", kind, name, "-n", namespace, "-o", "json", "--ignore-not-found", check=False
        )
        found: dict[str, Any] | None = json.loads(done.stdout) if done.stdout else None
        return found


@pytest.fixture(scope="module")
def own_plane(tools: Tools) -> Iterator[ControlPlane]:
    with ControlPlane.start(tools) as plane:
        yield plane


@pytest.fixture
def releases(helm: Helm, own_plane: ControlPlane) -> Iterator[Releases]:
    """The release is installed; afterwards all of it is gone but the kinds, which the next one takes over.

    An API server sometimes takes minutes to let a kind go that was changed right before.
    """
    releases = Releases(helm, own_plane)
    releases.install()
    for crd in KINDS:
        own_plane.wait_established(crd)
    yield releases
    if releases.helm("list", "-n", NAMESPACE, "-q").strip():
        releases.uninstall()
    own_plane.kubectl("delete", "sct", "--all", "-n", NAMESPACE)
    own_plane.kubectl(
        "annotate", "crd", *KINDS, f"meta.helm.sh/release-name={RELEASE}",
        f"meta.helm.sh/release-namespace={NAMESPACE}", "--overwrite",
    )  # fmt: skip
    own_plane.kubectl("delete", "pvc", "--all", "-n", NAMESPACE, "--wait=false")


def make_token(releases: Releases) -> str:
    """A ScimToken beside the release; its uid."""
    releases.plane.kubectl("apply", "-f", "-", input=json.dumps(manifest("entra", NAMESPACE)))
    return uid(releases)


def uid(releases: Releases) -> str:
    found = releases.get("sct", "entra")
    assert found is not None
    return str(found["metadata"]["uid"])


def test_an_upgrade_changes_the_release_and_a_rollback_takes_it_back(releases: Releases) -> None:
    token = make_token(releases)

    def host() -> str:
        ingress = releases.get("ingress", RELEASE)
        assert ingress is not None
        return str(ingress["spec"]["rules"][0]["host"])

    releases.helm(
        "upgrade", RELEASE, str(CHART), "-n", NAMESPACE, "--reuse-values", "--set", "host=other.example.com"
    )
    assert host() == "other.example.com"
    releases.helm("rollback", RELEASE, "1", "-n", NAMESPACE)
    assert host() == "scim.example.com"
    assert uid(releases) == token


def test_an_upgrade_brings_the_kind_along(releases: Releases) -> None:
    releases.plane.kubectl(
        "patch", "crd", CRD, "--type=json", "-p", '[{"op":"remove","path":"/spec/names/shortNames"}]'
    )
    releases.helm(
        "upgrade", RELEASE, str(CHART), "-n", NAMESPACE, "--reuse-values", "--set", "host=other.example.com"
    )
    crd = releases.get("crd", CRD)
    assert crd is not None
    assert crd["spec"]["names"]["shortNames"] == ["sct"]


def test_what_matters_outlives_the_release_and_the_next_one_finds_it(releases: Releases) -> None:
    token = make_token(releases)
    claim = releases.get("pvc", f"{RELEASE}-data")
    assert claim is not None
    releases.uninstall()
    assert releases.get("deployment", RELEASE) is None
    assert releases.get("clusterrole", f"{NAMESPACE}:{RELEASE}") is None
    assert uid(releases) == token
    releases.install()
    assert uid(releases) == token
    again = releases.get("pvc", f"{RELEASE}-data")
    assert again is not None
    assert again["metadata"]["uid"] == claim["metadata"]["uid"]


def test_another_release_leaves_the_kinds_to_the_first_or_takes_it_over_as_the_readme_says(
    releases: Releases,
) -> None:
    token = make_token(releases)
    assert "invalid ownership metadata" in releases.install(name="second", namespace="second", check=False)
    releases.install("--set", "crds.install=false", name="second", namespace="second")
    releases.uninstall(name="second", namespace="second")
    releases.uninstall()
    releases.plane.kubectl(
        "annotate", "crd", *KINDS, "meta.helm.sh/release-name=second", "meta.helm.sh/release-namespace=second",
        "--overwrite",
    )  # fmt: skip
    releases.install(name="second", namespace="second")
    assert uid(releases) == token
    releases.uninstall(name="second", namespace="second")


def test_two_releases_of_one_name_in_two_namespaces_do_not_meet(releases: Releases) -> None:
    releases.install("--set", "crds.install=false", namespace="elsewhere")
    assert releases.get("clusterrole", f"elsewhere:{RELEASE}")
    assert releases.get("clusterrole", f"{NAMESPACE}:{RELEASE}")
    releases.uninstall(namespace="elsewhere")
    assert releases.get("clusterrole", f"{NAMESPACE}:{RELEASE}")

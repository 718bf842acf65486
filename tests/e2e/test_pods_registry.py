"""A release as a person takes it: one command with the registry's names, and the node pulls what was tested.

`make try-release` runs it, first: it takes the images of every release and checkout out of the node before it begins.
The tests are one story, in this order, told by one release.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import yaml

from demo.console import until
from localcluster.build import build_project
from localcluster.node import Node
from localcluster.projects import REGISTRY
from release.emulation import native
from support.pods import HOST, Pods
from support.published import ROOT, Dist, Publication, documented, typed
from support.registry import Registry, running_registry

pytestmark = pytest.mark.timeout(600)
NAMESPACE: Final = "scim-system"
"""The documentation's."""
RUN: Final = ("scim-operator", "scim-api")
"""The images that the chart names."""
HERE: Final = {"scim.example.com": HOST, "className: nginx": "className: traefik", "ingress-nginx": "ingress"}
"""What the documentation's values say -> what it is on this node."""


@pytest.fixture(scope="module")
def dist() -> Dist:
    return Dist.read(Path(os.environ["SCIM_TESTS_RELEASE"]))


@pytest.fixture(scope="module")
def registry(bare_node: Node, dist: Dist, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """An empty one, that the node asks for the release's images."""
    program = build_project(REGISTRY) / "registry"
    with (
        running_registry(program, dist.host, tmp_path_factory.mktemp("registry")) as running,
        bare_node.registry(dist.host, running.url),
    ):
        yield running


@pytest.fixture(scope="module")
def published(
    bare_node: Node, dist: Dist, registry: Registry, tmp_path_factory: pytest.TempPathFactory
) -> Publication:
    made = Publication(dist, registry, tmp_path_factory.mktemp("publication"), bare_node.tools / "helm")
    made.run()
    return made


class Installation(Pods):
    """A release of the chart that is installed from a registry, as docs/install.md says."""

    def __init__(self, node: Node, directory: Path, dist: Dist, registry: Registry) -> None:
        super().__init__(node, NAMESPACE, directory, {})
        self._dist, self._registry = dist, registry

    def typed(self, beginning: str) -> None:
        """Type the page's command that begins so, where `values.yaml` is."""
        command, account = documented(beginning), {"KUBECONFIG": str(self.node.kubeconfig)}
        try:
            typed(command, self.directory, self.node.tools, self._dist, self._registry, **account)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.story()}") from None

    def write_values(self, **more: object) -> None:
        """The page's smallest ones, for this node, and ``more``."""
        text = (ROOT / "docs/install.md").read_text(encoding="utf-8")
        text = text.partition("\n## 2. Values\n")[2].partition("```yaml\n")[2].partition("```")[0]
        for said, here in HERE.items():
            assert said in text
            text = text.replace(said, here)
        values = yaml.safe_load(text)
        assert "image" not in values  # The chart of a release names its images.
        # A certificate, which the page adds to its values too, and its authority, which is no public one.
        values["ingress"] |= self.values["ingress"]
        values["trustedCa"] = self.values["trustedCa"]
        (self.directory / "values.yaml").write_text(yaml.safe_dump(values | more), encoding="utf-8")


@pytest.fixture(scope="module")
def pods(
    bare_node: Node, dist: Dist, registry: Registry, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """A namespace with a certificate, and nothing installed in it."""
    bare_node.remove_images(dist.images)
    release = Installation(bare_node, tmp_path_factory.mktemp("pods-registry"), dist, registry)
    release.prepare()
    yield release
    release.remove()


def test_the_node_has_nothing_of_the_images_before(pods: Installation, dist: Dist) -> None:
    held = pods.node.blobs()
    assert held  # Those of the node itself.
    assert {name: dist.blobs(name) & held for name in dist.images} == {name: set() for name in dist.images}


def test_what_was_pushed_has_the_digests_of_dist_and_is_what_cosign_signs(
    published: Publication, registry: Registry, dist: Dist
) -> None:
    assert set(dist.images) == {*RUN, "kubectl-scim"}
    assert {name: published.digest(name) for name in dist.images} == dist.images
    chart = "charts/scim-operator"
    digests = {**dist.images, chart: published.digest(chart)}
    assert published.signed == {f"{dist.registry}/{name}@{digest}" for name, digest in digests.items()}
    assert registry.asked == {f"{dist.host}:443"}


def test_one_command_of_the_documentation_installs_it_from_the_registry(
    published: Publication, pods: Installation, dist: Dist
) -> None:
    assert published.signed
    pods.write_values()
    pods.typed("helm install scim oci://")
    [installed] = yaml.safe_load(pods.helm("list", "--output", "json"))
    assert (installed["status"], installed["chart"]) == ("deployed", f"scim-operator-{dist.version}")


def test_its_pods_run_the_digests_of_dist_which_the_node_pulled(
    pods: Installation, registry: Registry, dist: Dist
) -> None:
    statuses = [
        status
        for component in ("operator", "api")
        for pod in pods.pods(component)
        for kind in ("initContainerStatuses", "containerStatuses")
        for status in pod["status"].get(kind, [])
    ]
    assert {status["imageID"] for status in statuses} == {
        f"{dist.registry}/{name}@{dist.images[name]}" for name in RUN
    }
    for name in RUN:
        assert dist.layers(name, native()) <= registry.fetched
        assert dist.layers(name, native()) <= pods.node.blobs()


def test_a_scim_token_becomes_ready_and_entras_test_connection_passes_through_the_ingress(
    pods: Installation,
) -> None:
    pods.apply_token("entra")
    until("Entra's Test Connection passes", lambda: pods.test_connection("entra", HOST) == 200, 30)


def test_helm_test_runs_from_the_registrys_image(pods: Installation) -> None:
    pods.typed("helm test scim")


def test_an_upgrade_from_the_registry_keeps_the_token(pods: Installation) -> None:
    before = pods.secret("entra")
    pods.write_values(operator={"replicas": 1})
    pods.typed("helm upgrade scim oci://")
    until("one operator is left", lambda: len(pods.pods("operator")) == 1, 60)
    history = yaml.safe_load(pods.helm("history", pods.name, "--output", "json"))
    assert [one["revision"] for one in history] == [1, 2]
    assert pods.secret("entra") == before
    assert pods.test_connection("entra", HOST) == 200


def test_an_uninstallation_leaves_no_pod(pods: Installation) -> None:
    pods.typed("helm uninstall scim")
    until("no pod is left", lambda: not (pods.pods("operator") or pods.pods("api")), 60)
    assert pods.secret("entra")["token"]

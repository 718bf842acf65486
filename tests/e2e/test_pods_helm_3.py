"""The chart in real pods by Helm 3: installed, upgraded, tested and taken away again, as by Helm 4 elsewhere.

The tests are one story, in this order, told by one release.
"""

from collections.abc import Iterator

import pytest

from demo.console import until
from localcluster.node import Node
from support.pods import QUICK, ROOT, THIS, Pods, installed

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def pods(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pods]:
    with installed(node, tmp_path_factory.mktemp("pods-helm-3"), "pods-helm-3", helm="helm3") as release:
        yield release


def test_it_is_helm_3(pods: Pods) -> None:
    assert pods.helm("version", "--short").startswith("v3.")


def test_entra_plays_its_cycles_against_what_it_installed(pods: Pods) -> None:
    pods.apply_token("entra", rateLimit=QUICK)
    pods.play("entra")


def test_its_helm_test_succeeds(pods: Pods) -> None:
    assert "Succeeded" in pods.helm("test", pods.name, "--timeout", "120s", timeout=150)


def test_an_upgrade_by_it_keeps_the_token(pods: Pods) -> None:
    before = pods.secret("entra")
    pods.install(ROOT, THIS, operator={"replicas": 1})
    until("one operator is left", lambda: len(pods.pods("operator")) == 1, 60)
    with pods.client(before["token"]) as client:
        assert until("it serves", lambda: client.get("/Users").status_code == 200, 60)
    assert pods.secret("entra") == before


def test_a_rollback_by_it_brings_the_second_operator_back(pods: Pods) -> None:
    pods.helm("rollback", pods.name, "1", "--wait", "--timeout", "120s", timeout=150)
    assert len(pods.pods("operator")) == 2

"""The demo and the node, run for the tests."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from inpods import Release, load_release
from localcluster import ControlPlane, Tools
from localcluster.node import Node
from support.demo_run import NewDemo, Runs, demos, downloaded, on_kind, written_by
from support.pods import ROOT, THIS, build_images
from support.stack import OPERATOR_NAMESPACE, Stack

RELEASED: Final = os.environ.get("SCIM_TESTS_RELEASE")
collect_ignore = () if RELEASED else ("test_pods_registry.py",)
"""Without a release there is nothing to pull from a registry: `make try-release` has one."""


@pytest.fixture
def new_demo(tools: Tools, tmp_path: Path) -> Iterator[NewDemo]:
    """Makes demos for one test."""
    with demos(tmp_path) as make:
        yield make


@pytest.fixture(scope="session")
def runs(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """Both ways to run it, side by side, which they must bear: each waits a minute for a token to expire.

    One is on kind, which is played; the other has what is downloaded, no kube-controller-manager.
    """
    place = tmp_path_factory.mktemp("runs")
    with demos(place) as make:
        plain, kept = make(**on_kind(place / "kind", tools)), make(**downloaded(place / "cache", tools))
        plain.start("--kubernetes", "kind")
        kept.start("--keep")
        codes = plain.wait(), kept.wait()
        yield Runs(plain, kept, codes, written_by(kept))


@pytest.fixture
def doomed(control_plane: ControlPlane) -> str:
    """A namespace that the test itself deletes."""
    name = f"doomed-{secrets.token_hex(4)}"
    control_plane.kubectl("create", "namespace", name)
    return name


@pytest.fixture(scope="module")
def usual_one_afterwards(stack: Stack) -> Iterator[Stack]:
    """The last of these tests is followed by an operator as the session had it before."""
    yield stack
    stack.start_operator()


@pytest.fixture
def lonely(usual_one_afterwards: Stack) -> Iterator[Stack]:
    """No operator runs, nor afterwards, and nobody holds the Lease."""
    stack = usual_one_afterwards
    stop_all(stack)
    yield stack
    stop_all(stack)
    stack.kubectl("delete", "lease", "scim-operator", "-n", OPERATOR_NAMESPACE, "--ignore-not-found")


def stop_all(stack: Stack) -> None:
    for operator in stack.operators:
        if operator.running:
            operator.stop()


@pytest.fixture(scope="session")
def bare_node() -> Iterator[Node]:
    """A node to which nobody has brought an image yet; it ends with the session, unless it ran before."""
    obstacle = Node.obstacle()
    if obstacle is not None:
        pytest.skip(obstacle)
    ran_before = Node.is_running()
    node = Node.up()
    try:
        yield node
    finally:
        if not ran_before:
            node.down()


@pytest.fixture(scope="session")
def node(bare_node: Node) -> Node:
    """The node with this checkout's images.

    ``SCIM_TESTS_RELEASE`` names what `make release` made of it, `dist`: then its images and its chart are tested.
    """
    if RELEASED:
        Release.charts = {THIS: load_release(bare_node, Path(RELEASED), THIS)}
    else:
        build_images(bare_node, ROOT, THIS)
    return bare_node

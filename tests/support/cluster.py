"""A real kube-apiserver for tests: one for the session, a namespace for each test."""

import secrets
from collections.abc import Callable, Iterator

import httpx
import pytest

from localcluster import ControlPlane, Tools, build_tools
from localcluster.projects import build_oldest_tools


@pytest.fixture(scope="session")
def say(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Writes a line on the terminal while a test runs: the progress of a build."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def write(line: str) -> None:
        with capture.global_and_fixture_disabled():
            print(line, flush=True)

    return write


@pytest.fixture(scope="session")
def tools(say: Callable[[str], None]) -> Tools:
    """Built when they are not in the cache, with progress on the terminal."""
    return build_tools(say)


@pytest.fixture(scope="session")
def oldest_tools(say: Callable[[str], None]) -> Tools:
    """The same of the oldest Kubernetes that is supported."""
    return build_oldest_tools(say)


@pytest.fixture(scope="session")
def control_plane(tools: Tools) -> Iterator[ControlPlane]:
    """Started once; a test that needs to break one starts its own."""
    with ControlPlane.start(tools) as plane:
        yield plane


def new_namespace(plane: ControlPlane) -> str:
    """A fresh namespace, made without a kubectl: hundreds of tests have one."""
    name = f"test-{secrets.token_hex(4)}"
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    with admin_client(plane) as admin:
        admin.post("/api/v1/namespaces", json=namespace).raise_for_status()
    return name


def admin_client(plane: ControlPlane) -> httpx.Client:
    """Asks the API server as its administrator, without a kubectl."""
    return httpx.Client(base_url=plane.url, verify=plane.admin_context(), trust_env=False, timeout=30)


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """A fresh namespace, removed afterwards without waiting."""
    name = new_namespace(control_plane)
    yield name
    with admin_client(control_plane) as admin:
        answer = admin.delete(f"/api/v1/namespaces/{name}")
    assert answer.status_code in (200, 202, 404, 409), (
        answer.text
    )  # The last two: a test has deleted it itself.


@pytest.fixture
def kubectl(control_plane: ControlPlane) -> Callable[..., str]:
    """Runs kubectl as administrator and returns what it printed; raises when it fails."""

    def run(*arguments: str, input: str | None = None) -> str:
        return control_plane.kubectl(*arguments, input=input).stdout

    return run

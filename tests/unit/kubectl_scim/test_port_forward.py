"""The way to the SCIM API: found, opened, opened again, and ended; a right that is missing is named."""

import os
import socketserver
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from kubectl_scim import port_forward
from kubectl_scim.kubectl import Forbidden, Kubectl, KubectlError, NotFound
from kubectl_scim.port_forward import PortForward, installation_namespace, to_installation
from support.played_kubectl import PlayedKubectl

BINDINGS = {
    "items": [
        {"subjects": [{"kind": "ServiceAccount", "name": "scim-operator", "namespace": "identity"}]},
        {"subjects": [{"kind": "ServiceAccount", "name": "scim-operator", "namespace": "identity"}]},
        {},
        {"subjects": [{"kind": "Group", "name": "all"}]},
    ]
}


@pytest.fixture
def played(tmp_path: Path) -> PlayedKubectl:
    return PlayedKubectl(tmp_path)


@pytest.fixture
def kubectl(played: PlayedKubectl) -> Kubectl:
    return Kubectl(("--context=there",), str(played.program))


class Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *arguments: object) -> None:
        """Nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    """Where a server answers."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Hello) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        assert isinstance(server, socketserver.TCPServer)
        yield server.server_address[1]
        server.shutdown()


def asked(url: str) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=30) as answer:
        found: bytes = answer.read()
    return found


def process_of(forward: PortForward) -> "int":
    assert forward._process is not None
    return forward._process.pid


def test_it_leads_to_the_service_until_the_block_ends(
    played: PlayedKubectl, kubectl: Kubectl, port: int
) -> None:
    played.answer("port-forward", relay=port)
    with PortForward(kubectl, "identity", "scim-api") as forward:
        assert asked(forward.url()) == b"hello"
        pid = process_of(forward)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert played.calls == [
        ["--context=there", "port-forward", "service/scim-api", ":scim", "-n", "identity", "--address", "127.0.0.1"]
    ]  # fmt: skip


def test_it_is_opened_again_when_kubectl_has_ended(
    played: PlayedKubectl, kubectl: Kubectl, port: int
) -> None:
    played.answer("port-forward", relay=port)
    with PortForward(kubectl, "identity", "scim-api") as forward:
        assert forward._process is not None
        forward._process.kill()
        forward._process.wait()
        assert asked(forward.url()) == b"hello"
        assert asked(forward.url()) == b"hello"
    assert len(played.calls) == 2


def test_one_that_has_ended_is_not_opened_again_by_who_still_asks(
    played: PlayedKubectl, kubectl: Kubectl, port: int
) -> None:
    played.answer("port-forward", relay=port)
    with PortForward(kubectl, "scim-system", "scim-api") as forward:
        forward.url()
    with pytest.raises(KubectlError, match="has ended"):
        forward.url()


def test_a_right_that_is_missing_is_named(played: PlayedKubectl, kubectl: Kubectl) -> None:
    said = 'error: error upgrading connection: pods "scim-api-1" is forbidden: User "ada" cannot create resource "pods/portforward" in API group "" in the namespace "identity"'
    played.answer("port-forward", err=said, code=1)
    with pytest.raises(Forbidden, match='cannot create resource "pods/portforward"'):
        PortForward(kubectl, "identity", "scim-api").url()


def test_a_port_that_does_not_open_is_given_up(
    played: PlayedKubectl, kubectl: Kubectl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(port_forward, "SECONDS", 0.3)
    played.answer("port-forward", hang=True)
    with pytest.raises(KubectlError, match=r"service/scim-api -n identity did not begin within 0\.3 s"):
        PortForward(kubectl, "identity", "scim-api").url()


def test_what_kubectl_says_without_end_does_not_stop_it(
    played: PlayedKubectl, kubectl: Kubectl, port: int
) -> None:
    played.answer("port-forward", err="x" * 1_000_000 + "\n", relay=port)
    with PortForward(kubectl, "identity", "scim-api") as forward:
        assert asked(forward.url()) == b"hello"


def test_the_installation_is_where_the_clusters_bindings_say(played: PlayedKubectl, kubectl: Kubectl) -> None:
    played.answer("clusterrolebindings", out=BINDINGS)
    assert installation_namespace(kubectl) == "identity"


@pytest.mark.parametrize("is_allowed", [True, False])
def test_without_them_it_is_where_the_documentation_puts_it(
    played: PlayedKubectl, kubectl: Kubectl, *, is_allowed: bool
) -> None:
    if is_allowed:
        played.answer("clusterrolebindings", out={"items": []})
    else:
        refused = "Error from server (Forbidden): clusterrolebindings.rbac.authorization.k8s.io is forbidden"
        played.answer("clusterrolebindings", err=refused, code=1)
    assert installation_namespace(kubectl) == "scim-system"
    with pytest.raises(NotFound, match="a credential goes nowhere on a guess: --installation-namespace"):
        to_installation(kubectl, None)
    assert not any("services" in call for call in played.calls)


def test_of_several_installations_none_is_guessed(played: PlayedKubectl, kubectl: Kubectl) -> None:
    other = {"subjects": [{"kind": "ServiceAccount", "name": "x", "namespace": "other"}]}
    played.answer("clusterrolebindings", out={"items": [*BINDINGS["items"], other]})
    with pytest.raises(KubectlError, match="in identity, other: say which one with --installation-namespace"):
        to_installation(kubectl, None)


def test_the_service_is_found_in_the_installations_namespace_alone(
    played: PlayedKubectl, kubectl: Kubectl
) -> None:
    played.answer("services", "identity", out={"items": [{"metadata": {"name": "scim-api"}}]})
    assert to_installation(kubectl, "identity")._service == "scim-api"
    [call] = played.calls
    assert "-A" not in call
    assert call[call.index("-l") + 1] == port_forward.SERVICE


@pytest.mark.parametrize(
    ("names", "error", "said"),
    [
        ([], NotFound, "--installation-namespace says where the chart is installed"),
        (["b", "a"], KubectlError, "several installations: a, b"),
    ],
)
def test_a_service_that_is_not_the_only_one_is_told(
    played: PlayedKubectl, kubectl: Kubectl, names: list[str], error: type[KubectlError], said: str
) -> None:
    played.answer("services", out={"items": [{"metadata": {"name": name}} for name in names]})
    with pytest.raises(error, match=said):
        to_installation(kubectl, "identity")


def test_who_may_not_look_for_the_service_is_told(played: PlayedKubectl, kubectl: Kubectl) -> None:
    played.answer("services", err='Error from server (Forbidden): services is forbidden: User "ada"', code=1)
    with pytest.raises(Forbidden, match=r"services is forbidden.*of the installation in identity"):
        to_installation(kubectl, "identity")

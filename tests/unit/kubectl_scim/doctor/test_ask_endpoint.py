"""One request to the endpoint: what is seen of it, over real TLS."""

import socket
import ssl
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from kubectl_scim.doctor import ask_endpoint
from kubectl_scim.doctor.ask_endpoint import ask
from kubectl_scim.doctor.facts import Answer, Failure
from localcluster.ports import free_port
from support.certificates import certificate
from support.loopback_server import serving

SCIM_401 = b'{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"401"}'


class Service(BaseHTTPRequestHandler):
    """Keeps what it was asked, and answers what the path says."""

    def do_GET(self) -> None:
        self.server.owner.append((self.path, dict(self.headers)))  # type: ignore[attr-defined]
        status = {"/scim/v2": 401, "/list": 401, "/proxy": 401, "/moved": 302, "/other": 200}[
            self.path.removesuffix("/ServiceProviderConfig")
        ]
        self.send_response(status)
        body = {"/list": b"[]", "/proxy": b'{"schemas": []}'}.get(
            self.path.removesuffix("/ServiceProviderConfig"), SCIM_401
        )
        self.send_header("content-length", str(len(body)))
        self.send_header("location", "https://elsewhere.example.com/")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """No log."""


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")


def test_the_answer_and_the_certificate_are_seen_and_no_credential_is_sent(tmp_path: Path) -> None:
    server, client = certificate(tmp_path, "localhost")
    asked: list[tuple[str, dict[str, str]]] = []
    with serving(Service, asked, tls=server) as port:
        url = f"https://localhost:{port}/scim/v2"
        answer = ask(url, "1.2.3", client)
    assert (answer.url, answer.status, answer.is_scim_error) == (url, 401, True)
    assert answer.certificate is not None
    assert answer.certificate.names == ("localhost",)
    assert timedelta(0) < answer.certificate.not_after - datetime.now(UTC) < timedelta(hours=1)
    [(path, headers)] = asked
    assert path == "/scim/v2/ServiceProviderConfig"
    assert headers["User-Agent"] == "kubectl-scim/1.2.3"
    assert "Authorization" not in headers


def test_redirects_are_told_and_not_followed(tmp_path: Path) -> None:
    asked: list[object] = []
    with serving(Service, asked) as port:
        moved, other = (ask(f"http://127.0.0.1:{port}/{path}", "1") for path in ("moved", "other"))
    assert (moved.status, moved.location) == (302, "https://elsewhere.example.com/")
    assert (other.status, other.is_scim_error) == (200, False)
    assert len(asked) == 2


def test_only_an_error_of_a_scim_api_counts_as_one() -> None:
    with serving(Service, []) as port:
        answers = [ask(f"http://127.0.0.1:{port}/{path}", "1") for path in ("list", "proxy", "scim/v2")]
    assert [(one.status, one.is_scim_error) for one in answers] == [(401, False), (401, False), (401, True)]


def test_who_does_not_answer_in_time_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask_endpoint, "SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        answer = ask(f"http://127.0.0.1:{listening.getsockname()[1]}", "1")
    assert (answer.failure, answer.detail) == (Failure.TIMEOUT, "within 0.2 s")


def test_why_no_answer_came_is_told_apart(tmp_path: Path) -> None:
    server, client = certificate(tmp_path, "scim.example.com")
    with serving(Service, [], tls=server) as port:
        untrusted = ask(f"https://127.0.0.1:{port}", "1")
        another = ask(f"https://127.0.0.1:{port}", "1", client)
    with serving(Service, []) as port:
        plain = ask(f"https://127.0.0.1:{port}", "1", ssl.create_default_context())
    closed = ask(f"https://127.0.0.1:{free_port()}", "1")
    nowhere = ask("https://no-such-host.invalid", "1")
    assert [one.failure for one in (untrusted, another, plain, closed, nowhere)] == [
        Failure.CERTIFICATE,
        Failure.CERTIFICATE,
        Failure.TLS,
        Failure.REFUSED,
        Failure.DNS,
    ]
    assert "self-signed" in untrusted.detail
    assert "not valid for '127.0.0.1'" in another.detail


@pytest.mark.parametrize("url", ["ftp://x", "https://[", "https://x:port"])
def test_what_is_no_url_is_a_failure_and_no_error(url: str) -> None:
    answer = ask(url, "1")
    assert isinstance(answer, Answer)
    assert answer.failure is not None

"""The operator's port: TLS with a certificate that is renewed under traffic, and handshakes that cost little."""

import datetime as dt
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from localcluster.ports import free_port
from scim_operator.adapters.api_certificate import client_context, issue, trust
from support.serve_process import PYTHON, Serve

HEAD_SECONDS = 2.0
CONNECTIONS = 50


def write(directory: Path, key: Ed25519PrivateKey, host: str = "127.0.0.1") -> None:
    """As kubelet does it: both files at once."""
    for name, content in issue(key, host, dt.datetime.now(dt.UTC)).items():
        (directory / f".{name}").write_bytes(content)
        (directory / f".{name}").replace(directory / name)


def trusting(*keys: Ed25519PrivateKey) -> ssl.SSLContext:
    context = client_context()
    for key in keys:
        trust(context, key)
    return context


class Port:
    """A service with an operator's port."""

    def __init__(self, directory: Path, head_seconds: float = 10) -> None:
        self.key, self.directory = Ed25519PrivateKey.generate(), directory / "tls"
        self.directory.mkdir()
        write(self.directory, self.key)
        self.number = free_port()
        self.serve = Serve(
            directory, f"sqlite:///{directory / 'scim.db'}", "--operator-port", str(self.number),
            "--operator-tls-dir", str(self.directory), "--head-seconds", str(head_seconds),
        )  # fmt: skip
        self.url = f"https://127.0.0.1:{self.number}"

    def client(self, *keys: Ed25519PrivateKey) -> httpx.Client:
        return httpx.Client(verify=trusting(*(keys or (self.key,))), trust_env=False, timeout=10)


@pytest.fixture
def port(tmp_path: Path) -> Iterator[Port]:
    made = Port(tmp_path)
    try:
        made.serve.wait_ready()
        yield made
    finally:
        made.serve.stop()


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[Port]:
    """One that waits for nobody."""
    made = Port(tmp_path, HEAD_SECONDS)
    try:
        made.serve.wait_ready()
        yield made
    finally:
        made.serve.stop()


def test_the_admin_api_and_scim_are_there_and_the_admin_api_is_nowhere_else(port: Port) -> None:
    issued = port.serve.connect()
    headers = {"authorization": f"Bearer {issued['token']}"}
    with port.client() as client:
        unsigned = client.get(f"{port.url}/admin/v1/connections")
        assert (unsigned.status_code, unsigned.json()["code"]) == (401, "Unauthorized")
        assert client.get(f"{port.url}/scim/v2/Users", headers=headers).json()["totalResults"] == 0
        assert client.get(f"{port.url}/scim/v2/Users").status_code == 401
        assert [client.get(port.url + path).status_code for path in ("/healthz", "/metrics", "/")] == [
            404
        ] * 3
    internal = f"http://127.0.0.1:{port.serve.internal}"
    assert httpx.get(f"{internal}/admin/v1/connections").status_code == 404
    assert httpx.get(f"{internal}/healthz").status_code == 200
    assert httpx.get(f"{port.serve.url.removesuffix('/scim/v2')}/admin/v1/connections").status_code == 404


def test_the_token_endpoint_is_there_too(port: Port) -> None:
    with port.client() as client:
        answer = client.post(f"{port.url}/oauth2/token", data={"grant_type": "client_credentials"})
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("size", [10, 300_000])
def test_long_bodies_and_many_requests_on_one_connection_pass(port: Port, size: int) -> None:
    headers = {"authorization": f"Bearer {port.serve.connect()['token']}"}
    with port.client() as client:
        for number in range(5):
            body = {
                "userName": f"ada{number}@contoso.com",
                "emails": [{"type": "work", "value": f"ada{number}@contoso.com"}],
                "title": "x" * size,
            }
            made = client.post(f"{port.url}/scim/v2/Users", json=body, headers=headers)
            assert made.status_code == 201, made.text[:300]
            assert len(made.json()["title"]) == size


def test_only_its_own_authority_is_trusted(port: Port) -> None:
    with port.client(Ed25519PrivateKey.generate()) as stranger, pytest.raises(httpx.ConnectError):
        stranger.get(port.url)
    with httpx.Client(trust_env=False) as usual, pytest.raises(httpx.ConnectError):
        usual.get(port.url)


def test_plain_http_is_not_answered(port: Port) -> None:
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{port.number}/admin/v1/connections")
    with port.client() as client:
        assert client.get(port.url).status_code == 404


def test_tls_1_2_is_refused(port: Port) -> None:
    context = trusting(port.key)
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2
    with (
        socket.create_connection(("127.0.0.1", port.number)) as plain,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        context.wrap_socket(plain, server_hostname="127.0.0.1")


def test_a_renewed_certificate_counts_within_seconds_and_open_connections_go_on(port: Port) -> None:
    another = Ed25519PrivateKey.generate()
    with port.client() as before:
        assert before.get(port.url).status_code == 404
        write(port.directory, another)
        deadline = time.monotonic() + 10
        while True:
            with port.client(another) as after:
                try:
                    assert after.get(port.url).status_code == 404
                except httpx.ConnectError:
                    assert time.monotonic() < deadline
                    time.sleep(0.1)
                else:
                    break
        assert before.get(port.url).status_code == 404


def test_files_that_are_broken_for_a_while_leave_the_certificate_before(port: Port) -> None:
    (port.directory / "tls.crt").write_text("no certificate")
    time.sleep(1.2)  # the files are looked at once a second
    with port.client() as client:
        assert client.get(port.url).status_code == 404
    assert "TLS certificate not read" in port.serve.log.read_text()


def test_who_never_shakes_hands_is_dropped_in_time_and_takes_nobodys_place(impatient: Port) -> None:
    silent = [socket.create_connection(("127.0.0.1", impatient.number)) for _ in range(3 * CONNECTIONS)]
    try:
        began = time.monotonic()
        ended = 0
        for connection in silent:
            connection.settimeout(HEAD_SECONDS + 10)
            try:
                assert connection.recv(1) == b""
            except ConnectionResetError:
                pass
            ended += 1
        assert ended == len(silent)
        assert time.monotonic() - began < HEAD_SECONDS + 5
        with impatient.client() as client:
            assert client.get(impatient.url).status_code == 404
        assert httpx.get(f"http://127.0.0.1:{impatient.serve.internal}/healthz").status_code == 200
    finally:
        for connection in silent:
            connection.close()


def test_who_shakes_hands_and_sends_nothing_is_dropped_in_time(impatient: Port) -> None:
    with (
        socket.create_connection(("127.0.0.1", impatient.number)) as plain,
        trusting(impatient.key).wrap_socket(plain, server_hostname="127.0.0.1") as silent,
    ):
        silent.settimeout(HEAD_SECONDS + 10)
        assert silent.recv(1) == b""


def test_a_request_in_one_packet_with_the_end_of_the_handshake_is_answered(port: Port) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting(port.key).wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    with socket.create_connection(("127.0.0.1", port.number)) as plain:
        plain.settimeout(10)
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        plain.sendall(outgoing.read())
        while True:
            incoming.write(plain.recv(65_536))
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                continue
        client.write(b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n")
        plain.sendall(outgoing.read())  # Finished and the request together
        while True:
            incoming.write(plain.recv(65_536))
            try:
                answer = client.read(65_536)
            except ssl.SSLWantReadError:
                continue
            assert answer.startswith(b"HTTP/1.1 404")
            return


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--operator-port", "0"], "operator-port and operator-tls-dir belong together"),
        (["--operator-tls-dir", "."], "operator-port and operator-tls-dir belong together"),
        (["--operator-port", "0", "--operator-tls-dir", "."], "needs tls.crt and tls.key"),
    ],
)
def test_what_is_missing_is_said_in_a_sentence(tmp_path: Path, options: list[str], reason: str) -> None:
    done = subprocess.run(
        [*PYTHON, "serve", "--port", "0", *options], cwd=tmp_path, capture_output=True, text=True, timeout=30,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert reason in done.stderr
    assert "Traceback" not in done.stderr

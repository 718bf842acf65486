"""What a check of the public URL makes of everything that can be there instead of the SCIM API."""

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator, Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from localcluster.ports import free_port
from scim_operator.adapters import endpoint_probe
from scim_operator.adapters.endpoint_probe import EndpointProbe, probe, verdict_of_exception
from scim_operator.planning.endpoint_verdict import EndpointVerdict
from support.loopback_server import serving

URL = "https://scim.example.com/scim/v2"
SCIM_401 = b'{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"401","detail":"the token is missing"}'


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


class Scim(BaseHTTPRequestHandler):
    """Answers as the SCIM API does without a token."""

    def do_GET(self) -> None:
        self.send_response(401 if self.path == "/scim/v2/ServiceProviderConfig" else 404)
        self.send_header("content-length", str(len(SCIM_401)))
        self.end_headers()
        self.wfile.write(SCIM_401)

    def log_message(self, *_: object) -> None:
        """No log."""


def self_signed(directory: Path, name: str, days: int) -> ssl.SSLContext:
    """What a server shows that made its own certificate."""
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=30))
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = directory / "server.pem"
    pem.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


async def test_the_scim_api_itself_is_found(client: httpx.AsyncClient) -> None:
    with serving(Scim) as port:
        reach = await probe(f"http://127.0.0.1:{port}/scim/v2", client)
    assert (reach.status, reach.reason) == ("True", "Reachable")


async def test_a_wrong_path_is_not_found(client: httpx.AsyncClient) -> None:
    with serving(Scim) as port:
        assert (await probe(f"http://127.0.0.1:{port}/scim", client)).reason == "NotFound"


async def test_a_port_where_nobody_listens_refuses(client: httpx.AsyncClient) -> None:
    reach = await probe(f"http://127.0.0.1:{free_port()}/scim/v2", client)
    assert reach.reason == "ConnectionRefused"
    assert "nothing listens there" in reach.message


async def test_a_name_that_does_not_resolve_is_said(client: httpx.AsyncClient) -> None:
    reach = await probe("https://scim.invalid/scim/v2", client)
    assert reach.reason == "DnsFailed"
    assert "scim.invalid does not resolve" in reach.message


async def test_a_certificate_of_nobody_is_not_trusted(client: httpx.AsyncClient, tmp_path: Path) -> None:
    with serving(Scim, tls=self_signed(tmp_path, "localhost", 30)) as port:
        reach = await probe(f"https://localhost:{port}/scim/v2", client)
    assert reach.reason == "TlsFailed"
    assert "self-signed certificate" in reach.message
    assert "public authority" in reach.message


@pytest.mark.parametrize(
    ("name", "days", "why"), [("localhost", -1, "expired"), ("other.example.com", 30, "mismatch")]
)
async def test_an_expired_certificate_and_one_of_another_name_are_told_as_such(
    tmp_path: Path, name: str, days: int, why: str
) -> None:
    context = ssl.create_default_context(cafile=None)
    served = self_signed(tmp_path, name, days)
    context.load_verify_locations(tmp_path / "server.pem")
    async with httpx.AsyncClient(trust_env=False, verify=context) as trusting:
        with serving(Scim, tls=served) as port:
            reach = await probe(f"https://localhost:{port}/scim/v2", trusting)
    assert reach.reason == "TlsFailed"
    assert why in reach.message


async def test_plain_http_where_tls_is_expected_is_told_as_such(client: httpx.AsyncClient) -> None:
    with serving(Scim) as port:
        reach = await probe(f"https://127.0.0.1:{port}/scim/v2", client)
    assert reach.reason == "TlsFailed"
    assert "does that port speak HTTPS" in reach.message


async def test_one_that_never_answers_is_not_waited_for(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint_probe, "CHECK_SECONDS", 0.1)

    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    reach = await probe(f"http://127.0.0.1:{port}/scim/v2", client)
    server.close()
    assert reach.reason == "TimedOut"
    assert "SCIM_OPERATOR_ENDPOINT_CHECK=false" in reach.message


async def test_a_body_without_end_is_not_read_to_its_end() -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1024
            yield b"x" * 1024

    transport = httpx.MockTransport(lambda _request: httpx.Response(401, content=endless()))
    reach = await probe(URL, httpx.AsyncClient(transport=transport))
    assert reach.reason == "WrongService"
    assert sent <= endpoint_probe.BODY_LIMIT + 1024


def test_any_other_failure_still_gives_a_condition() -> None:
    reach = verdict_of_exception(URL, httpx.RemoteProtocolError("Server disconnected"))
    assert (reach.status, reach.reason) == ("False", "ConnectionFailed")


async def test_the_question_carries_no_token() -> None:
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(401, content=SCIM_401)

    await probe(URL, httpx.AsyncClient(transport=httpx.MockTransport(handle)))
    assert "authorization" not in seen[0].headers
    assert seen[0].headers["user-agent"] == endpoint_probe.AGENT


class Watched:
    """A check against answers given one after the other; the last one stays."""

    def __init__(self, *statuses: int) -> None:
        self.statuses, self.asked, self.history = list(statuses), 0, list[str]()
        transport = httpx.MockTransport(self._answer)
        self.check = EndpointProbe(
            URL, httpx.AsyncClient(transport=transport), interval=0.001, changed=self._changed
        )

    def _answer(self, _request: httpx.Request) -> httpx.Response:
        status = self.statuses[min(self.asked, len(self.statuses) - 1)]
        self.asked += 1
        return httpx.Response(status, content=SCIM_401 if status == 401 else b"")

    def _changed(self) -> None:
        assert self.check.verdict is not None
        self.history.append(self.check.verdict.reason)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Let it run until then."""
        running = asyncio.create_task(self.check.run())
        async with asyncio.timeout(10):
            while not holds():
                await asyncio.sleep(0.001)
        running.cancel()


async def test_it_is_told_only_when_something_changes() -> None:
    case = Watched(401, 401, 401, 503, 503, 503, 401)
    await case.until(lambda: case.asked > 12)
    assert case.history == ["Reachable", "Unavailable", "Reachable"]


async def test_a_single_failure_is_no_news() -> None:
    case = Watched(401, 503, 401)
    await case.until(lambda: case.asked > 6)
    assert case.history == ["Reachable"]


async def test_switched_off_it_asks_nobody_and_says_so() -> None:
    def handle(_request: httpx.Request) -> httpx.Response:
        raise AssertionError("asked")

    told: list[EndpointVerdict | None] = []
    client = httpx.AsyncClient(transport=httpx.MockTransport(handle))
    check = EndpointProbe(URL, client, interval=None, changed=lambda: told.append(check.verdict))
    await check.run()
    assert [item.reason for item in told if item is not None] == ["CheckDisabled"]

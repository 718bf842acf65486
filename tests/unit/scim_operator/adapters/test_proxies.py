"""Which requests go by a proxy, with a listener on loopback that notes what it is asked for."""

import ssl
from pathlib import Path

import aiohttp
import httpx
import pytest
from kubernetes.aio import client
from structlog.testing import capture_logs

from localcluster.ports import free_port
from scim_operator.adapters.endpoint_probe import probe
from scim_operator.adapters.proxies import (
    OutsideTransport,
    ProxyRules,
    inside_client,
    kubernetes_client,
    outside_client,
)
from support.handshake import is_strict, make_defaults_strict, plain_authority, shake_hands
from support.recording_proxy import recording_proxy

PROXY = "http://proxy.example.com:3128"
TIMEOUT = httpx.Timeout(5.0)
SCIM_401 = b'{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"401","detail":"the token is missing"}'


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of the machine that the tests run on."""
    for name in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name}_PROXY".upper(), raising=False)


def direct(url: str, no_proxy: str = "") -> bool:
    rules = ProxyRules.read({"http": PROXY, "https": PROXY, "no": no_proxy})
    return rules.proxy_for(httpx.URL(url)) is None


@pytest.mark.parametrize(
    ("no_proxy", "url"),
    [
        ("*", "https://scim.example.com/scim/v2"),
        ("scim.example.com", "https://scim.example.com/scim/v2"),
        ("SCIM.Example.com", "https://scim.example.com./scim/v2"),
        ("example.com", "https://scim.example.com"),
        (".example.com", "https://scim.example.com"),
        ("*.example.com", "https://scim.example.com"),
        ("a, b ,scim.example.com", "https://scim.example.com"),
        ("a b scim.example.com", "https://scim.example.com"),
        ("scim.example.com:443", "https://scim.example.com"),
        ("scim.example.com:8080", "http://scim.example.com:8080"),
        ("10.1.2.3", "https://10.1.2.3"),
        ("10.1.2.3:8443", "https://10.1.2.3:8443"),
        ("10.0.0.0/8", "https://10.1.2.3"),
        ("10.1.2.3/8", "https://10.200.0.1:6443"),
        ("192.168.0.0/16,10.0.0.0/8", "http://10.1.2.3"),
        ("fd00::/8", "https://[fd12::1]"),
        ("[fd12::1]", "https://[fd12::1]"),
        ("fd12::1", "https://[fd12:0::1]:8443"),
        ("[fd12::1]:8443", "https://[fd12::1]:8443"),
        ("10.0.0.0/8", "https://[::ffff:10.1.2.3]"),
        ("bücher.example".encode("idna").decode(), "https://bücher.example"),
    ],
)
def test_what_no_proxy_names_is_asked_directly(no_proxy: str, url: str) -> None:
    assert direct(url, no_proxy)


@pytest.mark.parametrize(
    ("no_proxy", "url"),
    [
        ("", "https://scim.example.com"),
        (",", "https://scim.example.com"),
        (".", "https://scim.example.com"),
        ("example.com", "https://myexample.com"),
        ("scim.example.com:8443", "https://scim.example.com"),
        ("10.0.0.0/8", "https://11.1.2.3"),
        ("10.0.0.0/8", "https://10.example.com"),
        ("10.0.0.0/8", "https://[fd00::10]"),
        ("10.0.0.0/99", "https://10.1.2.3"),
        ("fd00::/8", "https://10.1.2.3"),
        ("fd12::1", "https://[fd12::2]"),
    ],
)
def test_all_else_goes_by_the_proxy(no_proxy: str, url: str) -> None:
    assert not direct(url, no_proxy)


@pytest.mark.parametrize(
    "url",
    [
        "http://scim-api.scim-system.svc:8080/scim/v2",
        "http://scim-api.scim-system.svc.cluster.local:8080",
        "http://localhost:8080",
        "http://127.0.0.1:8080",
        "http://[::1]:8080",
    ],
)
def test_what_is_in_the_cluster_or_here_is_asked_directly_without_a_word(url: str) -> None:
    assert direct(url)


def test_each_scheme_has_its_proxy_and_all_is_for_the_rest() -> None:
    rules = ProxyRules.read({"https": "proxy.example.com:3128", "all": "https://other.example.com"})
    assert rules.proxy_for(httpx.URL("https://a.example")) == PROXY
    assert rules.proxy_for(httpx.URL("http://a.example")) == "https://other.example.com"
    assert ProxyRules.read({}).proxy_for(httpx.URL("http://a.example")) is None


@pytest.mark.parametrize("url", ["socks5://user:secret@proxy:1080", "http://", "http://secret@proxy:port"])
def test_a_proxy_that_can_not_be_used_is_told_and_ignored(url: str) -> None:
    with capture_logs() as logs:
        rules = ProxyRules.read({"https": url})
    assert rules.proxy_for(httpx.URL("https://a.example")) is None
    (line,) = logs
    assert line["variable"] == "HTTPS_PROXY"
    assert "secret" not in str(line)


async def test_the_endpoint_is_asked_by_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = b"HTTP/1.1 401 No\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b" % (
        len(SCIM_401),
        SCIM_401,
    )
    with recording_proxy(answer) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "10.0.0.0/8,fd00::/8")
        async with outside_client(timeout=TIMEOUT) as http:
            verdict = await probe("http://scim.example.test/scim/v2", http)
    assert verdict.reason == "Reachable"
    assert proxy.asked == ["GET http://scim.example.test/scim/v2/ServiceProviderConfig HTTP/1.1"]


async def test_a_proxy_that_refuses_is_told_as_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with recording_proxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        async with outside_client(verify=ssl.create_default_context(), timeout=TIMEOUT) as http:
            verdict = await probe("https://scim.example.test/scim/v2", http)
    assert proxy.asked == ["CONNECT scim.example.test:443 HTTP/1.1"]
    assert verdict.reason == "ConnectionFailed"
    assert "by the proxy of HTTPS_PROXY or HTTP_PROXY (403 Forbidden)" in verdict.message
    assert "add scim.example.test to NO_PROXY" in verdict.message


@pytest.mark.parametrize("host", ["127.0.0.1", "proxy.invalid"])
async def test_a_proxy_that_is_not_there_is_told_and_not_taken_for_the_endpoint(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    at = f"{host}:{free_port()}"
    monkeypatch.setenv("HTTPS_PROXY", f"http://name:password@{at}")
    async with outside_client(timeout=TIMEOUT) as http:
        verdict = await probe("https://scim.example.test/scim/v2", http)
    assert f"the proxy {at} can't be reached" in verdict.message
    assert "password" not in verdict.message


@pytest.mark.parametrize("no_proxy", ["", "10.0.0.0/8"])
async def test_what_is_inside_is_never_asked_by_a_proxy(
    monkeypatch: pytest.MonkeyPatch, no_proxy: str
) -> None:
    with recording_proxy() as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.setenv("NO_PROXY", no_proxy)
        async with inside_client(timeout=TIMEOUT) as http:
            with pytest.raises(httpx.ConnectError):
                await http.get("http://scim-api.invalid:8081/admin/v1/connections")
        monkeypatch.setattr(
            client.Configuration, "_default", client.Configuration(host="https://kubernetes.invalid")
        )
        async with kubernetes_client() as kube:
            with pytest.raises(OSError, match=r"kubernetes\.invalid"):
                await client.VersionApi(kube).get_code(_request_timeout=5)
    assert proxy.asked == []


async def test_a_kubeconfigs_own_proxy_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with recording_proxy() as proxy:
        configuration = client.Configuration(host="https://kubernetes.invalid", proxy=proxy.url)
        monkeypatch.setattr(client.Configuration, "_default", configuration)
        async with kubernetes_client() as kube:
            with pytest.raises(aiohttp.ClientHttpProxyError, match="403"):
                await client.VersionApi(kube).get_code(_request_timeout=5)
    assert proxy.authorities == {"kubernetes.invalid:443"}


async def test_nobody_is_asked_for_a_better_certificate_than_kubectl_asks_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make_defaults_strict(monkeypatch)
    authority = plain_authority(tmp_path)
    async with kubernetes_client() as kube, outside_client(timeout=TIMEOUT) as http:
        assert not is_strict(kube.rest_client.ssl_context)
        transport = http._transport
        assert isinstance(transport, OutsideTransport)
        for one in transport._by.values():
            context = one._pool._ssl_context
            assert context is not None
            assert not is_strict(context)
            context.load_verify_locations(cafile=authority)
            shake_hands(context, tmp_path)

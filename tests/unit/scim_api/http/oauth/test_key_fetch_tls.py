"""Keys are fetched from who proves its name, also by an egress proxy."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from scim_api.http.oauth.key_address import KeyHosts
from scim_api.http.oauth.key_fetch import KeyFetcher, KeysNotFetched
from scim_api.http.oauth.key_set import KeySet
from support.certificates import certificate
from support.federation import KEYS_URL
from support.key_fetching import HOSTS, ISSUER, LOGIN, Names, Network, fetch, fetcher
from support.key_server import KeyServer


@pytest.fixture
async def by_tls(tmp_path: Path) -> AsyncIterator[tuple[KeyServer, ssl.SSLContext]]:
    serving, trusting = certificate(tmp_path, "keys.example")
    with KeyServer(ISSUER.key_set()).serving(serving) as place:
        yield place, trusting


async def fetch_by_tls(name: str, place: KeyServer, verify: ssl.SSLContext | None) -> KeySet:
    origin = f"https://{name}:{place.port}"
    one = KeyFetcher(KeyHosts.read(origin), resolver=Names(["127.0.0.1"]), verify=verify)
    try:
        return await one.fetch(f"{origin}/keys")
    finally:
        await one.aclose()


async def test_the_certificate_has_to_be_one_for_the_name(by_tls: tuple[KeyServer, ssl.SSLContext]) -> None:
    place, trusting = by_tls
    assert await fetch_by_tls("keys.example", place, trusting)
    with pytest.raises(KeysNotFetched, match="not one for this name that is trusted here") as failed:
        await fetch_by_tls("other.example", place, trusting)
    assert failed.value.result == "unreachable"
    assert len(place.asked) == 1


async def test_the_certificate_has_to_be_of_somebody_trusted(
    by_tls: tuple[KeyServer, ssl.SSLContext],
) -> None:
    place, _ = by_tls
    with pytest.raises(KeysNotFetched, match="not one for this name that is trusted here"):
        await fetch_by_tls("keys.example", place, None)
    assert place.asked == []


async def test_what_speaks_no_tls_is_told(server: KeyServer) -> None:
    with pytest.raises(KeysNotFetched, match=r"no TLS connection to keys\.example came about"):
        await fetch_by_tls("keys.example", server, None)


# -- an egress proxy ------------------------------------------------------------------------------
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
async def test_by_a_proxy_it_is_the_proxy_that_resolves(
    server: KeyServer, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, f"127.0.0.1:{server.port}")
    names = Names(["10.0.0.1"])
    with pytest.raises(KeysNotFetched) as failed:  # the server is no proxy: it has no CONNECT
        await KeyFetcher(HOSTS, resolver=names).fetch(KEYS_URL)
    assert (failed.value.result, str(failed.value)) == ("unreachable", "no whole answer (ProxyError)")
    assert names.asked == []


@contextlib.asynccontextmanager
async def tunnel(port: int) -> AsyncIterator[tuple[str, list[str]]]:
    """A proxy that takes every CONNECT to the port, whatever it names; its URL, and what was named."""
    named: list[str] = []

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            while piece := await reader.read(4096):
                writer.write(piece)

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        named.append((await reader.readuntil(b"\r\n\r\n")).split()[1].decode())
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        to_server, from_server = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, from_server), copy(to_server, writer), return_exceptions=True)

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", named


async def test_by_a_proxy_too_the_certificate_has_to_be_one_for_the_name(
    by_tls: tuple[KeyServer, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, trusting = by_tls
    names = Names(["10.0.0.1"])
    async with tunnel(place.port) as (url, named):
        monkeypatch.setenv("HTTPS_PROXY", url)
        one = KeyFetcher(KeyHosts.read("keys.example, other.example"), resolver=names, verify=trusting)
        assert await one.fetch("https://keys.example/keys")
        with pytest.raises(KeysNotFetched, match="not one for this name"):
            await one.fetch("https://other.example/keys")
        with pytest.raises(KeysNotFetched, match="SCIM_API_KEYS_HOSTS"):
            await one.fetch("https://elsewhere.example/keys")
        await one.aclose()
    assert named == ["keys.example:443", "other.example:443"]
    assert names.asked == []


@pytest.mark.parametrize("exempt", [f"x.example,{LOGIN}", "microsoftonline.com", ".microsoftonline.com", "*"])
async def test_a_name_in_no_proxy_is_asked_directly(monkeypatch: pytest.MonkeyPatch, exempt: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", exempt)
    names, network = Names(["20.190.151.7"]), Network()
    assert await fetcher(names, network).fetch(KEYS_URL)
    assert network.hosts == ["20.190.151.7"]


async def test_clear_text_is_never_asked_by_a_proxy(
    server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert await fetch(server)


async def test_a_proxy_that_is_down_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = KeyServer()
    with gone.serving():
        pass
    monkeypatch.setenv("HTTPS_PROXY", gone.origin)
    with pytest.raises(KeysNotFetched, match="the egress proxy can't be connected to"):
        await KeyFetcher(HOSTS).fetch(KEYS_URL)


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "ftp://x", "http://[", "http://127.0.0.1:99999"])
async def test_a_proxy_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(KeysNotFetched) as failed:
        await KeyFetcher(HOSTS).fetch(KEYS_URL)
    assert failed.value.result == "unreachable"

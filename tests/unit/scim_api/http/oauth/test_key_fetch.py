"""Keys are fetched from where they may be and nowhere else, within bounds, whatever the other side does."""

import asyncio
import gzip
import subprocess
import sys
import time
from collections.abc import Sequence

import httpx
import pytest

from scim_api.http.oauth.key_address import KeyHosts
from scim_api.http.oauth.key_fetch import KeyFetcher, KeysNotFetched
from scim_api.http.oauth.key_set import MAX_KEY_SET
from scim_api.outbound.pinned_client import MAX_TARGETS, resolve
from support.federation import KEYS_URL
from support.key_fetching import HOSTS, ISSUER, LOGIN, Names, Network, fetch, fetcher
from support.key_server import Behaviour, KeyServer


async def failure(place: KeyServer, seconds: float = 5.0) -> KeysNotFetched:
    with pytest.raises(KeysNotFetched) as failed:
        await fetch(place, seconds)
    return failed.value


async def test_published_keys_are_fetched(server: KeyServer) -> None:
    keys = await fetch(server)
    assert keys == {"key-1": ISSUER.key("key-1").public_key().public_numbers()}
    assert server.asked == ["/keys"]
    [headers] = server.headers
    assert headers["Host"] == f"127.0.0.1:{server.port}"
    assert headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "application/jwk-set+json", "Application/JSON"]
)
async def test_keys_come_as_json(server: KeyServer, content_type: str) -> None:
    server.behave = lambda request: request.answer(server.body, content_type=content_type)
    assert await fetch(server)


@pytest.mark.parametrize(
    ("behave", "reason"),
    [
        (lambda it: it.answer(b"{}", 404), "status is 404"),
        (lambda it: it.answer(b"{}", 500), "status is 500"),
        (lambda it: it.answer(ISSUER.key_set(), 203), "status is 203"),
        (lambda it: it.answer(b"", 302, Location="/other"), "status is 302"),
        (lambda it: it.answer(ISSUER.key_set(), content_type="text/html"), "Content-Type"),
        (lambda it: it.answer(ISSUER.key_set(), content_type=""), "Content-Type"),
        (lambda it: it.answer(gzip.compress(ISSUER.key_set()), Content_Encoding="gzip"), "compressed"),
        (lambda it: it.answer(b"<html>"), "it is no JWK Set"),
        (lambda it: it.answer(b'{"keys":[]}'), "no RSA key"),
        (lambda it: it.answer(b" " * (MAX_KEY_SET + 1)), "more than 262144 bytes"),
        (lambda it: it.flood(), "more than 262144 bytes"),
    ],
)  # fmt: skip
async def test_a_server_that_lies_gets_nothing_accepted(
    server: KeyServer, behave: Behaviour, reason: str
) -> None:
    server.behave = behave
    failed = await failure(server)
    assert failed.result == "invalid"
    assert reason in str(failed)
    assert server.asked == ["/keys"], "no redirect is followed"


@pytest.mark.parametrize(
    "behave",
    [
        lambda it: it.connection.close(),
        lambda it: it.wfile.write(b"garbage\r\n\r\n"),
        lambda it: it.wfile.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{"
        ),
        lambda it: it.wfile.write(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 500_000 + b"\r\n\r\n{"),
        lambda it: it.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{"),
    ],
)
async def test_what_is_no_whole_answer_is_none(server: KeyServer, behave: Behaviour) -> None:
    def misbehave(request: object) -> None:
        behave(request)  # type: ignore[arg-type]
        request.close_connection = True  # type: ignore[attr-defined]

    server.behave = misbehave
    failed = await failure(server)
    assert failed.result == "unreachable"
    assert "no whole answer" in str(failed)


@pytest.mark.parametrize("behave", [lambda it: it.drip(), lambda it: it.server.owner.over.wait()])
async def test_a_slow_server_is_given_up_in_time(server: KeyServer, behave: Behaviour) -> None:
    server.behave = behave
    before = time.monotonic()
    failed = await failure(server, seconds=0.5)
    assert time.monotonic() - before < 4
    assert (failed.result, str(failed)) == ("unreachable", "no answer within 0.5 seconds")


async def test_a_server_that_is_down_is_told(server: KeyServer) -> None:
    gone = KeyServer()
    with gone.serving():
        pass
    failed = await failure(gone)
    assert (failed.result, str(failed)) == ("unreachable", f"127.0.0.1:{gone.port} can't be connected to")


async def test_what_is_not_on_the_list_is_not_asked() -> None:
    names, network = Names(["20.190.151.7"]), Network()
    for url in ("https://evil.example/keys", f"http://{LOGIN}/keys", f"https://{LOGIN}:8443/keys"):
        with pytest.raises(KeysNotFetched, match="SCIM_API_KEYS_HOSTS") as failed:
            await fetcher(names, network).fetch(url)
        assert failed.value.result == "refused"
    assert (names.asked, network.requests) == ([], [])


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "127.0.0.1", "169.254.169.254", "::1", "fd00::1", "::ffff:10.0.0.1"]
)
async def test_a_name_that_leads_to_the_inside_is_not_followed(address: str) -> None:
    names, network = Names([address]), Network()
    with pytest.raises(KeysNotFetched, match=f"is at {address}, which is no public address") as failed:
        await fetcher(names, network).fetch(KEYS_URL)
    assert failed.value.result == "refused"
    assert network.requests == []


async def test_of_several_addresses_only_those_on_the_internet_are_asked() -> None:
    names, network = Names(["10.0.0.1", "20.190.151.7", "::1", "40.126.32.140"]), Network("20.190.151.7")
    assert await fetcher(names, network).fetch(KEYS_URL)
    assert network.hosts == ["20.190.151.7", "40.126.32.140"]


async def test_a_name_is_resolved_once_and_the_address_that_was_checked_is_asked() -> None:
    """DNS rebinding: the second answer would lead inside."""
    names, network = Names(["20.190.151.7"], ["10.0.0.1"]), Network()
    await fetcher(names, network).fetch(KEYS_URL)
    assert names.asked == [(LOGIN, 443)]
    [request] = network.requests
    assert (request.url.host, request.url.port) == ("20.190.151.7", None)
    assert request.headers["host"] == LOGIN
    assert request.extensions["sni_hostname"] == LOGIN
    assert request.url.path == httpx.URL(KEYS_URL).path


async def test_the_real_connection_resolves_nothing_either(
    server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    resolved: list[object] = []
    original = loop.getaddrinfo

    async def counted(host: object, *rest: object, **more: object) -> object:
        resolved.append(host)
        return await original(host, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "getaddrinfo", counted)
    names = Names(["127.0.0.1"])
    origin = f"http://rebound.example:{server.port}"
    one = KeyFetcher(KeyHosts.read(origin), resolver=names)
    assert await one.fetch(f"{origin}/keys")
    await one.aclose()
    assert names.asked == [("rebound.example", server.port)]
    assert "rebound.example" not in resolved


async def test_a_name_with_many_addresses_costs_a_few_attempts() -> None:
    dead = [f"20.0.0.{number}" for number in range(1, 60)]
    network = Network(*dead)
    with pytest.raises(KeysNotFetched, match=f"{LOGIN} can't be connected to"):
        await fetcher(Names(dead), network).fetch(KEYS_URL)
    assert network.hosts == dead[:MAX_TARGETS]


@pytest.mark.parametrize("host", ["no-such-name.invalid", f"{'a' * 64}.example", "a..example"])
async def test_a_name_that_leads_nowhere_is_told(host: str) -> None:
    network = Network()
    hosts = KeyHosts(hosts=frozenset({host}))
    with pytest.raises(KeysNotFetched, match="can't be resolved") as failed:
        await KeyFetcher(hosts, transport=network.transport).fetch(f"https://{host}/keys")
    assert failed.value.result == "unreachable"


async def test_the_system_resolves_addresses_to_themselves() -> None:
    assert await resolve("127.0.0.1", 80) == ["127.0.0.1"]


async def test_a_resolver_that_hangs_is_given_up_in_time() -> None:
    async def hang(host: str, port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return ()

    with pytest.raises(KeysNotFetched, match=r"no answer within 0\.1 seconds"):
        await KeyFetcher(HOSTS, seconds=0.1, resolver=hang).fetch(KEYS_URL)


async def test_only_so_many_are_fetched_at_a_time_and_none_waits_longer_than_its_time() -> None:
    going, most = 0, 0

    async def slow(host: str, port: int) -> Sequence[str]:
        nonlocal going, most
        going += 1
        most = max(most, going)
        try:
            await asyncio.Event().wait()
        finally:
            going -= 1
        return ()

    # With a transport of its own no time goes into reading the authorities to trust.
    one = KeyFetcher(HOSTS, seconds=0.3, resolver=slow, transport=Network().transport)
    fetches = [one.fetch(f"https://{LOGIN}/{number}") for number in range(30)]
    ended = await asyncio.gather(*fetches, return_exceptions=True)
    assert {str(error) for error in ended} == {"no answer within 0.3 seconds"}
    assert (most, going) == (8, 0)


def test_the_client_is_imported_by_the_first_fetch() -> None:
    code = (
        "import sys, asyncio, scim_api.server.serve\n"
        "from scim_api.http.oauth.key_fetch import KeyFetcher\n"
        "from scim_api.http.oauth.key_address import KeyHosts\n"
        "one = KeyFetcher(KeyHosts())\n"
        "asyncio.run(one.aclose())\n"
        "assert 'httpx' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)

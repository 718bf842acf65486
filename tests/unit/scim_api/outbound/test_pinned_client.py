"""Requests go to an address that was checked, and an answer is read up to a bound.

What else holds of it is in tests/unit/scim_api/http/oauth/test_key_fetch.py, which asks by the same client.
"""

from collections.abc import Iterator

import httpx
import pytest

from scim_api.outbound import pinned_client
from scim_api.outbound.addresses import HttpUrl
from scim_api.outbound.pinned_client import NotAnswered, PinnedClient
from support.handshake import is_strict, make_defaults_strict
from support.key_server import KeyServer


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def server() -> Iterator[KeyServer]:
    with KeyServer(b"0123456789").serving() as place:
        yield place


def url_of(server: KeyServer) -> HttpUrl:
    url = HttpUrl.read(server.url)
    assert url is not None
    return url


async def test_an_answer_is_read_up_to_the_bound(server: KeyServer) -> None:
    client = PinnedClient()
    for limit, body, is_whole in ((10, b"0123456789", True), (4, b"0123", False)):
        answer = await client.ask(
            "GET", url_of(server), is_allowed=lambda _: True, headers={}, limit=limit, seconds=5
        )
        assert (answer.status, answer.body, answer.is_whole) == (200, body, is_whole)
    await client.aclose()


async def test_an_address_that_is_not_allowed_is_not_asked_even_by_a_proxy(
    server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = HttpUrl.read("https://10.0.0.7/inside")
    assert private is not None
    for proxy in ("", f"http://127.0.0.1:{server.port}"):
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        with pytest.raises(NotAnswered, match=r"10\.0\.0\.7, which is no public address") as failed:
            await PinnedClient().ask(
                "GET", private, is_allowed=lambda _: False, headers={}, limit=1, seconds=5
            )
        assert failed.value.failure == "refused"
    assert server.asked == []


def test_a_receivers_authority_needs_no_strict_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    make_defaults_strict(monkeypatch)
    transport = pinned_client._new_transport(None, None, 1)
    assert isinstance(transport, httpx.AsyncHTTPTransport)
    context = transport._pool._ssl_context
    assert context is not None
    assert not is_strict(context)

"""Issuers' keys with a real server that publishes them, and the database that keeps them."""

import asyncio
import dataclasses
import itertools
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from scim_api.contract.admin import Credential, OAuthClient
from scim_api.http.metrics import Metrics
from scim_api.http.oauth.assertion import AssertionRefused
from scim_api.http.oauth.federated_assertions import FederatedAssertions
from scim_api.http.oauth.issuer_keys import DAY, RETRY_SECONDS, IssuerKeyCache
from scim_api.http.oauth.key_address import KeyHosts
from scim_api.http.oauth.key_fetch import KeyFetcher
from scim_api.store.errors import Unavailable
from scim_api.store.factory import create_store
from scim_api.store.protocol import Store
from support.federation import TRUST, Issuer
from support.key_server import Behaviour, KeyServer
from support.stored import connect

CLIENT_ID: Final = "a-client"


@pytest.fixture
def server() -> Iterator[KeyServer]:
    with KeyServer(Issuer().key_set()).serving() as place:
        yield place


@dataclasses.dataclass
class Process:
    """A process that verifies assertions, and its clocks."""

    store: Store
    fetcher: KeyFetcher
    keys: IssuerKeyCache
    later: float = 0.0
    """Seconds by which it is later than it is."""

    def now(self) -> float:
        return time.time() + self.later

    async def signs_in(self, issuer: Issuer, **changes: Any) -> str:
        """``taken``, or the check that refused it."""
        now = self.now()
        client = await self.store.token_client(CLIENT_ID)
        assert client is not None
        moment = int(now)
        times: dict[str, Any] = {"iat": moment, "nbf": moment, "exp": moment + 3900, **changes}
        try:
            await FederatedAssertions(self.keys).verify(client, issuer.assertion(**times), now)
        except AssertionRefused as refused:
            self.refused = refused
            return refused.check
        return "taken"

    refused: AssertionRefused | None = None

    async def end(self) -> None:
        await self.keys.aclose()
        await self.fetcher.aclose()


def process(store: Store, place: KeyServer, *, seconds: float = 5.0, later: float = 0.0) -> Process:
    fetcher = KeyFetcher(KeyHosts.read(place.origin), seconds=seconds)
    made = Process(store, fetcher, None, later)  # type: ignore[arg-type]
    made.keys = IssuerKeyCache(store, fetcher, Metrics(), clock=made.now)
    return made


async def trusted(store: Store, place: KeyServer) -> None:
    """A client that trusts the issuer whose keys are published there."""
    trust = TRUST.model_copy(update={"keys_url": place.url})
    now = datetime.now(UTC)
    credential = Credential(
        id="trust",
        kind="WorkloadIdentity",
        digest=trust.fingerprint(CLIENT_ID),
        issued_at=now,
        expires_at=now + timedelta(days=90),
        trust=trust,
    )
    await connect(store, credential, oauth_client=OAuthClient(client_id=CLIENT_ID))


@pytest.fixture
async def running(store: Store, server: KeyServer) -> AsyncIterator[Process]:
    await trusted(store, server)
    one = process(store, server, seconds=2)
    yield one
    await one.end()


async def test_an_assertion_is_taken_with_the_published_key(running: Process, server: KeyServer) -> None:
    for _ in range(3):
        assert await running.signs_in(Issuer()) == "taken"
    assert server.asked == ["/keys"]


async def test_a_restart_while_the_server_is_down_goes_on_with_the_kept_keys(
    store: Store, database_url: str
) -> None:
    place = KeyServer(Issuer().key_set())
    with place.serving():
        await trusted(store, place)
        before = process(store, place)
        assert await before.signs_in(Issuer()) == "taken"
        await before.end()
    await store.close()
    again = create_store(database_url)
    await again.open()
    after = process(again, place, seconds=0.5, later=6 * DAY)
    assert await after.signs_in(Issuer()) == "taken"
    after.later += DAY
    assert await after.signs_in(Issuer()) == "keys"
    assert after.refused is not None
    assert after.refused.received.endswith("those that were fetched before are older than 7 days")
    with place.serving(port=place.port):
        after.later += RETRY_SECONDS
        assert await after.signs_in(Issuer()) == "taken"
        assert len(place.asked) == 2
    await after.end()
    await again.close()


async def test_keys_that_rotate_are_followed_without_a_gap(running: Process, server: KeyServer) -> None:
    names = [f"key-{number}" for number in range(1, 5)]
    for old, new in itertools.pairwise(names):
        assert await running.signs_in(Issuer((old,))) == "taken"
        server.body = Issuer((old, new)).key_set()
        running.later += RETRY_SECONDS
        assert await running.signs_in(Issuer((new,))) == "taken"
        assert await running.signs_in(Issuer((old,))) == "taken", "until it is withdrawn"
        server.body = Issuer((new,)).key_set()
        running.later += RETRY_SECONDS
        assert await running.signs_in(Issuer(("no-key",))) == "kid"
        assert await running.signs_in(Issuer((old,))) == "kid"


async def test_two_processes_follow_a_rotation_with_one_fetch(
    store: Store, running: Process, server: KeyServer
) -> None:
    assert await running.signs_in(Issuer()) == "taken"
    other = process(store, server)
    assert await other.signs_in(Issuer()) == "taken"
    server.body = Issuer(("key-2",)).key_set()
    running.later = other.later = RETRY_SECONDS
    for one in (running, other):
        assert await one.signs_in(Issuer(("key-2",))) == "taken"
    assert len(server.asked) == 2
    await other.end()


async def test_other_keys_under_the_same_name_sign_nothing(running: Process, server: KeyServer) -> None:
    """A server that lies can have its own assertions taken by those who trust it, and nobody else's."""
    assert await running.signs_in(Issuer()) == "taken"
    stranger = Issuer(("stranger",))
    server.body = stranger.key_set().replace(b'"stranger"', b'"key-1"')
    assert await running.signs_in(Issuer()) == "taken", "what was published first is not asked for again"
    running.later += DAY + 1
    await running.signs_in(Issuer())
    assert await until_asked(server, 2)
    assert await until_refused(running) == "signature"


async def until_asked(place: KeyServer, times: int) -> bool:
    async with asyncio.timeout(10):
        while len(place.asked) < times:
            await asyncio.sleep(0.01)
    return True


async def until_refused(one: Process) -> str:
    async with asyncio.timeout(10):
        while (check := await one.signs_in(Issuer())) == "taken":
            await asyncio.sleep(0.01)
    return check


@pytest.mark.parametrize(
    ("behave", "reason"),
    [
        (lambda it: it.drip(), "no answer within 2 seconds"),
        (lambda it: it.flood(), "more than 262144 bytes"),
        (lambda it: it.answer(b"", 302, Location="/keys2"), "status is 302"),
        (lambda it: it.answer(b"<html>"), "no JWK Set"),
        (lambda it: it.answer(Issuer().key_set(), content_type="text/html"), "Content-Type"),
        (lambda it: it.answer(Issuer().key_set(), 503), "status is 503"),
    ],
    ids=["slow", "endless", "elsewhere", "garbage", "a page", "broken"],
)
async def test_a_bad_server_is_told_to_the_owner_and_asked_once_in_half_a_minute(
    running: Process, server: KeyServer, behave: Behaviour, reason: str
) -> None:
    server.behave = behave
    for _ in range(5):
        assert await running.signs_in(Issuer()) == "keys"
        assert running.refused is not None
        assert reason in running.refused.received
        assert running.refused.expected == f"the keys that are published at {server.url}"
    assert server.asked == ["/keys"]
    server.behave = None
    running.later += RETRY_SECONDS
    assert await running.signs_in(Issuer()) == "taken"


async def test_known_keys_go_on_while_the_server_is_bad(running: Process, server: KeyServer) -> None:
    assert await running.signs_in(Issuer()) == "taken"
    server.behave = lambda it: it.drip()
    for _ in range(6):
        running.later += DAY
        assert await running.signs_in(Issuer()) == "taken"


async def test_without_the_database_nothing_is_decided(running: Process) -> None:
    client = await running.store.token_client(CLIENT_ID)
    assert client is not None
    await running.store.close()
    now = running.now()
    times: dict[str, Any] = {"nbf": int(now), "exp": int(now) + 60}
    with pytest.raises(Unavailable):
        await FederatedAssertions(running.keys).verify(client, Issuer().assertion(**times), now)

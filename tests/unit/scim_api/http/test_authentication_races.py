"""The credential cache: what a look-up that is under way finds when the generation changes meanwhile."""

import asyncio
from typing import cast

from scim_api.contract.admin import TenantSettings
from scim_api.contract.tokens import digest, new_token
from scim_api.http.authentication import FRESH_SECONDS, Authenticator
from scim_api.store.change_log import Actor
from scim_api.store.protocol import Access, AuthGeneration, Store
from support.clock import Clock

TOKEN = new_token()


class SlowStore:
    """Holds one credential until it is revoked; each answer takes as long as the test wants."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.number = 1
        self.access_of_token: Access | None = Access(
            "id", digest(TOKEN), float("inf"), 1, TenantSettings(), "hash", Actor("id")
        )
        self.seconds_until_answer = 0.0
        self.look_ups = 0
        self.started, self.may_answer = asyncio.Event(), asyncio.Event()
        self.may_answer.set()

    def revoke(self) -> None:
        self.access_of_token, self.number = None, self.number + 1

    def generation_now(self) -> AuthGeneration | None:
        return None

    async def generation(self) -> AuthGeneration:
        answer = AuthGeneration(self.number, self.clock.now)
        self.clock.now += self.seconds_until_answer
        return answer

    async def access(self, _digest: bytes) -> Access | None:
        answer = self.access_of_token
        self.look_ups += 1
        self.started.set()
        await self.may_answer.wait()
        return answer


def authenticator_of(store: SlowStore) -> Authenticator:
    return Authenticator(cast("Store", store), clock=store.clock)


async def look_up_that_waits(authenticator: Authenticator, store: SlowStore) -> asyncio.Task[object]:
    """A look-up of the token, that the store answers when it may."""
    await authenticator.refresh()
    store.may_answer.clear()
    under_way: asyncio.Task[object] = asyncio.create_task(authenticator.authenticate(TOKEN, None))
    await store.started.wait()
    return under_way


async def test_a_look_up_under_way_while_the_generation_changed_is_not_cached() -> None:
    store = SlowStore(Clock(100.0))
    authenticator = authenticator_of(store)
    under_way = await look_up_that_waits(authenticator, store)
    store.revoke()
    await authenticator.refresh()
    store.may_answer.set()
    await under_way

    assert await authenticator.authenticate(TOKEN, None) is None
    assert store.look_ups == 2


async def test_a_look_up_under_way_while_the_same_generation_was_read_again_is_cached() -> None:
    store = SlowStore(Clock(100.0))
    authenticator = authenticator_of(store)
    under_way = await look_up_that_waits(authenticator, store)
    await authenticator.refresh()
    store.may_answer.set()
    await under_way

    assert await authenticator.authenticate(TOKEN, None) is not None
    assert store.look_ups == 1


async def test_the_caches_age_is_counted_from_when_the_database_was_asked() -> None:
    """The database may have looked just after it was asked: a revocation since then is not in its answer."""
    store = SlowStore(Clock(100.0))
    authenticator = authenticator_of(store)
    await authenticator.authenticate(TOKEN, None)
    asked_at = store.clock.now
    store.seconds_until_answer = FRESH_SECONDS * 0.75
    await authenticator.refresh()
    store.seconds_until_answer = 0.0
    store.revoke()

    store.clock.now = asked_at + FRESH_SECONDS
    assert await authenticator.authenticate(TOKEN, None) is not None
    store.clock.now = asked_at + FRESH_SECONDS + 0.01
    assert await authenticator.authenticate(TOKEN, None) is None

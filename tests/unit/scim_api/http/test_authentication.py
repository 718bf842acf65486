"""The credential cache: its idea of the database's clock, and how long what it holds counts."""

import asyncio
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from scim_api.contract.admin import TenantSettings
from scim_api.contract.tokens import digest, new_token
from scim_api.http.authentication import FRESH_SECONDS, Authenticator
from scim_api.store.protocol import Access, AuthGeneration, Store

READINGS = st.lists(
    st.tuples(st.floats(0, 10), st.floats(0, 5), st.floats(0, 1)), min_size=1, max_size=30
)  # how long after the one before, how long the answer took, where in between the database looked


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def error_after(offset: float, readings: list[tuple[float, float, float]]) -> list[float]:
    """How far off the database's clock the cache is after each reading, in seconds."""
    clock, errors = Clock(), []
    authenticator = Authenticator(cast("Store", None), clock=clock)
    for pause, took, where in readings:
        clock.now += pause
        asked_at = clock.now
        clock.now += took
        reading = AuthGeneration(1, asked_at + took * where + offset)
        authenticator.observe(reading, asked_at=asked_at, answered_at=clock.now)
        errors.append(abs(authenticator.now() - (clock.now + offset)))
    return errors


@given(offset=st.floats(-7200, 7200), readings=READINGS)
def test_it_is_never_further_off_than_the_quickest_answer_took(
    offset: float, readings: list[tuple[float, float, float]]
) -> None:
    errors = error_after(offset, readings)
    quickest = float("inf")
    for error, (_, took, _) in zip(errors, readings, strict=True):
        quickest = min(quickest, took)
        assert error <= quickest + 1e-6


def test_an_answer_that_took_seconds_ends_no_token_seconds_early_or_late() -> None:
    quick, early, late = (0.25, 0.001, 0.5), (0.25, 3.0, 1.0), (0.25, 3.0, 0.0)
    assert max(error_after(0.0, [quick, early, quick, late])) < 0.01


def test_a_database_whose_clock_was_set_is_followed_at_once() -> None:
    clock = Clock()
    authenticator = Authenticator(cast("Store", None), clock=clock)
    for jump in (0.0, 120.0, -120.0):
        clock.now += 1
        reading = AuthGeneration(1, clock.now + jump)
        authenticator.observe(reading, asked_at=clock.now, answered_at=clock.now + 0.001)
        assert abs(authenticator.now() - (clock.now + jump)) < 0.01


TOKEN = new_token()


class SlowStore:
    """Holds one credential until it is revoked; each answer takes as long as the test wants."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.number = 1
        self.access_of_token: Access | None = Access(
            "id", digest(TOKEN), float("inf"), 1, TenantSettings(), "hash"
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


async def test_a_look_up_under_way_while_the_generation_changed_is_not_cached() -> None:
    store = SlowStore(Clock())
    authenticator = authenticator_of(store)
    await authenticator.refresh()
    store.may_answer.clear()
    under_way = asyncio.create_task(authenticator.authenticate(TOKEN, None))
    await store.started.wait()
    store.revoke()
    await authenticator.refresh()
    store.may_answer.set()
    await under_way

    assert await authenticator.authenticate(TOKEN, None) is None
    assert store.look_ups == 2


async def test_a_look_up_under_way_while_the_same_generation_was_read_again_is_cached() -> None:
    store = SlowStore(Clock())
    authenticator = authenticator_of(store)
    await authenticator.refresh()
    store.may_answer.clear()
    under_way = asyncio.create_task(authenticator.authenticate(TOKEN, None))
    await store.started.wait()
    await authenticator.refresh()
    store.may_answer.set()
    await under_way

    assert await authenticator.authenticate(TOKEN, None) is not None
    assert store.look_ups == 1


async def test_the_caches_age_is_counted_from_when_the_database_was_asked() -> None:
    """The database may have looked just after it was asked: a revocation since then is not in its answer."""
    store = SlowStore(Clock())
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

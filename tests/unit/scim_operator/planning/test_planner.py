"""``plan`` through years of simulated time, with everything that can happen to it on the way.

A simulated world executes its steps through the real reconcile on in-memory ports. Between two events time
passes or the clock jumps, specs change, tokens are revoked, answers to writes are lost, operators are killed in
the middle, Secrets are deleted or edited, and the API's database is thrown away. After every event the promises
are checked.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scim_operator.planning.planner import MAX_LIVE_TOKENS
from support.planner_life import Life, events, happen, specs

EXAMPLES = 100


@pytest.fixture(autouse=True, scope="module")
def quiet() -> Iterator[None]:
    """Thousands of rotations need no log."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    yield
    structlog.reset_defaults()


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(specs(), st.lists(events(specs()), max_size=12))
def test_the_token_in_the_secret_is_accepted_whatever_happens_and_none_past_its_expiry(
    spec: dict[str, Any], history: list[tuple[str, Any]]
) -> None:
    life = Life()
    life.world.apply(**spec)
    life.settle()
    life.check_settled()
    for kind, value in history:
        if life.world.live() > MAX_LIVE_TOKENS - 3:
            break  # on-demand rotations have a bound of their own, tested elsewhere
        happen(life, kind, value)
        life.check()
        life.settle()
        life.check()
        life.check_settled()


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    specs().filter(lambda spec: not spec["suspend"]),
    st.floats(0.1, 20),
    st.lists(st.integers(0, 12), max_size=6),
    st.lists(st.floats(-120, 120), max_size=6),
)
def test_at_most_three_tokens_live_through_years_and_none_of_those_published_is_ever_rejected_in_its_time(
    spec: dict[str, Any], lifetimes: float, kills: list[int], jumps: list[float]
) -> None:
    spec = {**spec, "overlap": "untilExpiry"}
    life = Life()
    life.world.apply(**spec)
    life.settle()
    lifetime = life.token().lifetime
    end = life.world.now + lifetime * lifetimes
    killing, jumping, latest = iter(kills), iter(jumps), life.world.now
    while life.world.now < end:
        life.kill_in = next(killing, None)
        life.reconcile()
        life.kill_in = None
        outcome = life.reconcile()
        assert outcome is not None
        assert life.world.live() <= 3
        refused = [
            token
            for token, until in life.world.published.items()
            if latest < until and not life.world.accepts(token)
        ]
        assert refused == []
        life.check_expired()
        assert outcome.requeue_after is not None
        life.world.now += max(outcome.requeue_after, timedelta(seconds=1))
        life.world.now += timedelta(seconds=next(jumping, 0.0))
        latest = max(latest, life.world.now)


@settings(max_examples=EXAMPLES, deadline=None)
@given(specs().filter(lambda spec: not spec["suspend"]))
def test_a_rotation_comes_rotate_before_the_expiry_and_not_earlier(spec: dict[str, Any]) -> None:
    life = Life()
    life.world.apply(**spec)
    life.settle()
    first, token = life.world.secret()["token"], life.token()
    due = life.world.published[first] - token.rotate_before
    life.world.now = due - timedelta(seconds=1)
    life.settle()
    assert life.world.secret()["token"] == first
    life.world.now = due
    life.settle()
    assert life.world.secret()["token"] != first


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(specs(), st.floats(0.01, 1.5)), min_size=2, max_size=6))
def test_no_change_of_lifetime_or_rotation_ends_an_issued_token_sooner_or_later(
    history: list[tuple[dict[str, Any], float]],
) -> None:
    """Each token lives exactly as long as it said when it was published, whatever the spec says afterwards."""
    life = Life()
    for spec, lifetimes in history:
        life.world.apply(**{**spec, "overlap": "untilExpiry"})
        life.settle()
        if life.world.live() > MAX_LIVE_TOKENS - 3:
            break
        told = dict(life.world.published)
        life.sleep(life.token().lifetime * lifetimes)
        assert {token for token in told if life.world.accepts(token)} == {
            token for token, end in told.items() if life.world.now < end
        }
        assert all(life.world.published[token] == end for token, end in told.items())

"""``plan`` through years of simulated time while ``spec.auth`` changes: see ``test_planner``."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scim_operator.planning.planner import MAX_LIVE_TOKENS
from support.operator_world import CLIENT_ID
from support.planner_life import OF_ALL_TYPES, Life, auths, events, happen, specs, trusts

EXAMPLES = 100
UNDISTURBED: dict[str, Any] = {"lifetime": "90d", "overlap": "untilExpiry"}
SIX_HOURS = timedelta(hours=6)


@pytest.fixture(autouse=True, scope="module")
def quiet() -> Iterator[None]:
    """Thousands of rotations need no log."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    yield
    structlog.reset_defaults()


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(specs(auths), st.lists(events(specs(auths), OF_ALL_TYPES), max_size=12))
def test_what_the_secret_publishes_is_accepted_whatever_happens_and_nothing_past_its_expiry(
    spec: dict[str, Any], history: list[tuple[str, Any]]
) -> None:
    life, ordered = Life(), False
    life.world.apply(**spec)
    life.settle()
    life.check_settled()
    for kind, value in history:
        if life.world.live() > MAX_LIVE_TOKENS - 4:
            break  # rotations on demand and changes of type have a bound of their own
        ordered = ordered or kind in ("revoke", "make anew")
        happen(life, kind, value)
        life.check()
        life.settle()
        life.check()
        life.check_settled()
        assert life.world.secret().get("client-id", CLIENT_ID) == CLIENT_ID
        ended = [item for item in life.world.cut_off.values() if item.kind == "ClientSecret"]
        assert ordered or not ended, "access tokens of a client secret end only by an order"


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    auths,
    st.lists(
        st.tuples(auths, st.floats(0.001, 0.4), st.integers(0, 12), st.integers(0, 6)),
        min_size=1,
        max_size=6,
    ),
)
def test_no_change_of_auth_ends_what_was_published_sooner_or_later(
    first: dict[str, Any], changes: list[tuple[dict[str, Any], float, int, int]]
) -> None:
    """Neither does an operator that is killed on the way, nor a lost answer."""
    life = Life()
    life.world.apply(**UNDISTURBED, auth=first)
    life.settle()
    for auth, lifetimes, kill_in, lose_in in changes:
        life.world.apply(**UNDISTURBED, auth=auth)
        life.kill_in, life.lose_in = kill_in, lose_in
        life.reconcile()
        life.kill_in = life.lose_in = None
        life.settle()
        life.check_settled()
        if life.world.live() > MAX_LIVE_TOKENS - 4:
            break
        life.sleep(life.token().lifetime * lifetimes)
        assert {token for token in life.world.published if life.world.accepts(token)} == {
            token for token, end in life.world.published.items() if life.world.now < end
        }
        assert not [item for item in life.world.cut_off.values() if item.kind != "WorkloadIdentity"]


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(trusts, min_size=2, max_size=6))
def test_trusts_that_follow_each_other_never_take_more_than_was_written(
    wanted: list[dict[str, Any]],
) -> None:
    """Besides the one that is wanted there are only those that it covers, and none of them for more than six hours."""
    life = Life()
    for auth in wanted:
        life.world.apply(**UNDISTURBED, auth=auth)
        life.settle()
        life.check_settled()
        subjects = set(auth["workloadIdentity"]["subjects"])
        for item in life.world.accepted():
            assert item.trust is not None
            assert set(item.trust.subjects) <= subjects
            stands = item.trust == life.token().understood_spec.auth.trust and item.retires_at is None
            assert stands or (item.retires_at is not None and item.retires_at <= life.world.now + SIX_HOURS)
        life.world.now += timedelta(hours=1)

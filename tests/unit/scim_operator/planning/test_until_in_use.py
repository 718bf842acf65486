"""``overlap: untilInUse``: when a superseded credential ends, through all observations and through whole lives.

The oracle knows what was published when and what was used when, and nothing of the code that decides.
"""

import dataclasses
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scim_operator.api.custom_object import ROTATE_ANNOTATION
from scim_operator.controller.workqueue import Result
from scim_operator.planning.actions import Action, Done, ObservedState, RegisterCredentials
from scim_operator.planning.planner import plan
from scim_operator.planning.until_in_use import IDLE_BEFORE_END, LOOK_INTERVAL
from support.observations import DAY, HOUR, MINUTE, NOW, entry, known, observed
from support.operator_world import ENDPOINT
from support.planner_life import Life

EXAMPLES = 200
TWO_HOURS = timedelta(hours=2)
KINDS = st.sampled_from(["BearerToken", "ClientSecret"])
ages = st.one_of(st.integers(-30, 400), st.sampled_from([0, 119, 120, 121])).map(lambda n: n * MINUTE)
"""How long ago something was; below zero it has not come."""
uses = st.one_of(st.none(), ages)
past = st.one_of(st.none(), ages.filter(lambda age: age >= timedelta(0)))


@pytest.fixture(autouse=True, scope="module")
def quiet() -> Iterator[None]:
    """Thousands of reconciles need no log."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    yield
    structlog.reset_defaults()


def decide(state: ObservedState) -> Action:
    return plan(state, ENDPOINT)


def ends(action: Action) -> bool:
    """Whether the superseded credential is accepted no more after this action."""
    if not isinstance(action, RegisterCredentials):
        return False
    listed = {item.id: item.retires_at for item in action.desired.credentials}
    retires = listed.get("old")
    assert "new" in listed
    assert listed["new"] is None
    return "old" not in listed or (retires is not None and retires <= NOW)


def situation(
    kind: Any, since: datetime, old_used: datetime | None, new_used: datetime | None, **more: Any
) -> ObservedState:
    old, new = entry("old", NOW - 20 * DAY, since, kind=kind), entry("new", NOW - 9 * DAY, kind=kind)
    registered = known(old, last_used_at=old_used), known(new, last_used_at=new_used)
    return observed(new, old, credentials=registered, **{"overlap": "untilInUse", **more})


def ago(age: timedelta | None) -> datetime | None:
    return None if age is None else NOW - age


@settings(max_examples=4 * EXAMPLES)
@given(KINDS, ages, uses, uses, st.sampled_from([None, True, False]))
def test_it_ends_exactly_when_its_successor_was_used_after_it_and_it_was_idle_for_two_hours(
    kind: str, since: timedelta, old: timedelta | None, new: timedelta | None, entra: bool | None
) -> None:
    action = decide(situation(kind, NOW - since, ago(old), ago(new), entra_uses_active=entra))
    followed = new is not None and timedelta(0) <= new < since and (old is None or new < old)
    idle = since >= TWO_HOURS and (old is None or old >= TWO_HOURS)
    assert ends(action) is (followed and idle and entra is not False)


def test_an_inspection_neither_hands_over_nor_keeps_a_superseded_credential() -> None:
    old, new = entry("old", NOW - 20 * DAY, NOW - DAY), entry("new", NOW - 9 * DAY)

    def ends_with(old_one: dict[str, Any], new_one: dict[str, Any]) -> bool:
        registered = known(old, **old_one), known(new, **new_one)
        return ends(decide(observed(new, old, credentials=registered, overlap="untilInUse")))

    just_now = {"last_inspected_at": NOW - MINUTE}
    assert not ends_with({}, just_now)
    assert ends_with(just_now, {"last_used_at": NOW - HOUR})


@settings(max_examples=EXAMPLES)
@given(KINDS, ages, uses, past, past, ages)
def test_an_observation_that_is_late_ends_nothing_that_the_present_one_does_not(
    kind: str,
    since: timedelta,
    old: timedelta | None,
    new: timedelta | None,
    earlier: timedelta | None,
    late: timedelta,
) -> None:
    """Of uses that came later it does not know, and its clock is behind: of the active one's use it says less."""
    if earlier is not None and (new is None or earlier < new):
        earlier = new
    stale = situation(
        kind, NOW - since, ago(old), ago(earlier), now=min(NOW, NOW - late), entra_uses_active=None
    )
    if ends(decide(stale)):
        assert ends(decide(situation(kind, NOW - since, ago(old), ago(new))))


@given(KINDS, uses, uses)
def test_what_has_ended_stays_so_whatever_is_observed_later(
    kind: Any, old: timedelta | None, new: timedelta | None
) -> None:
    """Also when the clock was set back, and the ledger has not been written since."""
    since = NOW - 5 * HOUR
    action = decide(situation(kind, since, since + HOUR, since + 2 * HOUR))
    assert isinstance(action, RegisterCredentials)
    assert ends(action)
    registered = {item.id: item for item in action.desired.credentials}
    if kind == "BearerToken":
        assert "old" not in registered, "revoked: the API never takes it again"
        return
    retires = registered["old"].retires_at
    assert retires is not None
    assert retires <= since, "over before the two hours began, for clocks that are set back"
    for now in (NOW, NOW - 4 * HOUR, NOW - 6 * HOUR):
        later = situation(kind, since, ago(old), ago(new), now=now, entra_uses_active=False)
        credentials = tuple(
            item.model_copy(update={"retires_at": retires}) if item.id == "old" else item
            for item in later.connection.credentials
        )
        connection = later.connection.model_copy(update={"credentials": credentials})
        after = decide(dataclasses.replace(later, connection=connection))
        if isinstance(after, RegisterCredentials):
            assert {item.id: item.retires_at for item in after.desired.credentials}.get(
                "old", retires
            ) == retires


@given(KINDS, ages, uses, uses)
def test_the_same_observation_gives_the_same_plan(
    kind: str, since: timedelta, old: timedelta | None, new: timedelta | None
) -> None:
    state = situation(kind, NOW - since, ago(old), ago(new))
    assert decide(state) == decide(dataclasses.replace(state))


@settings(max_examples=EXAMPLES)
@given(KINDS, ages, uses, uses)
def test_the_plan_asks_to_be_called_when_the_two_hours_could_be_over_and_then_at_a_gentle_interval(
    kind: str, since: timedelta, old: timedelta | None, new: timedelta | None
) -> None:
    action = decide(situation(kind, NOW - since, ago(old), ago(new)))
    if not isinstance(action, Done):
        return
    assert action.requeue_at is not None
    over = NOW - since + TWO_HOURS if old is None else max(NOW - since, NOW - old) + TWO_HOURS
    assert action.requeue_at == (over if over > NOW else NOW + LOOK_INTERVAL)
    assert 10 * MINUTE <= LOOK_INTERVAL <= 40 * MINUTE


@pytest.mark.parametrize("overlap", ["untilExpiry", "85d", "untilInUse"])
def test_without_a_superseded_credential_or_with_another_overlap_nothing_is_polled(overlap: str) -> None:
    old, new = entry("old", NOW - 20 * DAY, NOW - 9 * DAY), entry("new", NOW - 9 * DAY)
    retires = NOW - 9 * DAY + 85 * DAY
    alone = decide(observed(new, credentials=(known(new),), overlap=overlap))
    assert isinstance(alone, Done)
    assert alone.requeue_at == NOW + 51 * DAY, "the rotation"
    if overlap == "untilInUse":
        return
    registered = known(old, last_used_at=NOW - HOUR, retires_at=retires if old.expires_at > retires else None)
    both = decide(observed(new, old, credentials=(registered, known(new)), overlap=overlap))
    assert isinstance(both, Done)
    assert both.requeue_at is not None
    assert both.requeue_at - NOW > DAY


def test_an_older_credential_that_a_restored_secret_publishes_ends_nothing_newer() -> None:
    new, old = entry("new", NOW - 9 * DAY, NOW - 5 * HOUR), entry("old", NOW - 20 * DAY)
    credentials = known(new), known(old, last_used_at=NOW)
    state = observed(old, new, credentials=credentials, overlap="untilInUse")
    assert not isinstance(decide(state), RegisterCredentials)


def test_a_credential_whose_time_of_being_superseded_is_lost_begins_anew() -> None:
    old, new = entry("old", NOW - 20 * DAY), entry("new", NOW - 9 * DAY)
    action = decide(
        observed(new, credentials=(known(old), known(new, last_used_at=NOW)), overlap="untilInUse")
    )
    assert not ends(action)


class Witness(Life):
    """A life whose publications and uses are noted, and in which each end of a credential is judged."""

    def __init__(self) -> None:
        super().__init__()
        self.present: str | None = None
        self.since: dict[str, datetime] = {}
        self.used: dict[str, datetime] = {}
        self.expires: dict[str, datetime] = {}
        self.ended: set[str] = set()

    def use(self, number: int) -> None:
        accepted = sorted(item.id for item in self.world.accepted())
        if accepted:
            name = accepted[number % len(accepted)]
            self.world.use_credential(name)
            self.used[name] = max(self.world.now, self.used.get(name, self.world.now))

    def reconcile(self) -> Result | None:
        outcome = super().reconcile()
        self.look()
        return outcome

    def look(self) -> None:
        now, secret = self.world.now, self.world.secret()
        shown = secret.get("token-id", secret.get("client-secret-id"))
        if shown != self.present and self.present is not None:
            self.since[self.present] = now
        self.present = shown
        accepted = {item.id for item in self.world.accepted()}
        assert not accepted & self.ended, "what has ended stays so"
        for name, expires in self.expires.items():
            if name not in accepted | self.ended and now < expires:
                self.judge(name)
                self.ended.add(name)
        self.expires |= {item.id: item.expires_at for item in self.world.accepted()}

    def judge(self, name: str) -> None:
        """The rules, for a credential that has just ended before its expiry."""
        assert self.present is not None
        assert name != self.present
        since, old, new = self.since[name], self.used.get(name), self.used.get(self.present)
        assert new is not None
        assert new > since
        assert old is None or new > old
        assert self.world.now >= max(since, old or since) + TWO_HOURS


WORDS = ("12h", "30d", "90d")
happenings = st.one_of(
    *[st.tuples(st.just("sleep"), st.floats(0.05, 6))] * 2,
    st.tuples(st.just("absent"), st.floats(0.05, 6)),
    *[st.tuples(st.just("use"), st.integers(0, 5))] * 3,
    st.tuples(st.just("rotate"), st.text("abc", min_size=1, max_size=3)),
    st.tuples(st.just("kill"), st.integers(0, 12)),
    st.tuples(st.just("lose answer"), st.integers(0, 6)),
    st.tuples(st.just("clock"), st.one_of(st.floats(-120, 120), st.floats(-7000, 20_000))),
    st.tuples(st.just("delete secret"), st.none()),
    st.tuples(st.just("type"), st.sampled_from(["BearerToken", "OAuthClientCredentials"])),
)


def happen(life: Witness, spec: dict[str, Any], kind: str, value: Any) -> None:
    match kind:
        case "sleep":
            life.sleep(value * HOUR)
        case "absent":
            life.world.now += value * HOUR
        case "use":
            life.use(value)
        case "rotate":
            life.world.annotate(ROTATE_ANNOTATION, value)
        case "kill":
            life.kill_in = value
            life.reconcile()
            life.kill_in = None
        case "lose answer":
            life.lose_in = value
            life.reconcile()
            life.lose_in = None
        case "clock":
            life.world.now += timedelta(seconds=value)
        case "delete secret":
            life.world.secrets.clear()
        case "type":
            spec["auth"] = {"type": value}
            life.world.apply(**spec)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(WORDS), st.lists(happenings, min_size=4, max_size=20))
def test_whatever_happens_nothing_ends_before_its_successor_was_used_and_two_hours_were_over(
    lifetime: str, history: list[tuple[str, Any]]
) -> None:
    life = Witness()
    spec: dict[str, Any] = {"lifetime": lifetime, "overlap": "untilInUse"}
    life.world.apply(**spec)
    life.settle()
    for kind, value in [("sleep", 1.0), ("rotate", "first"), *history]:
        if life.world.live() > 12:
            break
        happen(life, spec, kind, value)
        life.look()
        life.settle()
        life.check_settled()
        assert not life.world.cut_off or all(
            item.kind == "BearerToken" for item in life.world.cut_off.values()
        ), "access tokens go on to their end"


@pytest.mark.parametrize("before", ["BearerToken", "OAuthClientCredentials"])
@pytest.mark.parametrize("after", ["BearerToken", "OAuthClientCredentials"])
@settings(max_examples=20, deadline=None)
@given(pasted=st.floats(0, 100))
def test_it_ends_within_two_hours_and_a_half_of_its_last_use_once_the_new_one_was_pasted(
    before: str, after: str, pasted: float
) -> None:
    """Entra comes every 40 minutes; the operator only when it asked to be called."""
    life = Witness()
    life.world.apply(overlap="untilInUse", auth={"type": before})
    life.settle()
    first = life.present
    assert first is not None
    life.world.now += HOUR
    if before == after:
        life.world.annotate(ROTATE_ANNOTATION, "now")
    life.world.apply(overlap="untilInUse", auth={"type": after})
    outcome = life.reconcile()
    second, paste_at = life.present, life.world.now + pasted * HOUR
    assert second not in (None, first)
    due, entra, looks, began = life.world.now, life.world.now, 0, life.world.now
    while any(item.id == first for item in life.world.accepted()):
        life.world.now = min(due, entra)
        if entra <= due:
            life.world.use_credential(first if life.world.now < paste_at else str(second))
            life.used[str(first if life.world.now < paste_at else second)] = life.world.now
            entra += 40 * MINUTE
            continue
        outcome = life.reconcile()
        looks += 1
        assert outcome is not None
        assert outcome.requeue_after is not None
        due = life.world.now + outcome.requeue_after
        assert life.world.now < paste_at + 5 * HOUR
    assert life.world.now <= life.used.get(str(first), began) + IDLE_BEFORE_END + LOOK_INTERVAL
    assert looks <= 3 + (life.world.now - began) / LOOK_INTERVAL

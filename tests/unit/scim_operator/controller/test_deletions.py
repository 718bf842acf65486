"""The count of connections that lost their ScimToken: who is held, who goes on, and what ends a hold."""

from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from scim_operator.api.custom_object import Key
from scim_operator.controller.deletions import Deletions
from scim_operator.planning.deletion_limit import SETTLE, DeletionLimit, Wait

START = datetime(2030, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
KEYS = [Key("ns", f"t{number:02}") for number in range(12)]


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def deletions(clock: Clock) -> Deletions:
    made = Deletions(DeletionLimit(5, 20), HOUR, lease=("scim-system", "scim-operator"), now=clock)
    made.count_scimtokens(len(KEYS))
    return made


def lose_all(deletions: Deletions, clock: Clock) -> list[Wait | None]:
    """All ScimTokens go at once; what is decided once that has settled."""
    for key in KEYS:
        assert deletions.wait(key, None) == Wait(clock.now + SETTLE, is_held=False)
    clock.now += SETTLE
    return [deletions.wait(key, None) for key in KEYS]


def test_a_single_one_is_let_through_after_seconds(deletions: Deletions, clock: Clock) -> None:
    assert deletions.wait(KEYS[0], None) == Wait(START + SETTLE, is_held=False)
    clock.now += SETTLE
    assert deletions.wait(KEYS[0], None) is None
    assert not deletions.held


def test_all_at_once_are_held_the_first_ones_too_and_it_is_logged_once_with_the_remedy(
    deletions: Deletions, clock: Clock
) -> None:
    with capture_logs() as logs:
        decisions = lose_all(deletions, clock)
    assert decisions == [Wait(START + HOUR, is_held=True)] * len(KEYS)
    assert deletions.held == set(KEYS)
    (entry,) = logs
    assert (entry["log_level"], entry["held"], entry["connections"]) == ("error", 12, 12)
    assert entry["examples"] == [str(key) for key in KEYS[:5]]
    assert "kubectl annotate lease/scim-operator -n scim-system" in entry["remedy"]


def test_those_that_come_back_are_held_no_more_and_the_others_still_are(
    deletions: Deletions, clock: Clock
) -> None:
    """A restore takes its time: the last ones must not be revoked because the first are back."""
    lose_all(deletions, clock)
    for key in KEYS[:10]:
        deletions.resolve(key)
    clock.now += timedelta(minutes=10)
    assert deletions.wait(KEYS[11], None) is not None
    assert deletions.held == set(KEYS[10:])


def test_one_that_came_back_and_goes_again_is_a_single_deletion(deletions: Deletions, clock: Clock) -> None:
    lose_all(deletions, clock)
    for key in KEYS:
        deletions.resolve(key)
    clock.now += timedelta(minutes=10)
    deletions.wait(KEYS[0], None)
    clock.now += SETTLE
    assert deletions.wait(KEYS[0], None) is None


def test_after_the_hour_they_are_let_through(deletions: Deletions, clock: Clock) -> None:
    lose_all(deletions, clock)
    clock.now = START + HOUR
    assert [deletions.wait(key, None) for key in KEYS] == [None] * len(KEYS)
    assert not deletions.held


def test_a_time_on_the_lease_confirms_what_was_lost_up_to_then_and_nothing_later(
    deletions: Deletions, clock: Clock
) -> None:
    lose_all(deletions, clock)
    assert deletions.confirm("2030-01-01T00:00:02Z") == set(KEYS)
    assert [deletions.wait(key, None) for key in KEYS] == [None] * len(KEYS)
    for key in KEYS:
        deletions.resolve(key)
    clock.now += 2 * HOUR
    assert all(item is not None and item.is_held for item in lose_all(deletions, clock))


def test_what_was_confirmed_does_not_count_against_the_next_one(deletions: Deletions, clock: Clock) -> None:
    lose_all(deletions, clock)
    deletions.confirm("2030-01-01T00:00:02Z")
    for key in KEYS:
        deletions.wait(key, None)
        deletions.resolve(key)
    single = Key("ns", "single")
    deletions.wait(single, None)
    clock.now += SETTLE
    assert deletions.wait(single, None) is None


def test_a_time_ahead_confirms_up_to_now(deletions: Deletions, clock: Clock) -> None:
    assert deletions.confirm("2040-01-01T00:00:00Z") == set()
    clock.now += timedelta(minutes=1)
    assert all(item is not None and item.is_held for item in lose_all(deletions, clock))


def test_the_same_confirmation_again_is_no_news_and_nonsense_is_logged(deletions: Deletions) -> None:
    with capture_logs() as logs:
        for _ in range(2):
            assert deletions.confirm("true") == set()
    assert [entry["log_level"] for entry in logs] == ["warning"]


def test_a_new_leader_counts_what_it_finds(clock: Clock) -> None:
    new = Deletions(DeletionLimit(5, 20), HOUR, now=clock)
    new.count_connections(14)
    assert lose_all(new, clock) == [Wait(START + HOUR, is_held=True)] * len(KEYS)


def test_without_a_limit_or_a_hold_nothing_waits(clock: Clock) -> None:
    for free in (Deletions(None), Deletions(DeletionLimit(5, 20), timedelta(), now=clock)):
        assert [free.wait(key, None) for key in KEYS] == [None] * len(KEYS)


def test_a_report_is_logged_while_something_is_held(deletions: Deletions, clock: Clock) -> None:
    with capture_logs() as logs:
        deletions.report()
    assert logs == []
    lose_all(deletions, clock)
    with capture_logs() as logs:
        deletions.report()
    assert [entry["held"] for entry in logs] == [12]


def test_what_is_long_over_is_forgotten(deletions: Deletions, clock: Clock) -> None:
    for number in range(1000):
        key = Key("ns", f"one-{number}")
        deletions.wait(key, None)
        clock.now += timedelta(minutes=5)
        deletions.wait(key, None)
        deletions.resolve(key)
    assert len(deletions._moments) == len(deletions._since) < 20

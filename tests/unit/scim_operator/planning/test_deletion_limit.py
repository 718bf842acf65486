"""Whether a revocation waits: single ones do not for long, many at once do, until somebody says so."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_operator.api.scimtoken import FORCE_DELETE_ANNOTATION, ScimToken
from scim_operator.planning.deletion_limit import (
    CONFIRM_DELETION_ANNOTATION,
    SETTLE,
    WINDOW,
    DeletionLimit,
    Loss,
    Wait,
    decide,
    deletion_time,
    is_confirmed,
    read_time,
)

NOW = datetime(2030, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
LIMIT = DeletionLimit(5, 20)


def decision(
    losses: list[datetime],
    at: int = 0,
    *,
    connections: int = 12,
    after: timedelta = 2 * SETTLE,
    **more: object,
) -> Wait | None:
    """About one of these losses, so long after the last one."""
    moment = losses[at]
    loss = Loss(moment, more.get("hold_from", moment), bool(more.get("confirmed")))  # type: ignore[arg-type]
    return decide(loss, losses, limit=LIMIT, connections=connections, hold=HOUR, now=losses[-1] + after)


def every(seconds: float, count: int) -> list[datetime]:
    return [NOW + timedelta(seconds=seconds * n) for n in range(count)]


@pytest.mark.parametrize(
    ("lost", "connections", "exceeded"),
    [(0, 0, False), (5, 5, False), (6, 6, True), (6, 30, False), (7, 30, True), (100, 10_000, False)],
)
def test_the_limit_is_exceeded_by_what_is_much_and_a_large_part(
    lost: int, connections: int, exceeded: bool
) -> None:
    assert LIMIT.is_exceeded(lost, connections) is exceeded


def test_a_single_one_waits_some_seconds_to_see_whether_it_is_one_of_many() -> None:
    assert decision(every(1, 1), after=timedelta()) == Wait(NOW + SETTLE, is_held=False)
    assert decision(every(1, 1), after=SETTLE) is None


def test_where_all_of_them_are_few_nothing_waits_at_all() -> None:
    assert decision(every(1, 5), connections=5, after=timedelta()) is None


def test_where_nobody_knows_how_many_there_are_the_count_alone_decides() -> None:
    assert decision(every(0, 6), connections=0) == Wait(NOW + HOUR, is_held=True)


def test_many_within_a_minute_are_held_the_first_and_the_last() -> None:
    losses = every(10, 7)
    for at, moment in enumerate(losses):
        assert decision(losses, at) == Wait(moment + HOUR, is_held=True)


def test_as_many_one_after_the_other_are_not_held() -> None:
    losses = every(13, 40)
    assert all(decision(losses, at) is None for at in range(40))


def test_what_was_lost_before_or_after_the_many_is_not_held_with_them() -> None:
    losses = [NOW - 2 * WINDOW, *every(1, 12), NOW + 2 * WINDOW]
    assert decision(losses, 0) is None
    assert decision(losses, len(losses) - 1) is None
    assert decision(losses, 5) is not None


def test_a_confirmed_one_and_one_whose_hour_is_over_do_not_wait() -> None:
    losses = every(0, 12)
    assert decision(losses, confirmed=True) is None
    assert decision(losses, after=HOUR) is None
    assert decision(losses, hold_from=NOW - HOUR) is None


@given(st.lists(st.integers(0, 600), min_size=1, max_size=40), st.integers(1, 60))
def test_held_are_exactly_those_in_a_minute_with_too_many(seconds: list[int], connections: int) -> None:
    losses = sorted(NOW + timedelta(seconds=number) for number in seconds)
    for at, moment in enumerate(losses):
        windows = [
            [other for other in losses if start <= other <= start + WINDOW]
            for start in losses
            if start <= moment <= start + WINDOW
        ]
        expected = connections > LIMIT.count and any(
            LIMIT.is_exceeded(len(window), connections) for window in windows
        )
        assert (decision(losses, at, connections=connections) is not None) is expected


def deleted(moment: str, **annotations: str) -> ScimToken:
    metadata = {"name": "entra", "deletionTimestamp": moment, "annotations": annotations}
    return ScimToken.from_object({"metadata": metadata})


def test_the_time_of_a_deletion_is_read_where_it_can_be() -> None:
    assert deletion_time(deleted("2030-01-01T00:00:00Z")) == NOW
    assert deletion_time(deleted("then")) is None
    assert deletion_time(None) is None
    assert read_time("2030-01-01T00:00:00") == NOW


@pytest.mark.parametrize(
    ("annotation", "value", "confirms"),
    [
        (CONFIRM_DELETION_ANNOTATION, "true", True),
        (CONFIRM_DELETION_ANNOTATION, "yes", False),
        (FORCE_DELETE_ANNOTATION, "true", True),
    ],
)
def test_a_person_confirms_by_an_annotation(annotation: str, value: str, confirms: bool) -> None:
    assert is_confirmed(deleted("2030-01-01T00:00:00Z", **{annotation: value})) is confirms
    assert not is_confirmed(None)

"""Who is warned that a superseded token is still in use, and when: through all histories."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from scim_api.contract.admin import CredentialStatus
from scim_operator.planning.token_usage import (
    MAX_WARNING_PERIOD,
    MIN_IDLE_PERIOD,
    SupersededToken,
    reevaluation_times,
    superseded_tokens_in_use,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
ENTRA = "Azure-AD-SCIM"
OLD = SupersededToken("old", START, START + 30 * DAY)
END = OLD.ends_at


def used(
    name: str, at: datetime | None, issued: datetime = START - 60 * DAY, agent: str | None = ENTRA
) -> CredentialStatus:
    return CredentialStatus(
        id=name,
        digest="ab" * 32,
        issued_at=issued,
        expires_at=END + 60 * DAY,
        last_used_at=at,
        user_agent=agent,
    )


def new(at: datetime | None, agent: str | None = ENTRA) -> CredentialStatus:
    return used("new", at, START, agent)


def warned(now: datetime, *credentials: CredentialStatus, item: SupersededToken = OLD) -> list[str]:
    return [found.id for found in superseded_tokens_in_use([item], credentials, now)]


def test_one_in_use_is_told_seven_days_before_its_end_and_not_sooner() -> None:
    just_now = used("old", END - 7 * DAY - HOUR)
    assert warned(END - 7 * DAY - timedelta(seconds=1), just_now) == []
    assert warned(END - 7 * DAY, just_now) == ["old"]


def test_a_short_overlap_is_told_in_its_last_quarter() -> None:
    item = SupersededToken("old", START, START + 8 * HOUR)
    last = used("old", START + 5 * HOUR)
    assert warned(START + 6 * HOUR - timedelta(seconds=1), last, item=item) == []
    assert warned(START + 6 * HOUR, last, item=item) == ["old"]


def test_who_and_when_are_told() -> None:
    (found,) = superseded_tokens_in_use([OLD], [used("old", END - DAY)], END - HOUR)
    assert (found.client, found.last_used_at, found.since, found.ends_at) == (ENTRA, END - DAY, START, END)


def test_an_inspection_is_no_use_of_the_old_one_and_no_move_to_the_new_one() -> None:
    looked = {"last_inspected_at": END - HOUR}
    assert warned(END - HOUR, used("old", None).model_copy(update=looked)) == []
    assert warned(END - HOUR, used("old", END - DAY), new(None).model_copy(update=looked)) == ["old"]


def test_one_never_used_or_only_before_it_was_replaced_is_not_told() -> None:
    assert warned(END - HOUR, used("old", None)) == []
    short = SupersededToken("old", START, START + HOUR)
    assert warned(START + timedelta(minutes=50), used("old", START), item=short) == []
    assert warned(START + timedelta(minutes=50), used("old", START + timedelta(seconds=1)), item=short) == [
        "old"
    ]


def test_a_job_in_quarantine_that_comes_once_a_day_is_still_told() -> None:
    assert warned(END - DAY, used("old", END - 2 * DAY - HOUR)) == ["old"]


def test_two_days_without_a_use_end_the_warning() -> None:
    assert warned(END - DAY, used("old", END - 3 * DAY)) == []


def test_one_of_a_day_counts_as_left_behind_after_a_quarter_of_its_time() -> None:
    item = SupersededToken("old", START, START + DAY)
    last = used("old", START + 14 * HOUR)
    assert warned(START + 20 * HOUR - timedelta(seconds=1), last, item=item) == ["old"]
    assert warned(START + 20 * HOUR, last, item=item) == []


def test_pasting_the_new_token_ends_the_warning_within_hours() -> None:
    old = used("old", END - DAY)
    assert warned(END - 20 * HOUR, old, new(END - 22 * HOUR - timedelta(seconds=1))) == ["old"]
    assert warned(END - 20 * HOUR, old, new(END - 22 * HOUR)) == []


def test_another_client_with_the_new_token_does_not_hide_the_one_with_the_old() -> None:
    assert warned(END - 20 * HOUR, used("old", END - DAY), new(END - 20 * HOUR, "curl")) == ["old"]


def test_nothing_is_told_of_one_that_has_ended() -> None:
    assert warned(END, used("old", END - HOUR)) == []


spans = st.timedeltas(timedelta(seconds=1), 400 * DAY)
shares = st.floats(0, 1.2)


@given(spans, shares, shares, shares)
def test_a_warning_is_always_about_one_that_ends_in_time_to_come_and_was_used_since_it_was_replaced(
    span: timedelta, at: float, use: float, newer: float
) -> None:
    item = SupersededToken("old", START, START + span)
    now = START + span * at
    credentials = [used("old", START + span * (use - 0.1)), new(START + span * newer)]
    for found in superseded_tokens_in_use([item], credentials, now):
        assert found.last_used_at > item.since
        assert timedelta(0) < item.ends_at - now <= min(MAX_WARNING_PERIOD, span / 4)


@given(spans, st.lists(st.floats(0, 1), max_size=5), st.floats(0.01, 3))
def test_the_looks_find_every_use_in_time_and_are_few(
    span: timedelta, times: list[float], before_end: float
) -> None:
    """A client that never moves on, however rarely it is reconciled, is reported before its end."""
    item = SupersededToken("old", START, START + span)
    uses = sorted(START + span * share for share in times)
    now, seen, told = START, 0, False
    while now < item.ends_at:
        seen += 1
        last = max((use for use in uses if use <= now), default=None)
        found = superseded_tokens_in_use([item], [used("old", last)], now)
        told = told or bool(found)
        ahead = reevaluation_times([item], found, now)
        assert all(moment > now for moment in ahead)
        now = min([*ahead, item.ends_at])
    assert seen <= 5 + 2 * len(times) + 1
    last_look = item.ends_at - item.warning_period / 8
    if any(item.since < use and use > last_look - MIN_IDLE_PERIOD and use <= last_look for use in uses):
        assert told


def test_the_moment_it_would_count_as_left_behind_is_looked_at() -> None:
    in_use = superseded_tokens_in_use([OLD], [used("old", END - 4 * DAY)], END - 3 * DAY)
    assert END - 2 * DAY in reevaluation_times([OLD], in_use, END - 3 * DAY)


def test_one_looks_again_when_a_half_a_quarter_and_an_eighth_of_the_notice_is_left() -> None:
    begin = END - 7 * DAY
    assert reevaluation_times([OLD], [], begin - HOUR) == [
        begin, END - timedelta(days=3.5), END - timedelta(days=1.75), END - timedelta(days=0.875),
    ]  # fmt: skip
    assert reevaluation_times([OLD], [], begin) == [
        END - timedelta(days=3.5), END - timedelta(days=1.75), END - timedelta(days=0.875),
    ]  # fmt: skip


def test_those_that_end_first_are_told_first() -> None:
    items = [
        SupersededToken("b", START, END), SupersededToken("c", START, END - HOUR), SupersededToken("a", START, END),
    ]  # fmt: skip
    uses = [used(item.id, END - DAY) for item in items]
    found = superseded_tokens_in_use(items, uses, END - 2 * HOUR)
    assert [item.id for item in found] == ["c", "a", "b"]


def test_only_a_younger_token_is_what_a_client_has_moved_on_to() -> None:
    at, later = END - 8 * HOUR, END - 2 * HOUR
    assert warned(END - HOUR, used("old", at), used("new", later, START)) == []
    assert warned(END - HOUR, used("old", at), used("older", later, START - 90 * DAY)) == ["old"]
    assert warned(END - HOUR, used("old", at), used("twin", later, START - 60 * DAY)) == ["old"]


def test_a_client_without_a_name_may_be_the_same_one() -> None:
    at, later = END - 8 * HOUR, END - 2 * HOUR
    assert warned(END - HOUR, used("old", at), new(later, None)) == []
    assert warned(END - HOUR, used("old", at, agent=None), new(later)) == []
    assert warned(END - HOUR, used("old", at), new(later, "another")) == ["old"]

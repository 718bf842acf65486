"""The judge finds every planted fault, and calls nothing a fault that is none."""

import itertools

import pytest

from torture.rules import SLACK, Answer, Fault, Gap, Person, Token, gaps, judge, lost, stuck
from torture.schedule import EDITS, FREEZABLE, TARGETS, steps

PUBLISHED, EXPIRES = 1000.0, 1060.0


def token(**changes: float | str | None) -> Token:
    return Token(**{"id": "t", "published_at": PUBLISHED, "expires_at": EXPIRES, **changes})  # type: ignore[arg-type]


def answer(status: int, sent: float, took: float = 0.01) -> Answer:
    return Answer("t", "api-0", sent, sent + took, status)


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("sent", [PUBLISHED, 1030.0, EXPIRES - SLACK - 0.1])
def test_a_token_rejected_in_its_time_is_found(status: int, sent: float) -> None:
    found = judge(answer(status, sent), token())
    assert found is not None
    assert found.fault is Fault.REJECTED


@pytest.mark.parametrize("sent", [EXPIRES + SLACK + 0.01, EXPIRES + 100])
@pytest.mark.parametrize("status", [200, 201, 404, 409])
def test_a_token_accepted_after_its_expiry_is_found(status: int, sent: float) -> None:
    found = judge(answer(status, sent), token())
    assert found is not None
    assert found.fault is Fault.ACCEPTED


def test_a_revoked_token_accepted_late_is_found() -> None:
    revoked = token(revoke_ordered_at=1020.0, revoked_at=1021.0)
    found = judge(answer(200, 1021.0 + SLACK + 0.01), revoked)
    assert found is not None
    assert found.fault is Fault.ACCEPTED
    assert judge(answer(200, 1021.0 + SLACK - 0.01), revoked) is None


def issued(parent: Token) -> Token:
    return Token("t/0", PUBLISHED + 10, EXPIRES + 3600, parent=parent)


def test_an_access_token_outlives_its_client_secret() -> None:
    access = issued(token(client_id="c"))
    rejected = judge(answer(401, EXPIRES + 100), access)
    assert rejected is not None
    assert rejected.fault is Fault.REJECTED
    assert judge(answer(200, EXPIRES + 100), access) is None


def test_an_access_token_ends_when_its_client_secret_is_revoked() -> None:
    access = issued(token(client_id="c", revoke_ordered_at=1020.0, revoked_at=1021.0))
    accepted = judge(answer(200, 1021.0 + SLACK + 0.01), access)
    assert accepted is not None
    assert accepted.fault is Fault.ACCEPTED
    assert judge(answer(401, 1020.5), access) is None


def test_between_the_order_and_its_effect_either_answer_is_right() -> None:
    ordered = token(revoke_ordered_at=1020.0)
    assert judge(answer(200, 1025.0), ordered) is None
    assert judge(answer(401, 1025.0), ordered) is None
    rejected_before = judge(answer(401, 1019.0), ordered)
    assert rejected_before is not None


def test_a_token_that_nobody_issued_must_never_be_accepted() -> None:
    found = judge(answer(200, 1030.0), token(published_at=None))
    assert found is not None
    assert found.fault is Fault.ACCEPTED
    assert judge(answer(401, 1030.0), token(published_at=None)) is None


@pytest.mark.parametrize("status", [0, 503])
@pytest.mark.parametrize("sent", [PUBLISHED, EXPIRES + 100])
def test_a_service_that_is_not_available_breaks_no_promise(status: int, sent: float) -> None:
    assert judge(answer(status, sent), token()) is None


def test_another_failure_of_the_service_is_found() -> None:
    found = judge(answer(500, 1030.0), token())
    assert found is not None
    assert found.fault is Fault.FAILED


@pytest.mark.parametrize("sent", [EXPIRES - SLACK, EXPIRES, EXPIRES + SLACK])
@pytest.mark.parametrize("status", [200, 401])
def test_within_a_second_of_expiry_either_answer_is_right(status: int, sent: float) -> None:
    assert judge(answer(status, sent), token()) is None


def test_a_request_that_was_answered_after_the_expiry_may_be_refused() -> None:
    assert judge(answer(401, EXPIRES - 2, took=3.0), token()) is None


def test_lost_and_changed_writes_are_found_and_open_ones_are_not() -> None:
    people = [
        Person("kept", "b"),
        Person("open", "b", {"c"}),
        Person("gone", "b"),
        Person("undone", "b"),
    ]
    found = lost(people, {"kept": "b", "open": "c", "gone": None, "undone": "a"})
    assert [one.fault for one in found] == [Fault.LOST, Fault.LOST]
    assert "gone" in found[0].detail
    assert "undone" in found[1].detail


def test_a_time_without_any_valid_token_is_found() -> None:
    first = token()
    second = token(published_at=1040.0, expires_at=1100.0)
    late = token(published_at=1110.0, expires_at=1170.0)
    revoked = token(revoke_ordered_at=1010.0, revoked_at=1010.0)
    assert gaps([second, first], 1090.0) == []
    assert gaps([first, second, late], 1120.0) == [Gap(1100.0, 1110.0)]
    assert gaps([first, second], 1120.0) == [Gap(1100.0, 1120.0)]
    assert gaps([revoked, second], 1090.0) == [Gap(1010.0, 1040.0)]


def test_one_that_is_not_mended_in_time_breaks_a_promise() -> None:
    found = stuck([Gap(1000.0, 1030.0), Gap(1100.0, 1130.1)])
    assert [one.fault for one in found] == [Fault.STUCK]
    assert "1100" in found[0].detail


def test_the_same_seed_plans_the_same_faults_and_a_round_holds_every_kind() -> None:
    kinds = len(TARGETS) + len(FREEZABLE) + len(EDITS)
    one, other = list(itertools.islice(steps(7), 40)), list(itertools.islice(steps(7), 40))
    assert one == other
    assert one != list(itertools.islice(steps(8), 40))
    assert len({(step.action, step.target) for step in one[:kinds]}) == kinds

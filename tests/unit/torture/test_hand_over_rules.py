"""The judge of the hand-over finds every planted fault, and calls nothing a fault that is none."""

import itertools

import pytest

from torture.hand_over_rules import (
    NEXT_LOOK,
    REVOCATION_WAIT,
    Ending,
    Quarantines,
    Succession,
    ended_early,
    judge_entra,
    outlasting,
    unfinished,
)
from torture.rules import SLACK, Answer, Fault, Token
from torture.schedule import HAND_OVER_KINDS, steps

PUBLISHED, EXPIRES = 1000.0, 10_000.0
ALONE = Succession(None, None)
NOT_USED, USED = Succession(1100.0, None), Succession(1100.0, 1200.0)
GOOD = Ending("a", True, "True InUse", "Active", "Succeeded")


def token(**changes: float | str | None) -> Token:
    return Token(**{"id": "t", "published_at": PUBLISHED, "expires_at": EXPIRES, **changes})  # type: ignore[arg-type]


def answer(status: int, answered: float) -> Answer:
    return Answer("t", "entra", answered - 0.01, answered, status)


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("after", [ALONE, NOT_USED, USED])
def test_a_refusal_of_what_nobody_ended_is_found(status: int, after: Succession) -> None:
    found = judge_entra(answer(status, 1500.0), token(), after)
    assert found is not None
    assert found.fault is Fault.REFUSED_TO_ENTRA


def test_what_has_expired_may_be_refused() -> None:
    assert judge_entra(answer(401, EXPIRES + 1), token(), NOT_USED) is None
    assert judge_entra(answer(401, EXPIRES - SLACK - 1), token(), NOT_USED) is not None


def test_a_revocation_may_hold_once_entra_has_used_the_successor() -> None:
    revoked = token(revoke_ordered_at=1150.0)
    before, after = answer(401, 1199.0), answer(401, 1201.0)
    assert judge_entra(before, revoked, USED) is not None
    assert judge_entra(after, revoked, USED) is None
    assert judge_entra(after, revoked, NOT_USED) is not None
    assert judge_entra(after, revoked, ALONE) is not None


def test_a_revocation_waits_for_a_quarter_of_an_hour_after_the_supersession_and_no_longer() -> None:
    revoked = token(revoke_ordered_at=1150.0)
    end = 1100.0 + REVOCATION_WAIT
    assert judge_entra(answer(401, end - SLACK - 1), revoked, NOT_USED) is not None
    assert judge_entra(answer(401, end), revoked, NOT_USED) is None


def test_what_is_refused_before_its_end_was_ordered_is_found() -> None:
    assert judge_entra(answer(401, 1250.0), token(revoke_ordered_at=1300.0), USED) is not None


def test_an_access_token_ends_by_the_order_for_its_client_secret_and_not_by_its_expiry() -> None:
    secret = token(client_id="c", expires_at=1050.0)
    access = Token("t/access", 1040.0, EXPIRES, parent=secret)
    assert judge_entra(answer(401, 1250.0), access, USED) is not None
    secret.revoke_ordered_at = 1150.0
    assert judge_entra(answer(401, 1250.0), access, USED) is None


@pytest.mark.parametrize("status", [0, 503, 200])
def test_an_outage_and_a_service_break_no_promise(status: int) -> None:
    assert judge_entra(answer(status, 1500.0), token(), NOT_USED) is None


def test_another_failure_and_a_revoked_one_that_is_served_are_found() -> None:
    failed = judge_entra(answer(500, 1500.0), token(), NOT_USED)
    served = judge_entra(answer(200, 1500.0), token(revoke_ordered_at=1150.0, revoked_at=1250.0), USED)
    assert failed is not None
    assert failed.fault is Fault.FAILED
    assert served is not None
    assert served.fault is Fault.ACCEPTED


def test_an_end_before_the_successor_was_used_is_found() -> None:
    revoked = token(revoke_ordered_at=1150.0)
    early = ended_early(revoked, 1199.0, USED)
    assert early is not None
    assert early.fault is Fault.ENDED_EARLY
    assert ended_early(revoked, 1201.0, USED) is None
    assert ended_early(token(), 1201.0, USED) is not None
    assert ended_early(token(), EXPIRES, NOT_USED) is None


def looked_at(*looks: tuple[float, bool, bool]) -> Quarantines:
    job = Quarantines("a")
    for now, is_in_quarantine, has_cause in looks:
        job.look(now, is_in_quarantine=is_in_quarantine, has_cause=has_cause)
    return job


def test_a_quarantine_that_outlasts_its_cause_is_found() -> None:
    job = looked_at((0.0, True, True), (50.0, True, False), (50.0 + NEXT_LOOK + 0.1, True, False))
    assert job.number == 1
    assert [one.fault for one in outlasting([job])] == [Fault.QUARANTINED]


def test_a_quarantine_counts_from_the_end_of_the_last_cause() -> None:
    job = looked_at((0.0, True, False), (10.0, True, True), (20.0, True, False), (30.0, True, False))
    assert job.longest == 10.0
    assert outlasting([job]) == []


def test_quarantines_are_counted_each_and_do_not_add_up() -> None:
    job = looked_at(
        (0.0, True, False),
        (10.0, True, False),
        (11.0, False, False),
        (12.0, True, False),
        (20.0, True, False),
    )
    assert (job.number, job.longest) == (2, 10.0)
    assert outlasting([job]) == []


@pytest.mark.parametrize(
    "ending",
    [
        Ending("a", False, "True InUse", "Active", "Succeeded"),
        Ending("a", True, "False NotInUse", "Active", "Succeeded"),
        Ending("a", True, "True InUse", "Quarantine", "Succeeded"),
        Ending("a", True, "True InUse", "Active", "Failed"),
        Ending("a", True, "True InUse", "Active", ""),
    ],
    ids=["another credential", "not told", "quarantine", "failed", "no cycle"],
)
def test_an_application_that_is_not_as_it_should_be_is_found(ending: Ending) -> None:
    assert [one.fault for one in unfinished([GOOD, ending])] == [Fault.NOT_HANDED_OVER]


def test_a_good_ending_is_none_of_them() -> None:
    assert unfinished([GOOD]) == []


def test_a_round_holds_every_fault_of_microsofts_side() -> None:
    found = itertools.islice(steps(7, HAND_OVER_KINDS), len(HAND_OVER_KINDS))
    assert {(step.action, step.target) for step in found} == set(HAND_OVER_KINDS)

"""What the judge is shown of Entra, Secrets and statuses leads to its verdicts."""

import pytest

from torture.edits import Known
from torture.hand_over_judge import HandOverJudge
from torture.hand_over_rules import NEXT_LOOK
from torture.rules import Fault, Token
from torture.wire import Sent

EXPIRES = 10_000.0


@pytest.fixture
def known() -> list[Known]:
    return [
        Known("a", Token("old", 1000.0, EXPIRES), "old-plaintext"),
        Known("a", Token("new", 1100.0, EXPIRES), "new-plaintext"),
        Known("b", Token("other", 1150.0, EXPIRES), "other-plaintext"),
    ]


@pytest.fixture
def judge(known: list[Known]) -> HandOverJudge:
    return HandOverJudge(["a", "b"], known)


def sent(plaintext: str, at: float, status: int = 200, *, was_held: bool = True) -> Sent:
    return Sent(plaintext, at, at + 0.01, status, was_held)


def faults(judge: HandOverJudge) -> list[Fault]:
    return [one.fault for one in judge.violations()]


def test_what_entra_holds_and_is_refused_is_found(judge: HandOverJudge) -> None:
    judge.take([sent("old-plaintext", 1200.0, 401), sent("new-plaintext", 1201.0)])
    judge.judge(1300.0)
    assert faults(judge) == [Fault.REFUSED_TO_ENTRA]
    assert (judge.answers, judge.refused) == (2, 1)
    assert "plaintext" not in judge.violations()[0].detail


def test_an_answer_is_judged_once_and_not_before_its_time(judge: HandOverJudge) -> None:
    judge.take([sent("old-plaintext", 1200.0, 401)])
    judge.judge(1200.0)
    assert faults(judge) == []
    judge.judge(1201.0)
    judge.judge(1202.0)
    assert faults(judge) == [Fault.REFUSED_TO_ENTRA]


def test_the_successor_counts_only_when_entra_held_it_and_only_of_the_same_scimtoken(
    judge: HandOverJudge, known: list[Known]
) -> None:
    known[0].token.revoke_ordered_at = 1110.0
    judge.take([sent("new-plaintext", 1120.0, was_held=False), sent("other-plaintext", 1160.0)])
    judge.take([sent("old-plaintext", 1200.0, 401)])
    judge.judge(1300.0)
    assert faults(judge) == [Fault.REFUSED_TO_ENTRA]
    judge.take([sent("new-plaintext", 1301.0), sent("old-plaintext", 1302.0, 401)])
    judge.judge(1400.0)
    assert faults(judge) == [Fault.REFUSED_TO_ENTRA]


def test_what_was_never_published_and_is_refused_is_found(judge: HandOverJudge) -> None:
    judge.take([sent("strange", 1200.0), sent("strange", 1201.0, 401)])
    judge.judge(1300.0)
    assert faults(judge) == [Fault.REFUSED_TO_ENTRA]


@pytest.mark.parametrize("states", [{"new": "Active"}, {"new": "Active", "old": "Revoked"}])
def test_a_credential_that_leaves_the_status_before_entra_used_its_successor_is_found_once(
    judge: HandOverJudge, states: dict[str, str]
) -> None:
    judge.look_at_states("a", {"new": "Active", "old": "Superseded"}, 1200.0)
    judge.look_at_states("a", {}, 1201.0)
    judge.look_at_states("a", states, 1202.0)
    judge.look_at_states("a", states, 1203.0)
    assert faults(judge) == [Fault.ENDED_EARLY]


def test_an_ordered_end_after_the_successors_use_is_none(judge: HandOverJudge, known: list[Known]) -> None:
    known[0].token.revoke_ordered_at = 1110.0
    judge.take([sent("new-plaintext", 1120.0)])
    judge.look_at_states("a", {"new": "Active", "old": "Superseded"}, 1119.0)
    judge.look_at_states("a", {"new": "Active", "old": "Revoked"}, 1121.0)
    assert faults(judge) == []


def test_a_quarantine_has_a_cause_while_entra_holds_what_has_ended(judge: HandOverJudge) -> None:
    for now in (EXPIRES, EXPIRES + 2 * NEXT_LOOK):
        judge.look_at_job("a", now, "old-plaintext", is_in_quarantine=True, is_disturbed=False)
    assert faults(judge) == []


def test_a_quarantine_without_a_cause_is_found(judge: HandOverJudge) -> None:
    for now in (1200.0, 1200.0 + 2 * NEXT_LOOK):
        judge.look_at_job("a", now, "new-plaintext", is_in_quarantine=True, is_disturbed=False)
        judge.look_at_job("b", now, "other-plaintext", is_in_quarantine=True, is_disturbed=True)
    assert faults(judge) == [Fault.QUARANTINED]

"""One message that a receiver chokes on delays nothing else; a receiver that is not well is probed, not hammered."""

import pytest

from scim_api.delivery.outcome import Outcome, Result
from scim_api.delivery.receiver import ReceiverState, after

DELIVERED, REJECTED = Outcome(Result.DELIVERED), Outcome(Result.REJECTED)
UNREACHABLE = Outcome(Result.UNREACHABLE)


def test_a_poison_message_between_others_causes_no_pause() -> None:
    state = ReceiverState()
    for _ in range(20):
        for outcome in (REJECTED, REJECTED, DELIVERED):
            state = after(state, outcome, state.level, 0)
            assert state.level == 0
            assert state.pause_seconds is None


def test_several_rejections_in_a_row_pause_it() -> None:
    state = ReceiverState()
    for _ in range(3):
        state = after(state, REJECTED, 0, 0)
    assert state == ReceiverState(1, 0, 5.0)


def test_a_receiver_that_is_not_reached_is_paused_at_once_by_the_schedule() -> None:
    state = ReceiverState()
    pauses = []
    for _ in range(4):
        state = after(state, UNREACHABLE, state.level, 0)
        pauses.append(state.pause_seconds)
    assert pauses == [5, 300, 1800, 7200]


@pytest.mark.parametrize("outcome", [UNREACHABLE, REJECTED], ids=["unreachable", "rejected"])
def test_of_many_that_fail_together_one_counts(outcome: Outcome) -> None:
    state = ReceiverState()
    for _ in range(16):
        state = after(state, outcome, 0, 0)
    assert state.level == 1


def test_one_delivery_ends_the_pause() -> None:
    assert after(ReceiverState(5, 0, 18_000.0), DELIVERED, 2, 0) == ReceiverState()


def test_the_rest_that_a_receiver_asks_for_is_kept() -> None:
    slow = Outcome(Result.SLOW_DOWN, "HTTP 429", 120.0)
    assert after(ReceiverState(), slow, 0, 0).pause_seconds == 120
    assert after(ReceiverState(1, 0, 5.0), slow, 1, 0).pause_seconds == 300

"""Whether a receiver as a whole is well, by its last answers: one that is not is probed with one delivery at a time.

A single message that a receiver chokes on must not hold up the others, so one rejection says nothing of the receiver;
several in a row do, and so does a connection that does not come about.
"""

import dataclasses
from collections.abc import Callable
from typing import Final

from scim_api.delivery.outcome import Outcome, Result
from scim_api.delivery.schedule import delay

REJECTIONS: Final = 3
"""In a row, without a delivery between them, after which a receiver counts as not well."""


@dataclasses.dataclass(frozen=True, slots=True)
class ReceiverState:
    """What is known of a receiver."""

    level: int = 0
    """How often in a row a pause ended without success; 0: it is well."""
    rejections: int = 0
    """In a row, while it counts as well."""
    pause_seconds: float | None = None
    """How long it gets nothing, from the outcome on; None: no pause, or none that is new."""


def after(
    state: ReceiverState,
    outcome: Outcome,
    level: int,
    chance: float,
    delay: Callable[[int, float], float] = delay,
) -> ReceiverState:
    """The state after an attempt ended.

    Args:
        state: before.
        outcome: of the attempt.
        level: what the state's was when the attempt began: of many that were under way together, one counts.
        chance: a random number from 0 to 1, for the pause.
        delay: seconds of a pause, by its level and chance.
    """
    if outcome.result is Result.DELIVERED:
        return ReceiverState()
    if state.level > level:
        return state
    rejections = state.rejections + 1
    is_rejection = outcome.result is Result.REJECTED
    if state.level == 0 and is_rejection and rejections < REJECTIONS:
        return ReceiverState(0, rejections)
    reached = state.level + 1
    return ReceiverState(reached, 0, max(delay(reached, chance), outcome.retry_after))

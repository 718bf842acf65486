"""Which fault comes when: a list that depends on the seed alone."""

import dataclasses
import random
from collections.abc import Iterator, Sequence
from typing import Final

POSTGRESQL_FAULTS: Final = (
    "kill api-0", "kill api-1", "kill postgresql", "end connections", "leave open elsewhere", "leave open and commit",
    "leave open and roll back", "restart feed", "restart sql", "restart newcomer", "expire newcomer", "purge a tenant",
    "kill dispatcher-0", "kill dispatcher-1", "restart webhook",
)  # fmt: skip
SQLITE_FAULTS: Final = (
    "kill api-0", "restart feed", "restart newcomer", "expire newcomer", "purge a tenant",
    "kill dispatcher-0", "restart webhook",
)  # fmt: skip
PAUSE_SECONDS: Final = (0.1, 1.6)
"""Between two faults of a short campaign; those that last go on meanwhile."""
SHORT_SECONDS: Final = 100.0
"""In a longer campaign pauses are longer in proportion: it is to get somewhere."""
DOWN_SECONDS: Final = (0.0, 1.5)
OPEN_PART: Final = (0.05, 0.4)
"""Of the campaign's length that a transaction is left open for."""


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One fault."""

    wait: float
    """Seconds before it."""
    fault: str
    seconds: float
    """How long it lasts, for those that last."""


def steps(seed: int, length: float, faults: Sequence[str], rounds: int) -> Iterator[Step]:
    """A campaign's faults. Every kind of fault comes once in each round, in an order of the round's own.

    Args:
        seed: of all choices.
        length: of the campaign, in seconds.
        faults: the kinds.
        rounds: how many.
    """
    dice, longer = random.Random(seed), max(1.0, length / SHORT_SECONDS)
    for _ in range(rounds):
        kinds = list(faults)
        dice.shuffle(kinds)
        for fault in kinds:
            part = dice.uniform(*OPEN_PART) * length
            seconds = part if fault.startswith("leave open") else dice.uniform(*DOWN_SECONDS)
            yield Step(dice.uniform(*PAUSE_SECONDS) * longer, fault, seconds)

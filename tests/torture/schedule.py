"""Which fault comes when: a list that depends on the seed alone."""

import dataclasses
import random
from collections.abc import Iterator
from typing import Final

TARGETS: Final = ("leader", "standby", "api-0", "api-1", "postgresql", "kube-apiserver", "etcd")
FREEZABLE: Final = ("leader", "standby", "api-0", "api-1", "postgresql")
EDITS: Final = ("delete-secret", "overwrite-token", "rotate", "revoke-superseded", "revoke-active")
PAUSE_SECONDS: Final = (0.5, 4.0)
"""Between the end of one fault and the beginning of the next."""
DOWN_SECONDS: Final = (0.0, 3.0)
FROZEN_SECONDS: Final = (1.0, 6.0)


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One fault."""

    wait: float
    """Seconds before it."""
    action: str
    """``kill``, ``freeze`` or ``edit``."""
    target: str
    seconds: float
    """How long it stays killed or frozen."""


def steps(seed: int) -> Iterator[Step]:
    """An endless campaign. Every kind of fault comes once in each round, in an order of the round's own."""
    dice = random.Random(seed)
    while True:
        kinds = [
            *(("kill", target) for target in TARGETS),
            *(("freeze", target) for target in FREEZABLE),
            *(("edit", edit) for edit in EDITS),
        ]
        dice.shuffle(kinds)
        for action, target in kinds:
            length = {"kill": DOWN_SECONDS, "freeze": FROZEN_SECONDS}.get(action, (0.0, 0.0))
            yield Step(dice.uniform(*PAUSE_SECONDS), action, target, dice.uniform(*length))

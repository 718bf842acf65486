"""Which fault comes when: a list that depends on the seed alone."""

import dataclasses
import random
from collections.abc import Iterator
from typing import Final

TARGETS: Final = ("leader", "standby", "api-0", "api-1", "postgresql", "kube-apiserver", "etcd")
FREEZABLE: Final = ("leader", "standby", "api-0", "api-1", "postgresql")
EDITS: Final = (
    "delete-secret", "overwrite-token", "take-owner-reference", "rotate", "revoke-superseded", "revoke-active",
    "recreate", "spec-from-the-future", "change-auth-type",
)  # fmt: skip
PAUSE_SECONDS: Final = (0.5, 4.0)
"""Between the end of one fault and the beginning of the next."""
DOWN_SECONDS: Final = (0.0, 3.0)
FROZEN_SECONDS: Final = (1.0, 6.0)
STANDBY_SECONDS: Final = (0.0, 3.0)
"""How long the database's name leads to a standby before it is promoted."""
READ_ONLY_SECONDS: Final = (1.0, 6.0)
HAND_OVER_TARGETS: Final = ("leader", "standby", "api-0", "api-1")
HAND_OVER_EDITS: Final = (
    "rotate", "revoke-superseded", "revoke-active", "revoke-all-before", "change-auth-type",
)  # fmt: skip
GRAPH_FAULTS: Final = (
    "404", "stale", "401", "429", "429-retry-after", "409", "500", "502", "503", "504", "nested", "hanging", "latency",
    "closed", "closed-after", "503-after",
)  # fmt: skip
"""Answers of Graph's; those with ``after`` come when the request was carried out."""
GRAPH_SECONDS: Final = (1.0, 6.0)
AWAY_SECONDS: Final = (4.0, 7.0)
"""Longer than the three cycles that lead to quarantine."""


LENGTHS: Final = {
    "kill": DOWN_SECONDS,
    "freeze": FROZEN_SECONDS,
    "fail-over": STANDBY_SECONDS,
    "read-only": READ_ONLY_SECONDS,
    "graph": GRAPH_SECONDS,
    "login": GRAPH_SECONDS,
    "drop": AWAY_SECONDS,
    "away": AWAY_SECONDS,
}


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One fault."""

    wait: float
    """Seconds before it."""
    action: str
    """``kill``, ``freeze``, ``edit``, ``fail-over``, ``read-only`` or ``restore``; with hand-over also ``graph``,
    ``login``, ``drop``, ``away`` and ``paste``."""
    target: str
    seconds: float
    """How long it lasts."""


KINDS: Final = (
    *(("kill", target) for target in TARGETS),
    *(("freeze", target) for target in FREEZABLE),
    *(("edit", edit) for edit in EDITS),
    ("fail-over", "postgresql"),
    ("read-only", "postgresql"),
    ("restore", "another-uid"),
)
HAND_OVER_KINDS: Final = (
    *(("kill", target) for target in HAND_OVER_TARGETS),
    *(("freeze", target) for target in HAND_OVER_TARGETS),
    *(("edit", edit) for edit in HAND_OVER_EDITS),
    *(("graph", fault) for fault in GRAPH_FAULTS),
    ("login", "down"),
    ("drop", "saves"),
    ("away", "endpoint"),
    ("paste", "older"),
    ("paste", "ended"),
)


def steps(seed: int, every: tuple[tuple[str, str], ...] = KINDS) -> Iterator[Step]:
    """An endless campaign. Every kind of fault comes once in each round, in an order of the round's own."""
    dice = random.Random(seed)
    while True:
        kinds = list(every)
        dice.shuffle(kinds)
        for action, target in kinds:
            length = LENGTHS.get(action, (0.0, 0.0))
            yield Step(dice.uniform(*PAUSE_SECONDS), action, target, dice.uniform(*length))

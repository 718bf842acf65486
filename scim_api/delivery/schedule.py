"""When a delivery is tried again (Standard Webhooks 1.0.0, "Retries")."""

from typing import Final

_MINUTE: Final = 60.0
_HOUR: Final = 3600.0
DAY: Final = 24 * _HOUR
DELAYS: Final = (
    5.0, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR, 5 * _HOUR, 10 * _HOUR, 14 * _HOUR, 20 * _HOUR, DAY,
)  # fmt: skip
"""Seconds after the first failure, the second, and so on; the last one again and again."""
JITTER: Final = 0.1
"""Part of a delay by which it is longer, at most, so that what failed together does not come together."""


def delay(failures: int, chance: float) -> float:
    """Seconds until the next attempt.

    Args:
        failures: attempts that failed in a row, from 1.
        chance: a random number from 0 to 1.
    """
    return DELAYS[min(failures, len(DELAYS)) - 1] * (1 + JITTER * chance)

"""How long to wait before something is tried again."""

import dataclasses
import random
from collections.abc import Callable


@dataclasses.dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential, and random in part, so that what failed together does not come back together."""

    first: float
    """Seconds of the full pause after the first failure; each further failure doubles it."""
    longest: float
    """Seconds of the full pause at most."""
    jitter: float = 0.5
    """Which part of a pause is random: 0 for none, 1 for all of it."""
    rand: Callable[[], float] = random.random
    """Uniform in [0, 1)."""

    def seconds(self, failures: int) -> float:
        """The pause after so many failures in a row, counted from 1."""
        full = min(self.longest, self.first * 2.0 ** min(failures - 1, 32))
        return full * (1 - self.jitter) + full * self.jitter * self.rand()

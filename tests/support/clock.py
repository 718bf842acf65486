"""A clock for tests."""


class Clock:
    """Seconds that stand still until a test moves them.

    Args:
        now: where it begins.
    """

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """The time."""
        return self.now

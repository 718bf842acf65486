"""A rate with a burst, as a token bucket. Pure: the clock is the caller's."""


class TokenBucket:
    """Holds up to a burst of tokens and gains some each second; full at the beginning.

    Args:
        burst: tokens at the beginning.
        now: seconds of the caller's clock, which never goes back.
    """

    __slots__ = ("_at", "tokens")

    def __init__(self, burst: float, now: float) -> None:
        self.tokens = float(burst)
        self._at = now

    def take(self, amount: float, *, burst: float, rate: float, now: float) -> float:
        """Take ``amount`` if there is one token at least; more than there are leaves a debt.

        Rate and burst are given each time, for they may change while the bucket lives.

        Returns:
            0.0 when they were taken, else the seconds after which there is a token.
        """
        self.tokens = min(float(burst), self.tokens + (now - self._at) * rate)
        self._at = now
        if self.tokens >= 1.0:
            self.tokens -= amount
            return 0.0
        return (1.0 - self.tokens) / rate

    def charge(self, amount: float) -> None:
        """Take ``amount`` whatever there is; more than there is leaves a debt."""
        self.tokens -= amount

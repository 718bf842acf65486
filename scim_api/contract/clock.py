"""The clock by which waits, leases and caches are measured."""

import time


def _best_clock() -> int | None:
    """Of the system's clocks, the one that counts on while the machine sleeps; None where there is none.

    Linux: ``CLOCK_BOOTTIME``. macOS: ``CLOCK_MONOTONIC``, which counts on there, unlike ``time.monotonic()``.
    """
    clock: int | None = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))
    return clock


_CLOCK = _best_clock()


def boot_time() -> float:
    """Seconds of a clock that never goes back and counts on while the machine sleeps.

    A cache must not look fresh, nor a lease held, after a suspension. Where no such clock is to be had
    (Windows), this is ``time.monotonic()``.
    """
    return time.monotonic() if _CLOCK is None else time.clock_gettime(_CLOCK)

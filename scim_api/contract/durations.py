"""Durations as a ScimToken and the command line have them, one grammar for both halves: ``60s``, ``30m``, ``12h``, ``90d``."""

import re
from datetime import timedelta
from typing import Final

PATTERN: Final = r"^[1-9][0-9]{0,8}[smhd]$"
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
SHORTEST: Final = timedelta(seconds=60)
LONGEST: Final = timedelta(days=3650)


def parse_duration(text: str) -> timedelta:
    """Read ``90d`` or ``12h``.

    Raises:
        ValueError: the text has another form; the message shows the right one.
    """
    if re.fullmatch(PATTERN, text) is None:
        raise ValueError(f"{text!r} is not a duration: write a number and s, m, h or d, such as 90d or 12h")
    return timedelta(seconds=int(text[:-1]) * _SECONDS[text[-1]])

"""Durations of a ScimToken's spec: ``60s``, ``30m``, ``12h``, ``90d``; for the overlap also ``untilExpiry`` and
``untilInUse``.

One grammar for everybody: the pattern and the limits come from ``scim_api.contract.durations``, and the CEL text that
the CRD carries is made from the same numbers here.
"""

import enum
from datetime import timedelta
from typing import Final

from scim_api.contract.durations import LONGEST, PATTERN, SHORTEST, parse_duration

__all__ = [
    "LONGEST",
    "OVERLAP_PATTERN",
    "PATTERN",
    "SHORTEST",
    "Until",
    "cel_seconds",
    "format_duration",
    "parse_duration",
    "parse_overlap",
]


class Until(enum.StrEnum):
    """An overlap without a length of its own."""

    EXPIRY = "untilExpiry"
    """A superseded token lives to its own end."""
    IN_USE = "untilInUse"
    """It ends when its successor was used and it was not for a while (``planning.until_in_use``)."""


NO_OVERLAP: Final = "0s"
OVERLAP_PATTERN: Final = rf"^({'|'.join(Until)}|{NO_OVERLAP}|{PATTERN.strip('^$')})$"
_UNITS: Final = {"d": 86400, "h": 3600, "m": 60, "s": 1}


def parse_overlap(text: str) -> timedelta | Until:
    """Read an overlap.

    Raises:
        ValueError: the text has another form; the message shows the right one.
    """
    if text in set(Until):
        return Until(text)
    if text == NO_OVERLAP:
        return timedelta()
    return parse_duration(text)


def format_duration(duration: timedelta) -> str:
    """Write a duration of whole seconds in its largest even unit: 7776000 s is ``90d``."""
    seconds = int(duration.total_seconds())
    unit, size = next((u, n) for u, n in _UNITS.items() if seconds % n == 0 and (seconds or u == "s"))
    return f"{seconds // size}{unit}"


def cel_seconds(value: str) -> str:
    """CEL text for the seconds of the duration that the CEL text ``value`` names; it must match ``PATTERN``.

    CEL's own ``duration()`` does not know days, and ``cel.bind`` is missing in CRDs: hence text, expanded.
    """
    units = ", ".join(f"'{unit}': {size}" for unit, size in reversed(_UNITS.items()))
    return f"int({value}.find('^[0-9]+')) * {{{units}}}[{value}.substring(size({value}) - 1)]"

"""Texts for a terminal: nothing that others wrote can move the cursor or change a colour, and times as people say them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""C0 and C1 controls, and what changes the direction of what follows."""
_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def plain(value: object) -> str:
    r"""A value as text that a terminal shows as it is: controls become ``\x1b``."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), str(value))


def moment(text: object) -> datetime | None:
    """A time of the API server; None for what is none."""
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def length(duration: timedelta) -> str:
    """A duration in its largest unit: ``89 d``, ``3 h``."""
    seconds = abs(duration.total_seconds())
    size, unit = next(((size, unit) for size, unit in _UNITS if seconds >= size), _UNITS[-1])
    return f"{int(seconds // size)} {unit}"


def seen(then: datetime | None, now: datetime, never: str = "never") -> str:
    """``3 h ago``, ``in 89 d``."""
    if then is None:
        return never
    if abs(then - now) < timedelta(seconds=1):
        return "now"
    return f"in {length(then - now)}" if then > now else f"{length(now - then)} ago"


def stamp(then: datetime) -> str:
    """RFC 3339, UTC, whole seconds."""
    return then.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

"""Texts for a page: what others wrote stays text, and times as people say them. Pure."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from markupsafe import Markup

_CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""C0 and C1 controls but tab and newline, and what changes the direction of what follows."""
_UNITS: Final = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def plain(value: object) -> object:
    r"""A value as a page shows it: what would move or turn other text becomes ``\u202e``.

    Jinja calls it with each expression, before it escapes what means something in HTML; ``Markup`` stays as it is.
    """
    if value is None:
        return ""
    if isinstance(value, Markup):
        return value
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), str(value))


def length(duration: timedelta) -> str:
    """A duration in its largest unit: ``89 days``, ``1 hour``."""
    seconds = abs(duration.total_seconds())
    size, unit = next(((size, unit) for size, unit in _UNITS if seconds >= size), _UNITS[-1])
    number = int(seconds // size)
    return f"{number} {unit}{'' if number == 1 else 's'}"


def distance(then: datetime, now: datetime) -> str:
    """``3 hours ago``, ``in 89 days``."""
    if abs(then - now) < timedelta(seconds=1):
        return "now"
    return f"in {length(then - now)}" if then > now else f"{length(now - then)} ago"


def stamp(then: datetime) -> str:
    """RFC 3339, UTC, whole seconds."""
    return then.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def absolute(then: datetime | None, never: str = "never") -> str | Markup:
    """A time as an element that the page's script writes in the local zone."""
    if then is None:
        return never
    utc = then.astimezone(UTC)
    return Markup('<time datetime="{0}" title="{0}">{1}</time>').format(
        stamp(then), utc.strftime("%d %b %Y, %H:%M UTC")
    )


def relative(then: datetime | None, now: datetime, never: str = "never") -> str | Markup:
    """A time as its distance from now, with the time itself on hover."""
    if then is None:
        return never
    return Markup('<time datetime="{0}" title="{0}" data-relative>{1}</time>').format(
        stamp(then), distance(then, now)
    )

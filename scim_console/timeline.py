"""The lives of credentials on one line of time, as percent of its width. Pure."""

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from scim_console.model import Credential

_STEPS: Final = (
    *(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 180, 360, 720)),
    *(timedelta(days=days) for days in (1, 2, 7, 14, 30, 61, 91, 182, 365, 730)),
)
_TICKS: Final = 8
"""At most so many on a line."""
_HOURS: Final = timedelta(hours=36)
"""Up to here a scale has hours, and days beyond."""
_LEAST: Final = timedelta(seconds=10)


@dataclasses.dataclass(frozen=True, slots=True)
class Tick:
    """A time on the scale."""

    x: float
    at: datetime


@dataclasses.dataclass(frozen=True, slots=True)
class Bar:
    """A credential's life. All positions are percent of the line."""

    credential: Credential
    start: float
    end: float
    """100 where it has no end."""
    superseded: float | None
    """From where on another one is in the Secret."""
    used: float | None
    """Its last use."""
    has_end: bool
    now: float

    @property
    def active_end(self) -> float:
        """Where its time in the Secret ends."""
        return self.end if self.superseded is None else min(max(self.superseded, self.start), self.end)

    @property
    def spent_active(self) -> float:
        """How far its time in the Secret has passed."""
        return min(self.active_end, self.now)

    @property
    def spent(self) -> float:
        """How far its life has passed."""
        return min(self.end, self.now)


@dataclasses.dataclass(frozen=True, slots=True)
class Timeline:
    """All of one ScimToken."""

    now: float
    bars: Sequence[Bar]
    ticks: Sequence[Tick]
    unit: Literal["hour", "day", "month"]
    """What the scale tells apart."""

    @property
    def form(self) -> str:
        """Of the ticks, for ``strftime``."""
        return {"hour": "%H:%M", "day": "%d %b", "month": "%b %Y"}[self.unit]


def timeline(credentials: Sequence[Credential], now: datetime) -> Timeline | None:
    """Where everything is drawn; None: no credential has a time.

    Args:
        credentials: in the order of their rows.
        now: the time; it is on the line, wherever the credentials are.
    """
    shown = [one for one in credentials if one.issued_at is not None]
    if not shown:
        return None
    moments = [now, *(at for one in shown for at in (one.issued_at, _end(one)) if at is not None)]
    first, last = min(moments), max(moments)
    margin = max(last - first, _LEAST) * 0.04
    first, last = first - margin, last + margin
    whole = last - first

    def place(at: datetime) -> float:
        return round(100 * min(max((at - first) / whole, 0.0), 1.0), 2)

    bars = []
    for one in shown:
        assert one.issued_at is not None  # noqa: S101 (those are left out)
        end = _end(one)
        bars.append(
            Bar(
                one,
                start=place(one.issued_at),
                end=100.0 if end is None else place(end),
                superseded=None if one.superseded_at is None else place(one.superseded_at),
                used=None if one.last_used_at is None else place(one.last_used_at),
                has_end=end is not None,
                now=place(now),
            )
        )
    unit: Literal["hour", "day", "month"] = (
        "hour" if whole < _HOURS else "day" if whole < timedelta(days=300) else "month"
    )
    return Timeline(place(now), bars, [Tick(place(at), at) for at in _ticks(first, last)], unit)


def _end(one: Credential) -> datetime | None:
    """A trust has none: it ends when it is taken back."""
    return None if one.kind == "WorkloadIdentity" else one.ends_at


def _ticks(first: datetime, last: datetime) -> Sequence[datetime]:
    whole = last - first
    steps = [one for one in _STEPS if whole < _HOURS or one >= timedelta(days=1)]
    step = next((one for one in steps if whole / one <= _TICKS), whole / _TICKS)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    at = epoch + ((first - epoch) // step + 1) * step
    found = []
    while at < last:
        found.append(at)
        at += step
    return found

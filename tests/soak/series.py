"""Measurements over time, and whether they stay flat. Pure.

The slope is Theil and Sen's: the median of the slopes between all pairs of points. A few peaks, such as a checkpoint or a
vacuum, do not move it, and a leak can't hide behind them.
"""

import dataclasses
import statistics
from collections.abc import Iterable, Sequence
from typing import Final

_MOST_POINTS: Final = 240
"""Pairs grow with the square; longer series are judged by the medians of this many stretches."""
Point = tuple[float, float]
"""Seconds since the beginning, and the value."""


@dataclasses.dataclass(frozen=True, slots=True)
class Allowance:
    """How much something may grow from the end of the warm-up to the end and still be called flat."""

    amount: float
    """In the unit of the series."""
    share: float = 0.0
    """And so much of its median."""


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one series."""

    name: str
    unit: str
    first: float
    """The median of the first tenth after the warm-up."""
    last: float
    """The median of the last tenth."""
    most: float
    growth: float
    """The slope times the time that was judged."""
    allowed: float

    @property
    def is_flat(self) -> bool:
        """Whether it grew by no more than is allowed."""
        return self.growth <= self.allowed


def slope(points: Sequence[Point]) -> float:
    """How much the value grows in a second; 0 of fewer than two points."""
    thinned = _thinned(points)
    slopes = [
        (after - before) / (late - early)
        for number, (early, before) in enumerate(thinned)
        for late, after in thinned[number + 1 :]
        if late > early
    ]
    return statistics.median(slopes) if slopes else 0.0


def judged(name: str, unit: str, points: Iterable[Point], warm_up: float, allowance: Allowance) -> Verdict:
    """Judge one series.

    Args:
        name: what it is of.
        unit: of its values.
        points: in the order of their times.
        warm_up: seconds at the beginning that do not count.
        allowance: what it may grow by.

    Raises:
        ValueError: fewer than ten points are left, which say nothing.
    """
    settled = [point for point in points if point[0] >= warm_up]
    if len(settled) < 10:
        raise ValueError(f"{name}: {len(settled)} measurements after {warm_up:.0f} s are too few to judge")
    values = [value for _, value in settled]
    tenth = max(1, len(values) // 10)
    return Verdict(
        name,
        unit,
        first=statistics.median(values[:tenth]),
        last=statistics.median(values[-tenth:]),
        most=max(values),
        growth=slope(settled) * (settled[-1][0] - settled[0][0]),
        allowed=allowance.amount + allowance.share * statistics.median(values),
    )


def table(verdicts: Iterable[Verdict]) -> str:
    """For people, in Markdown."""
    lines = [
        "| what | at first | at the end | most | grew by | may grow by | |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    lines += [
        f"| {one.name} | {_shown(one.first)} {one.unit} | {_shown(one.last)} {one.unit} | {_shown(one.most)} "
        f"| {one.growth:+.2f} | {one.allowed:.2f} | {'flat' if one.is_flat else '**GROWS**'} |"
        for one in verdicts
    ]
    return "\n".join(lines)


def _shown(value: float) -> str:
    return f"{value:.0f}" if value >= 1000 or value == int(value) else f"{value:.1f}"


def _thinned(points: Sequence[Point]) -> Sequence[Point]:
    if len(points) <= _MOST_POINTS:
        return points
    stretches = [
        points[number * len(points) // _MOST_POINTS : (number + 1) * len(points) // _MOST_POINTS]
        for number in range(_MOST_POINTS)
    ]
    return [
        (statistics.median(at for at, _ in stretch), statistics.median(value for _, value in stretch))
        for stretch in stretches
    ]

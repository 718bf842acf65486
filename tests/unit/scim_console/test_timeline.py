"""Where the lives of credentials are drawn."""

from datetime import timedelta

import pytest

from scim_console.timeline import timeline
from support.played_source import NOW, credential


def test_bars_keep_the_order_of_their_times() -> None:
    old = credential(
        "old", "Superseded", issued_at=NOW - timedelta(days=80), superseded_at=NOW - timedelta(days=30)
    )
    line = timeline([credential(), old], NOW)
    assert line is not None
    active, superseded = line.bars
    assert 0 < superseded.start < active.start < line.now < active.end < 100
    assert superseded.active_end == pytest.approx(active.start)
    assert active.active_end == active.end
    assert active.spent == active.spent_active == line.now
    assert active.used is not None
    assert active.start < active.used < line.now


def test_what_has_ended_is_spent_to_its_end() -> None:
    line = timeline([credential(ends_at=NOW - timedelta(days=1))], NOW)
    assert line is not None
    assert line.bars[0].spent == line.bars[0].end < line.now


def test_a_trust_goes_on_to_the_edge() -> None:
    line = timeline([credential(kind="WorkloadIdentity", ends_at=NOW + timedelta(days=1))], NOW)
    assert line is not None
    assert (line.bars[0].end, line.bars[0].has_end) == (100.0, False)


def test_a_time_outside_of_the_line_is_at_its_edge() -> None:
    line = timeline([credential(last_used_at=NOW - timedelta(days=900))], NOW)
    assert line is not None
    assert line.bars[0].used == 0.0


@pytest.mark.parametrize("life", [timedelta(0), timedelta(seconds=1), timedelta(minutes=2), timedelta(hours=3), timedelta(days=2), timedelta(days=90), timedelta(days=1095), timedelta(days=36500)])  # fmt: skip
def test_any_life_has_a_scale_that_is_readable(life: timedelta) -> None:
    line = timeline([credential(issued_at=NOW, ends_at=NOW + life, last_used_at=None)], NOW)
    assert line is not None
    assert (life > timedelta(minutes=1)) <= len(line.ticks) <= 8
    places = [tick.x for tick in line.ticks]
    assert places == sorted(set(places))
    assert all(0 <= place <= 100 for place in places)
    assert line.now < line.bars[0].end or life <= timedelta(seconds=1)


def test_without_a_time_there_is_no_line() -> None:
    assert timeline([], NOW) is None
    assert timeline([credential(issued_at=None)], NOW) is None

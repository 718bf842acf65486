"""What stays flat is told from what leaks, whatever noise and peaks lie upon it."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soak.series import Allowance, judged, slope, table

HOUR = 3600.0


def points(of: Callable[[float], float], count: int = 360, hours: float = 1.0) -> list[tuple[float, float]]:
    return [(at, of(at)) for at in (number * hours * HOUR / count for number in range(count))]


def test_noise_and_peaks_are_flat() -> None:
    noise = random.Random(7)
    series = points(lambda at: 60 + noise.gauss(0, 0.5) + (20 if int(at) % 300 < 20 else 0))
    assert judged("memory", "MiB", series, 600, Allowance(2)).is_flat


def test_a_leak_of_a_kibibyte_a_second_is_found_under_noise_and_peaks() -> None:
    noise = random.Random(7)
    series = points(lambda at: 60 + at / 1024 + noise.gauss(0, 0.5) + (20 if int(at) % 300 < 20 else 0))
    verdict = judged("memory", "MiB", series, 600, Allowance(2))
    assert not verdict.is_flat
    assert verdict.growth == pytest.approx((HOUR - 610) / 1024, rel=0.1)


def test_a_sawtooth_is_flat_whatever_tooth_it_ends_in() -> None:
    for end in range(300, 360):
        series = points(lambda at: 10 + (at % 400) / 40)[:end]
        assert judged("WAL", "MiB", series, 600, Allowance(3)).is_flat


def test_what_grows_while_it_warms_up_alone_is_flat() -> None:
    series = points(lambda at: min(70.0, 40 + at / 30))
    assert judged("memory", "MiB", series, 900, Allowance(0.5)).is_flat
    assert not judged("memory", "MiB", series[:90], 0, Allowance(0.5)).is_flat


def test_what_shrinks_is_flat() -> None:
    assert judged("table", "MiB", points(lambda at: 90 - at / 100), 0, Allowance(0)).is_flat


def test_a_share_of_the_median_is_allowed_beside_the_amount() -> None:
    verdict = judged("table", "MiB", points(lambda _at: 200.0), 0, Allowance(1, share=0.05))
    assert verdict.allowed == pytest.approx(11)


def test_a_long_series_is_judged_as_the_short_one_is() -> None:
    long = points(lambda at: 60 + at / 1024, count=20_000)
    assert slope(long) == pytest.approx(1 / 1024)


@given(st.floats(-5, 5), st.floats(0, 1000), st.integers(2, 600))
def test_the_slope_of_a_line_is_its_slope(rise: float, begin: float, count: int) -> None:
    assert slope([(float(at), begin + rise * at) for at in range(count)]) == pytest.approx(rise, abs=1e-6)


def test_too_few_measurements_are_no_verdict() -> None:
    with pytest.raises(ValueError, match="memory: 9 measurements after 600 s are too few"):
        judged("memory", "MiB", [(600.0 + at, 1.0) for at in range(9)], 600, Allowance(1))


def test_the_table_names_what_grows() -> None:
    flat = judged("memory of api-0", "MiB", points(lambda _at: 61.25), 0, Allowance(2))
    leak = judged("descriptors of api-0", "", points(lambda at: 20 + at // 60), 0, Allowance(2))
    lines = table([flat, leak]).splitlines()
    assert lines[2].endswith("| flat |")
    assert lines[3].endswith("| **GROWS** |")
    assert "61.2 MiB" in lines[2]

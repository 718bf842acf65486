"""A clock that counts on while the machine sleeps, on every system that has one."""

import importlib
import time
from collections.abc import Iterator
from types import ModuleType

import pytest

from scim_api.contract import clock


@pytest.fixture
def reloaded(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module, to be loaded anew by the test; as it was afterwards."""
    yield clock
    monkeypatch.undo()
    importlib.reload(clock)


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="only Linux has this clock")
def test_on_linux_it_is_the_clock_that_counts_suspensions() -> None:
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert before <= clock.boot_time() <= time.clock_gettime(time.CLOCK_BOOTTIME)
    assert time.CLOCK_BOOTTIME == clock._CLOCK


def test_on_macos_it_is_the_monotonic_clock_of_the_system(
    reloaded: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(time, "CLOCK_BOOTTIME", raising=False)
    importlib.reload(reloaded)

    before = time.clock_gettime(time.CLOCK_MONOTONIC)
    assert before <= reloaded.boot_time() <= time.clock_gettime(time.CLOCK_MONOTONIC)


def test_on_windows_it_is_pythons_monotonic_clock(
    reloaded: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(time, "CLOCK_BOOTTIME", raising=False)
    monkeypatch.delattr(time, "CLOCK_MONOTONIC", raising=False)
    monkeypatch.delattr(time, "clock_gettime", raising=False)
    importlib.reload(reloaded)

    before = time.monotonic()
    assert before <= reloaded.boot_time() <= time.monotonic()

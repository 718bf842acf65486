"""Fixtures shared by all areas of the tests live in tests/support."""

import os
import signal
import sys

import pytest

pytest_plugins = [
    "support.cluster",
    "support.installed",
    "support.postgres",
    "support.slow_search",
    "support.stack",
]
LONGEST_FIRST = ("e2e", "console", "docs", "operator", "chart", "api", "bench", "unit")


def pytest_configure() -> None:
    """A shell starts what goes on in the background deaf to Ctrl-C, and so is all that this starts: tests that press it
    need ears.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Two at a time, the areas with long tests begin, so that none of these is the last."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        tests = config.rootpath / "tests"
        items.sort(key=lambda item: LONGEST_FIRST.index(item.path.relative_to(tests).parts[0]))


def pytest_collection_finish() -> None:
    """Hypothesis makes its table of Unicode's characters once for a checkout, in more than a second: here,
    and not within a test's first example, whose slowness would count as that test's failure.
    """
    if "hypothesis" in sys.modules:
        from hypothesis import strategies

        strategies.text().validate()

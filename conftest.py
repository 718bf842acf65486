"""Fixtures shared by all areas of the tests live in tests/support."""

import os
import signal
import sys

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

pytest_plugins = [
    "support.cluster",
    "support.installed",
    "support.postgres",
    "support.slow_search",
    "support.sqlite",
    "support.stack",
]
TOGETHER = {"tests/e2e/test_secrets_nowhere.py": "tests/e2e/test_demo.py"}
"""Files that go to the worker of another one, for what both look at takes a minute and a half: two runs of the demo."""
LONGEST_FIRST = ("e2e", "console", "docs", "operator", "chart", "api", "bench", "unit")


def pytest_configure() -> None:
    """A shell starts what goes on in the background deaf to Ctrl-C, and so is all that this starts: tests that press it
    need ears.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


class TogetherScheduling(LoadFileScheduling):
    """Each file has one worker, as with ``--dist loadfile``; some files share one."""

    def _split_scope(self, nodeid: str) -> str:
        path = super()._split_scope(nodeid)
        return TOGETHER.get(path, path)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> TogetherScheduling:
    """In the place of xdist's own."""
    return TogetherScheduling(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Several at a time, the areas with long tests begin, so that none of these is the last."""
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

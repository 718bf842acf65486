"""The demo, run for the tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from localcluster import Tools
from support.demo_run import NewDemo, Runs, demos, written_by


@pytest.fixture
def new_demo(tools: Tools, tmp_path: Path) -> Iterator[NewDemo]:
    """Makes demos for one test."""
    with demos(tmp_path) as make:
        yield make


@pytest.fixture(scope="session")
def runs(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """Both ways to run it, side by side, which they must bear: each waits a minute for a token to expire."""
    with demos(tmp_path_factory.mktemp("runs")) as make:
        plain, kept = make(), make()
        plain.start()
        kept.start("--keep")
        codes = plain.wait(), kept.wait()
        yield Runs(plain, kept, codes, written_by(kept))

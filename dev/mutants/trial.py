"""Running tests on one fault, in a process of its own that begins with the libraries loaded.

A process is forked for each fault, so that nothing of ours is loaded before the fault is there, and pytest and the
libraries, which take longer than most of the tests, are loaded only once.
"""

import contextlib
import importlib
import json
import multiprocessing
import os
import resource
import shutil
import sys
import time
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import Phase, settings

from mutants.mutations import Mutant
from mutants.targets import ROOT, TOO_SLOW

COPIED: Final = ("operator", "scim_api", "tests", "dev", "docs", "crds", "conftest.py", "pyproject.toml")
LIBRARIES: Final = (
    "asyncpg", "cryptography", "fastapi", "httpx", "hypothesis.strategies", "jwt", "kopf", "kubernetes", "orjson",
    "prometheus_client", "pydantic_settings", "pytest_asyncio", "scim2_models", "scim2_server.service", "structlog",
)  # fmt: skip
EXAMPLES: Final = 25
"""Of each property: a fault that so few do not show is one that a plain test should."""
MEMORY_BYTES: Final = 4 * 2**30
"""A loop that a fault made endless ends."""
SPARE_SECONDS: Final = 15
_FORK: Final = multiprocessing.get_context("fork")


def load_libraries() -> None:
    """What each trial would load otherwise."""
    for name in LIBRARIES:
        importlib.import_module(name)


class Watch:
    """A pytest plugin: few examples, the same each time; the quick tests first; how long each took.

    Args:
        seconds: of each test, as measured before; empty to measure.
        files: the test files in the order wanted; the first mirrors the module.
    """

    def __init__(self, seconds: dict[str, float], files: list[str]) -> None:
        self.seconds: dict[str, float] = {}
        self._known, self._files = seconds, files

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out the slowest, bound the properties, and order."""
        items[:] = [item for item in items if item.name not in TOO_SLOW]
        for item in items:
            function: Any = getattr(item, "obj", None)
            bounds = getattr(function, "_hypothesis_internal_use_settings", None)
            if bounds is not None:
                function._hypothesis_internal_use_settings = settings(  # noqa: SLF001 - what @settings sets
                    bounds,
                    max_examples=min(EXAMPLES, bounds.max_examples),
                    derandomize=True,
                    deadline=None,
                    phases=(Phase.explicit, Phase.generate),
                )
        own = self._files[0]
        items.sort(key=lambda item: (not item.nodeid.startswith(own), self._known.get(item.nodeid, 0.0)))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add up set-up, call and tear-down."""
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration


class Workspace:
    """A copy of the project that holds one fault at a time.

    Args:
        directory: where the copy is made.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._writes = 0
        for name in COPIED:
            source, target = ROOT / name, directory / name
            if source.is_dir():
                ignored = shutil.ignore_patterns("__pycache__", ".*", "node_modules")
                shutil.copytree(source, target, ignore=ignored)
            elif source.exists():
                shutil.copy2(source, target)

    def put(self, mutant: Mutant, source: bytes) -> None:
        """Write the fault."""
        self._write(mutant.path, mutant.applied(source))

    def restore(self, mutant: Mutant, source: bytes) -> None:
        """Take it out again."""
        self._write(mutant.path, source)

    def _write(self, path: str, content: bytes) -> None:
        """Each time with another time: Python takes compiled code by that and the size."""
        file = self._directory / path
        file.write_bytes(content)
        self._writes += 2
        moment = 1_000_000_000 + self._writes
        os.utime(file, (moment, moment))

    def start(self, files: list[str], seconds: dict[str, float]) -> "Trial":
        """Begin to run these tests."""
        process = _FORK.Process(target=_run, args=(self._directory, files, seconds), daemon=True)
        process.start()
        return Trial(process, self._directory)


class Trial:
    """Tests that are running."""

    def __init__(self, process: ForkProcess, directory: Path) -> None:
        self.process, self._directory = process, directory
        self.started = time.monotonic()

    @property
    def output(self) -> str:
        """What pytest has printed."""
        return (self._directory / "output.txt").read_text(errors="replace")

    @property
    def seconds(self) -> dict[str, float]:
        """How long each test took."""
        measured: dict[str, float] = json.loads((self._directory / "seconds.json").read_text())
        return measured

    def stop(self) -> None:
        """End it and wait for its end."""
        self.process.kill()
        self.process.join()


def _run(directory: Path, files: list[str], seconds: dict[str, float]) -> None:
    """In the forked process: all of ours comes from the copy."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    os.chdir(directory)
    output = os.open("output.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(output, stream)
    sys.path[:] = [entry for entry in sys.path if not entry.startswith(str(ROOT)) or ".venv" in entry]
    for name in [name for name in sys.modules if name.split(".")[0] == "mutants"]:
        del sys.modules[name]
    watch = Watch(seconds, files)
    options = ["-x", "-q", "--noconftest", "-p", "no:cacheprovider", "-p", "no:randomly", "--tb=line"]
    code = pytest.main([*options, *files], plugins=[watch])
    with contextlib.suppress(OSError):
        Path("seconds.json").write_text(json.dumps(watch.seconds))
    os._exit(int(code))

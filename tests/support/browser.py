"""A real Chromium, and axe, which judges pages by WCAG: the machine's, or else installed once.

Chromium hangs together with some hundred of Debian's packages, so it is installed and not unpacked: as root by apt-get, with
``python -m support.browser``, which `make test` runs first. axe-core is one file from npm, pinned by the lock in ``axe/``.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, Page, sync_playwright

from support.debian import CACHE

_LOCKED: Final = Path(__file__).resolve().parent / "axe"
_FILES: Final = ("package.json", "package-lock.json")
RULES: Final = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")
"""WCAG 2.0 to 2.2, levels A and AA."""


class NotThere(Exception):
    """A program is missing and can't be installed here; the message says what to do."""


def chromium() -> str:
    """Debian's chromium, installed when missing. Raises ``NotThere``."""
    return _installed("chromium", "chromium", "fonts-liberation")


def axe() -> str:
    """The source of axe-core, fetched once. Raises ``NotThere``, or ``CalledProcessError`` of npm."""
    place = CACHE / "axe"
    source = place / "node_modules/axe-core/axe.min.js"
    wanted = (_LOCKED / "package-lock.json").read_bytes()
    lock = place / "package-lock.json"
    if not (source.exists() and lock.exists() and lock.read_bytes() == wanted):
        npm = _installed("npm", "npm")
        place.mkdir(parents=True, exist_ok=True)
        for name in _FILES:
            shutil.copy(_LOCKED / name, place)
        subprocess.run(
            [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
            cwd=place,
            check=True,
        )
    return source.read_text(encoding="utf-8")


@contextlib.contextmanager
def running_browser() -> Iterator[Browser]:
    """Chromium without a window. Its tests are no coroutines: Playwright has a loop of its own."""
    with sync_playwright() as playwright:
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=chromium(), args=sandbox)
        try:
            yield browser
        finally:
            browser.close()


def violations(page: Page) -> list[str]:
    """What axe finds on a page, each with the elements that it is about."""
    page.evaluate(axe())
    found: dict[str, Any] = page.evaluate(
        "rules => axe.run(document, {runOnly: {type: 'tag', values: rules}, resultTypes: ['violations']})",
        RULES,
    )
    return [
        f"{one['id']} ({one['help']}): {[node['html'][:160] for node in one['nodes'][:3]]}"
        for one in found["violations"]
    ]


def _installed(program: str, *packages: str) -> str:
    if found := shutil.which(program):
        return found
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise NotThere(
            f"no {program}: install it (Debian: sudo apt-get install {program}), or run this as root"
        )
    settings = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = [
        "apt-get",
        "install",
        "--yes",
        "--no-install-recommends",
        "-o",
        "DPkg::Lock::Timeout=300",
        *packages,
    ]
    for command in (install, ["apt-get", "update"], install):
        done = subprocess.run(command, env=settings, capture_output=True, text=True, check=False)
        if found := shutil.which(program):
            return found
    raise NotThere(f"apt-get can't install {program}: {done.stderr.strip()[-300:]}")


if __name__ == "__main__":
    try:
        chromium()
        axe()
    except NotThere as error:
        sys.exit(str(error))

"""The operator, frozen with SIGSTOP the moment its reconcile reaches the step that a file names.

Run as: python freezing_operator.py FILE, with the settings of ``scim-operator run``. The file may come at any
time; it is removed when it has worked. After a SIGCONT the operator goes on.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from scim_api.contract import logging
from scim_operator import app
from scim_operator.settings import load


def freezer(order: Path) -> Callable[[str], None]:
    """A trace that stops this very process at the step that ``order`` names."""

    def trace(reached: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            if order.read_text(encoding="ascii") == reached:
                order.unlink()
                os.kill(os.getpid(), signal.SIGSTOP)

    return trace


if __name__ == "__main__":
    settings = load()
    logging.configure(settings.log_level)
    asyncio.run(app.run(settings, trace=freezer(Path(sys.argv[1]))))

"""The operator, killed with SIGKILL the moment its reconcile reaches a named step.

Run as: python crashing_operator.py STEP, with the settings of ``scim-operator run``. A step ``name:2`` is
the second time that ``name`` is reached.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable

from scim_api.contract import logging
from scim_operator import app
from scim_operator.settings import load


def killer(step: str) -> Callable[[str], None]:
    """A trace that ends this very process at ``step``."""
    name, _, count = step.partition(":")
    left = int(count or 1)

    def trace(reached: str) -> None:
        nonlocal left
        if reached == name:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return trace


if __name__ == "__main__":
    settings = load()
    logging.configure(settings.log_level)
    asyncio.run(app.run(settings, trace=killer(sys.argv[1])))

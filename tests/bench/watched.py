"""``scim-api`` with a watch on its event loop: what of a second nobody else is answered.

Run by ``bench.teams`` in the place of ``scim_api.cli.main``. A task asks to be woken every millisecond; what it is late
by is how long something held the loop, or the interpreter, or the machine the processor. The longest of it goes into
the file that ``WATCHED`` names when the process gets SIGUSR1, and is then counted anew.
"""

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Final

from scim_api.cli.main import main
from scim_api.server import serve as server
from scim_api.server.settings import ApiSettings

TICK: Final = 0.001
_serve = server.serve


class Watch:
    """The longest time between two turns of the loop, beyond a tick.

    Args:
        path: of the file for it, in milliseconds.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._longest = path, 0.0

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            began = time.perf_counter()
            await asyncio.sleep(TICK)
            self._longest = max(self._longest, time.perf_counter() - began - TICK)

    def report(self) -> None:
        """Write it, at once and whole, and begin anew."""
        written = self._path.with_suffix(".new")
        written.write_text(f"{self._longest * 1000:.1f}")
        written.replace(self._path)
        self._longest = 0.0


async def _watched(settings: ApiSettings) -> None:
    watch = Watch(Path(os.environ["WATCHED"]))
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, watch.report)
    watching = asyncio.create_task(watch.run())
    try:
        await _serve(settings)
    finally:
        watching.cancel()


if __name__ == "__main__":
    server.serve = _watched
    main()

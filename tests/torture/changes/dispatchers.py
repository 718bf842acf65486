"""Dispatchers as real processes that can be killed, and the webhooks that they deliver."""

import asyncio
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Final

from scim_api.contract.sealing import seal
from scim_api.contract.signing_secret import new_secret
from scim_api.delivery.key_file import read_sealing_key, write_key
from scim_api.store.change_log import CHANGE_RETENTION
from scim_api.store.errors import StoreError
from scim_api.store.webhooks import SealedSecret, WebhookSettings
from support.dispatcher_process import DELIVERING
from torture.changes.client import Unanswered
from torture.changes.rules import Fault, Violation
from torture.changes.world import World

_SCRIPT: Final = Path(__file__).parents[2] / "support" / "dispatcher_process.py"
LEASE_SECONDS: Final = 3.0
"""Enough for a busy machine: one that loses its lease to a slow turn has its messages sent again."""
TIMEOUT_SECONDS: Final = 2
_WATCH_SECONDS: Final = 0.1
NAMESPACE: Final = "demo"


class Dispatchers:
    """So many of them, and their webhooks; whoever ends without being killed, as without a database, is started again.

    Args:
        world: whose database they are at.
        names: of the processes.
    """

    def __init__(self, world: World, names: tuple[str, ...]) -> None:
        self._world = world
        self._key = world.directory / "webhook.key"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._started: dict[str, int] = {}
        """Where the log of each process begins."""
        self.failed: list[Violation] = []
        self._names, self._down = names, set[str]()
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to deliver."""
        await asyncio.to_thread(write_key, self._key)
        self._watching = asyncio.create_task(self._watch())

    async def add(self, name: str, tenant: str, url: str, types: Collection[str]) -> str:
        """A webhook of a tenant, which is sent what is committed from now on; the signing secret."""
        secret = new_secret()
        sealed = SealedSecret(seal(secret, read_sealing_key(self._key), f"{NAMESPACE}/{name}"))
        wanted = WebhookSettings(tenant, url, frozenset(types), timeout_seconds=TIMEOUT_SECONDS)
        async with self._world.store() as store:
            await store.webhooks.create(NAMESPACE, name, wanted, sealed)
        return secret

    async def stop(self) -> None:
        """End them."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        for process in self._processes.values():
            process.kill()
            await asyncio.to_thread(process.wait)

    async def kill(self, name: str, seconds: float) -> None:
        """SIGKILL, and start it again after so many seconds."""
        self._down.add(name)
        process = self._processes.pop(name, None)
        if process is not None:
            process.kill()
            await asyncio.to_thread(process.wait)
        await asyncio.sleep(seconds)
        self._down.discard(name)

    async def backlog(self, name: str) -> int:
        """Changes that are still to be sent to a webhook. Raises ``Unanswered``."""
        try:
            async with self._world.store() as store:
                webhook = await store.webhooks.get(NAMESPACE, name, CHANGE_RETENTION)
        except StoreError as error:
            raise Unanswered(str(error)) from error
        return webhook.backlog.events

    async def _watch(self) -> None:
        while True:
            for name in self._names:
                process = self._processes.get(name)
                if name not in self._down and (process is None or process.poll() is not None):
                    if process is not None:
                        self._judge(name, process.returncode)
                    self._processes[name] = self._start(name)
            await asyncio.sleep(_WATCH_SECONDS)

    def _judge(self, name: str, code: int) -> None:
        """One may end by itself when it finds no database at its start, and never later."""
        lines = self._log(name).read_bytes()[self._started[name] :].decode(errors="replace").splitlines()
        if DELIVERING in lines:
            self.failed.append(Violation(Fault.FAILED, f"{name} ended by itself with {code}: {lines[-1:]}"))

    def _log(self, name: str) -> Path:
        return self._world.directory / f"{name}.log"

    def _start(self, name: str) -> subprocess.Popen[bytes]:
        argv = [sys.executable, str(_SCRIPT), self._world.url, str(self._key), str(LEASE_SECONDS)]
        with self._log(name).open("ab") as log:
            self._started[name] = log.tell()
            return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

"""PostgreSQL as a pair, one name for whichever is the primary, and what can happen to it."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

from localcluster.ports import free_port
from support.cut import Relay
from support.postgres import OwnServer, execute

RESTART_SECONDS: Final = 60.0
SETTINGS: Final = {
    # A commit is acknowledged when the standby has it: what a failover must not lose.
    "synchronous_standby_names": "*",
    "synchronous_commit": "remote_apply",
    "wal_retrieve_retry_interval": "200ms",
}


class Database:
    """A primary and its hot standby, reached by one name that leads to the primary.

    Args:
        directory: for the files of both.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._servers = 0
        self.primary, self._standby = self._new(), self._new()
        self._name: Relay | None = None

    def _new(self) -> OwnServer:
        directory = Path(tempfile.mkdtemp(prefix="pg-", dir=self._directory))
        directory.chmod(0o700)
        self._servers += 1
        return OwnServer(directory, ("127.0.0.1", free_port()), SETTINGS)

    @property
    def url(self) -> str:
        """Of the database, by the name."""
        assert self._name is not None
        return f"postgresql://postgres@127.0.0.1:{self._name.port}/postgres?sslmode=disable"

    def start(self) -> None:
        """Start both."""
        self.primary.initialise()
        self.primary.start()
        self._standby.copy_from(self.primary)
        self._standby.start()

    def stop(self) -> None:
        """End both."""
        for server in (self._standby, self.primary):
            server.stop()

    @contextlib.asynccontextmanager
    async def named(self) -> AsyncIterator[None]:
        """The name works as long as the block runs."""
        async with Relay(*self._address_of(self.primary)) as self._name:
            yield

    async def fail_over(self, seconds: float) -> None:
        """The primary is killed, the name leads to the standby, which takes no writes for so many seconds and is
        promoted then; it gets a standby of its own.
        """
        assert self._name is not None
        former, self.primary = self.primary, self._standby
        await asyncio.to_thread(former.kill)
        self._name.lead_to(*self._address_of(self.primary))
        await asyncio.sleep(seconds)
        await execute(self.primary.url, "SELECT pg_promote(true)")
        await asyncio.to_thread(self._replace_standby, former)

    async def read_only(self, seconds: float) -> None:
        """Every transaction is read-only by default for so many seconds."""
        await self._default("on")
        try:
            await asyncio.sleep(seconds)
        finally:
            await self._default("off")

    async def _default(self, value: str) -> None:
        statement = f"ALTER SYSTEM SET default_transaction_read_only = {value}"
        await execute(self.primary.url, statement, "SELECT pg_reload_conf()")

    def restart(self) -> None:
        """Start the primary after a kill."""
        self.primary.start_again(RESTART_SECONDS)

    def _replace_standby(self, former: OwnServer) -> None:
        shutil.rmtree(former.directory, ignore_errors=True)
        self._standby = self._new()
        self._standby.copy_from(self.primary)
        self._standby.start()

    @staticmethod
    def _address_of(server: OwnServer) -> tuple[str, int]:
        assert server.address is not None
        return server.address


@contextlib.contextmanager
def database() -> Iterator[Database]:
    """A pair that runs; it ends with the block, and its files go."""
    # Directly below /tmp: a socket's path has at most 107 bytes.
    directory = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    directory.chmod(0o755)
    made = Database(directory)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(directory, ignore_errors=True)

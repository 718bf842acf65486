"""A PostgreSQL server for tests: our own, of the newest version or TEST_POSTGRES_VERSION, or the one of TEST_POSTGRES_URL.

Each test gets a fresh, migrated database, copied from a template within some 15 ms.
"""

import asyncio
import contextlib
import dataclasses
import functools
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg
import pytest

from support.memory import new_directory
from support.postgres_versions import program, wanted

START_SECONDS = 30.0
STOP_SECONDS = 20.0
UNPRIVILEGED = "nobody"
"""PostgreSQL refuses to run as root; then this user runs it."""


@dataclasses.dataclass
class PostgresServer:
    """A server that is up, with a maintenance URL that may create databases."""

    url: str
    own: "OwnServer | None" = None
    """Set when the server is ours: it may be stopped and started for fault tests."""

    def url_of(self, database: str) -> str:
        """The URL of another database on this server."""
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{database}"))


class OwnServer:
    """A server of our own in a private directory, reached through a socket there.

    Args:
        directory: private to it.
        address: and at this address and port too, with a password, for pods.
        settings: of the server, beside those it always gets.
        version: major; the one that the tests run with when there is none.
    """

    def __init__(
        self,
        directory: Path,
        address: tuple[str, int] | None = None,
        settings: Mapping[str, str] = MappingProxyType({}),
        version: str | None = None,
    ) -> None:
        self.directory, self.address, self._settings = directory, address, settings
        self._program = functools.partial(program, version=version or wanted())
        self._process: subprocess.Popen[bytes] | None = None
        self._user = UNPRIVILEGED if os.geteuid() == 0 else None

    @property
    def url(self) -> str:
        """Of the maintenance database."""
        port = f"&port={self.address[1]}" if self.address else ""
        return f"postgresql://postgres@/postgres?host={quote(str(self.directory), safe='')}{port}"

    def initialise(self) -> None:
        """Make the cluster's files."""
        if self._user is not None:
            account = pwd.getpwnam(self._user)
            os.chown(self.directory, account.pw_uid, account.pw_gid)
        arguments = ("--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync")
        done = subprocess.run(
            [self._program("initdb"), "-D", str(self.directory / "data"), *arguments],
            user=self._user, cwd=self.directory, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"initdb failed: {done.stderr}")
        if self.address is not None:
            with (self.directory / "data" / "pg_hba.conf").open("a") as rules:
                rules.write("host all all all scram-sha-256\n")

    def copy_from(self, primary: "OwnServer") -> None:
        """Make the cluster's files a copy of a running server's, to which this one will be a hot standby."""
        if self._user is not None:
            account = pwd.getpwnam(self._user)
            os.chown(self.directory, account.pw_uid, account.pw_gid)
        port = ("-p", str(primary.address[1])) if primary.address else ()
        done = subprocess.run(
            [
                self._program("pg_basebackup"), "-D", str(self.directory / "data"), "-h", str(primary.directory), *port,
                "-U", "postgres", "--write-recovery-conf", "--checkpoint=fast", "--no-sync",
            ],
            user=self._user, cwd=self.directory, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"pg_basebackup failed: {done.stderr}")
        at = f"host={primary.directory} user=postgres" + (
            f" port={primary.address[1]}" if primary.address else ""
        )
        with (self.directory / "data" / "postgresql.auto.conf").open("a") as settings:
            # What pg_basebackup wrote may have parameters that an older server does not know.
            settings.write(f"primary_conninfo = '{at}'\n")

    def start(self) -> None:
        """Start and wait until it answers."""
        options = {
            "listen_addresses": "", "unix_socket_directories": str(self.directory),
            "max_connections": "60", "shared_buffers": "32MB", "fsync": "on", **self._settings,
        }  # fmt: skip
        if self.address is not None:
            options |= {"listen_addresses": self.address[0], "port": str(self.address[1])}
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program("postgres"), "-D", str(self.directory / "data"), *settings],
                user=self._user, cwd=self.directory, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        while not asyncio.run(_answers(self.url)):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {(self.directory / 'log').read_text()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Fast shutdown: clients are disconnected; harmless when it is down."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(STOP_SECONDS)
        self._process = None

    def kill(self) -> None:
        """SIGKILL the server, which takes its connections' processes with it: what a crash looks like."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_SECONDS)
            self._process = None

    def kill_all(self) -> None:
        """SIGKILL every process of the server: not one of them is left to end anything in order."""
        for pid in reversed(self.pids()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.kill()

    def start_again(self, seconds: float = START_SECONDS) -> None:
        """Start after a kill: until the processes of the killed server have noticed, they hold its shared memory.

        Raises:
            RuntimeError: it did not start within ``seconds``.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.start()
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
            else:
                return

    def pids(self) -> list[int]:
        """The server's process and its children's, as they are now."""
        if self._process is None:
            return []
        task = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        return [self._process.pid, *(int(pid) for pid in task.read_text().split())]


async def _answers(url: str) -> bool:
    try:
        connection = await asyncpg.connect(url, timeout=5)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
    await connection.close()
    return True


async def execute(url: str, *statements: str) -> None:
    """Run statements, each outside a transaction, on a connection of their own."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@contextlib.contextmanager
def own_server(
    address: tuple[str, int] | None = None,
    settings: Mapping[str, str] = MappingProxyType({}),
    *,
    on_disk: bool = False,
    version: str | None = None,
) -> Iterator[PostgresServer]:
    """A server of one's own, for tests that stop it, or that reach it from pods at this address and port.

    Args:
        address: where it listens, beside its socket.
        settings: more of the server's.
        on_disk: whether commits are to wait for a disk.
        version: major; the one that the tests run with when there is none.
    """
    directory = new_directory("pg-", on_disk=on_disk)
    server = OwnServer(directory, address, settings, version)
    try:
        server.initialise()
        server.start()
        yield PostgresServer(server.url, server)
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def standby_of(primary: PostgresServer, address: tuple[str, int]) -> Iterator[PostgresServer]:
    """A hot standby of a server of one's own, at an address of its own; ``pg_promote()`` makes it a primary."""
    assert primary.own is not None
    directory = new_directory("pg-")
    server = OwnServer(directory, address)
    try:
        server.copy_from(primary.own)
        server.start()
        yield PostgresServer(server.url, server)
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The session's server."""
    given = os.environ.get("TEST_POSTGRES_URL")
    if given:
        yield PostgresServer(given)
        return
    with own_server() as server:
        yield server


@pytest.fixture(scope="session")
def _postgres_template(postgres_server: PostgresServer) -> Iterator[str]:
    """A migrated database to copy from."""
    from scim_api.store.migrate import migrate

    name = f"template_{secrets.token_hex(6)}"

    async def prepare() -> None:
        await execute(postgres_server.url, f"CREATE DATABASE {name}")
        await migrate(postgres_server.url_of(name))

    asyncio.run(prepare())
    yield name
    asyncio.run(execute(postgres_server.url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))


@contextlib.asynccontextmanager
async def fresh_database(server: PostgresServer, template: str = "template1") -> AsyncIterator[str]:
    """The URL of a new database, dropped at the end."""
    name = f"test_{secrets.token_hex(6)}"
    await execute(server.url, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    try:
        yield server.url_of(name)
    finally:
        await execute(server.url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture
async def postgres_url(postgres_server: PostgresServer, _postgres_template: str) -> AsyncIterator[str]:
    """A fresh database with the schema."""
    async with fresh_database(postgres_server, _postgres_template) as url:
        yield url


@pytest.fixture
async def empty_postgres_url(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """A fresh database without anything."""
    async with fresh_database(postgres_server) as url:
        yield url

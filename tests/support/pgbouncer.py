"""A real PgBouncer in front of a test's server; from the machine, or else from Debian's packages."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from localcluster.ports import free_port
from support.debian import debian_program
from support.postgres import UNPRIVILEGED, OwnServer


@contextlib.contextmanager
def pgbouncer(server: OwnServer, mode: str, sessions: int = 3) -> Iterator[str]:
    """The URL of the server's maintenance database through a pooler.

    Args:
        server: where it leads to.
        mode: ``transaction`` or ``session``.
        sessions: of the server, for all clients together.
    """
    program = debian_program("pgbouncer", "libc-ares2", "libevent-2.1-7")
    directory = Path(tempfile.mkdtemp(prefix="pgb-", dir="/tmp"))
    directory.chmod(0o755)
    port = free_port()
    (directory / "pgbouncer.ini").write_text(
        f"[databases]\n* = host={server.directory} user=postgres\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
        f"pool_mode = {mode}\ndefault_pool_size = {sessions}\nmax_client_conn = 100\n"
    )
    installed = Path("/tmp") / directory.name / "pgbouncer"
    shutil.copy(program.path, installed)  # the cache may be in a home that nobody else may read
    copies = directory / "lib"
    copies.mkdir()
    for place in program.libraries:
        for library in place.glob("*.so.*"):
            shutil.copy(library, copies)
    user = UNPRIVILEGED if os.geteuid() == 0 else None
    if user:
        account = pwd.getpwnam(user)
        os.chown(directory, account.pw_uid, account.pw_gid)
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(installed), str(directory / "pgbouncer.ini")], user=user, stdout=log, stderr=log,
            env={**os.environ, "LD_LIBRARY_PATH": str(copies)},
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 20
        while f"listening on 127.0.0.1:{port}" not in (directory / "log").read_text():
            assert process.poll() is None, (directory / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=disable"
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(directory, ignore_errors=True)

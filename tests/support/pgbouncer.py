"""A real PgBouncer in front of a test's server; from the machine, or else from Debian's packages."""

import contextlib
import functools
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.postgres import UNPRIVILEGED, OwnServer
from support.serve_process import free_port

PACKAGES = ("pgbouncer", "libc-ares2", "libevent-2.1-7")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scim-operator" / "pgbouncer"


@functools.cache
def _program() -> tuple[str, str]:
    """PgBouncer, and a directory of libraries for it. Skips only on a machine without it and without apt-get."""
    if found := shutil.which("pgbouncer"):
        return found, ""
    if not (CACHE / "usr/sbin/pgbouncer").exists():
        if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
            pytest.skip("no pgbouncer: install it (this machine has no apt-get to do so)")
        with tempfile.TemporaryDirectory() as directory:
            _download(directory)
            for package in Path(directory).glob("*.deb"):
                subprocess.run(["dpkg-deb", "-x", str(package), f"{directory}/root"], check=True)
            CACHE.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(f"{directory}/root", CACHE, dirs_exist_ok=True)
    libraries = sorted({str(path.parent) for path in CACHE.rglob("*.so.*")})
    return str(CACHE / "usr/sbin/pgbouncer"), ":".join(libraries)


def _download(directory: str) -> None:
    """Fetch the packages; a machine that has never asked which there are asks now, as root may."""
    for first in ([], ["apt-get", "update"]):
        if first:
            subprocess.run(first, capture_output=True, check=False)
        done = subprocess.run(
            ["apt-get", "download", *PACKAGES], cwd=directory, capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            return
    raise RuntimeError(f"apt-get can't download pgbouncer; install it: {done.stderr.strip()[-200:]}")


@contextlib.contextmanager
def pgbouncer(server: OwnServer, mode: str, sessions: int = 3) -> Iterator[str]:
    """The URL of the server's maintenance database through a pooler.

    Args:
        server: where it leads to.
        mode: ``transaction`` or ``session``.
        sessions: of the server, for all clients together.
    """
    program, libraries = _program()
    directory = Path(tempfile.mkdtemp(prefix="pgb-", dir="/tmp"))
    directory.chmod(0o755)
    port = free_port()
    (directory / "pgbouncer.ini").write_text(
        f"[databases]\n* = host={server.directory} user=postgres\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
        f"pool_mode = {mode}\ndefault_pool_size = {sessions}\nmax_client_conn = 100\n"
    )
    installed = Path("/tmp") / directory.name / "pgbouncer"
    shutil.copy(program, installed)  # the cache may be in a home that nobody else may read
    copies = directory / "lib"
    copies.mkdir()
    for place in filter(None, libraries.split(":")):
        for library in Path(place).glob("*.so.*"):
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

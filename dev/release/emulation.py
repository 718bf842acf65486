"""Programs of another architecture, run by QEMU for as long as they are needed (binfmt_misc).

The system's own registration is used where there is one, as after ``apt-get install qemu-user-static`` on a system that
has systemd or binfmt-support. Elsewhere root mounts and registers, and takes both back.
"""

import contextlib
import platform
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from release.commands import run
from release.errors import ReleaseError

BINFMT: Final = Path("/proc/sys/fs/binfmt_misc")
MACHINES: Final[Mapping[str, str]] = {"x86_64": "amd64", "aarch64": "arm64"}
QEMU: Final[Mapping[str, str]] = {"amd64": "qemu-x86_64-static", "arm64": "qemu-aarch64-static"}
NAME: Final = "scim-operator-{architecture}"
_ELF: Final[Mapping[str, int]] = {"amd64": 0x3E, "arm64": 0xB7}


def native() -> str:
    """This machine's architecture as images name it. Raises ``ReleaseError`` when none of ours runs here."""
    try:
        return MACHINES[platform.machine()]
    except KeyError:
        raise ReleaseError(
            f"releases are built on amd64 or arm64, and this is {platform.machine()}"
        ) from None


def registration(architecture: str, interpreter: str) -> bytes:
    """What is written to ``register``: little-endian ELF programs of 64 bits for Linux, with the interpreter held open
    (F), so that it is found in any root directory.
    """
    magic = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00" + bytes((_ELF[architecture], 0))
    mask = b"\xff" * 7 + b"\x00" + b"\xff" * 8 + b"\xfe\xff\xff\xff"
    escaped = ("".join(f"\\x{byte:02x}" for byte in part) for part in (magic, mask))
    return f":{NAME.format(architecture=architecture)}:M::{':'.join(escaped)}:{interpreter}:F".encode()


def refuse_without(architecture: str) -> None:
    """Raises ``ReleaseError`` when nothing here could run programs of this architecture."""
    if architecture != native() and not _registered(architecture) and not shutil.which(QEMU[architecture]):
        raise ReleaseError(
            f"programs for {architecture} can't be run here: apt-get install qemu-user-static. See RELEASE.md, What "
            "make release needs"
        )


@contextlib.contextmanager
def emulated(architecture: str) -> Iterator[None]:
    """Programs of this architecture (``amd64`` or ``arm64``) run within the block.

    Raises:
        ReleaseError: they can't be made to run; with what to do.
    """
    if architecture == native() or _registered(architecture):
        yield
        return
    refuse_without(architecture)
    interpreter = shutil.which(QEMU[architecture]) or ""
    mounted = not (BINFMT / "register").exists()
    if mounted:
        run(["mount", "-t", "binfmt_misc", "binfmt_misc", str(BINFMT)])
    try:
        if _registered(architecture):
            yield
            return
        try:
            (BINFMT / "register").write_bytes(registration(architecture, interpreter))
        except OSError as error:
            raise ReleaseError(
                f"programs for {architecture} can't be run here (binfmt_misc: {error}): build on a machine where root "
                "may register them, or install qemu-user-static there"
            ) from error
        try:
            yield
        finally:
            (BINFMT / NAME.format(architecture=architecture)).write_text("-1")
    finally:
        if mounted:
            with contextlib.suppress(subprocess.SubprocessError):
                subprocess.run(["umount", str(BINFMT)], check=False)


def _registered(architecture: str) -> bool:
    """Whether the system has an interpreter for it, whatever its name."""
    wanted = f"{_ELF[architecture]:02x}00"
    for path in BINFMT.iterdir() if BINFMT.is_dir() else ():
        if path.name in ("register", "status"):
            continue
        text = path.read_text()
        magic = next((line[6:] for line in text.splitlines() if line.startswith("magic ")), "")
        if text.startswith("enabled") and magic.startswith("7f454c46") and magic.endswith(wanted):
            return True
    return False

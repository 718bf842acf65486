"""Programs as OpenShift's ``restricted-v2`` runs them: a uid that nobody has heard of, and nothing to write to.

Group 0 and the volume's group, no capability, no ``HOME``, a read-only root file system; a directory stands for the
pod's volumes. In a mount namespace of its own, so that nobody else sees any of it.
"""

import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

UID = 1_000_650_000
_LIMITS = f"--reuid={UID} --regid=0 --groups={UID} --bounding-set=-all --inh-caps=-all --ambient-caps=-all --no-new-privs"
ROOT = Path(__file__).resolve().parents[2]


def obstacle() -> str | None:
    """Why it can't be done here, or None."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "needs Linux and root"
    missing = [name for name in ("unshare", "setpriv", "mount") if shutil.which(name) is None]
    return f"needs {', '.join(missing)}" if missing else None


def volume(directory: Path) -> None:
    """Give a directory, with all that is in it, to the volume's group, as ``fsGroup`` does."""
    for path in (directory, *directory.rglob("*")):
        os.chown(path, -1, UID)
        path.chmod(0o2770 if path.is_dir() else 0o660)


def confined(directory: Path) -> tuple[str, ...]:
    """What to write in front of a program's command line; it can write into ``directory`` and ``/dev/shm`` alone."""
    needed = sorted({Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve(), ROOT})
    covered = [(needed_one, top) for needed_one in needed for top in _hidden(needed_one)]
    keep, put_back = [], []
    for number, (path, _) in enumerate(covered):
        place, kept = shlex.quote(str(path)), f'"$kept/{number}"'
        keep.append(f"mkdir {kept}; mount --bind {place} {kept}")
        put_back.append(f"mkdir -p {place}; mount --bind {kept} {place}; umount {kept}")
    script = "\n".join(
        [
            "set -eu",
            f"mount --bind {shlex.quote(str(directory))} {shlex.quote(str(directory))}",
            "kept=$(mktemp -d -p /dev/shm)",
            *keep,
            *(
                f"mount -t tmpfs -o mode=755 none {shlex.quote(str(top))}"
                for top in {top for _, top in covered}
            ),
            *put_back,
            'rm -r "$kept"',
            "mount -o remount,bind,ro /",
            f"unset HOME; export TMPDIR={shlex.quote(str(directory))}",
            f'exec setpriv {_LIMITS} "$@"',
        ]
    )
    return ("unshare", "--mount", "--propagation=private", "sh", "-c", script, "confined")


def _hidden(path: Path) -> Iterator[Path]:
    """The first directory on the way that others may not pass, if there is one."""
    for parent in (*reversed(path.parents), path):
        if not parent.stat().st_mode & 0o001:
            yield parent
            return

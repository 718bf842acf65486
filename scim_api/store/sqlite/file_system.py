"""Which file system an SQLite file is on, and whether SQLite can rely on it.

SQLite's write-ahead log wants memory shared by all who have the file open, locks that hold and flushes that
reach the disk. On file systems of a network two pods on two nodes can have the file open, without seeing each
other's locks (https://sqlite.org/wal.html, https://sqlite.org/useovernet.html).
"""

import re
from pathlib import Path
from typing import Final

MOUNTS: Final = Path("/proc/self/mountinfo")

_NETWORK: Final = frozenset(
    {
        "9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs",
        "nfs", "nfs4", "ocfs2", "orangefs", "pvfs2", "quobyte", "smb3", "smbfs", "wekafs",
    }
)  # fmt: skip
_LOCAL_FUSE: Final = frozenset(
    {"fuse.fuse-overlayfs", "fuse.lxcfs", "fuse.ntfs", "fuse.ntfs-3g", "fuse.exfat"}
)


def is_network(kind: str) -> bool:
    """Whether a file system of this type (as in ``/proc/self/mountinfo``) is one of a network.

    Most that are served by a process (``fuse.sshfs``, ``fuse.s3fs``, ``fuse.juicefs``) are, or promise no more.
    """
    return kind in _NETWORK or (kind.startswith("fuse.") and kind not in _LOCAL_FUSE)


def kind_of(path: str, mounts: str) -> tuple[str, str] | None:
    """Type and mount point of the file system that an absolute path is on; None when no line tells.

    Args:
        path: without symbolic links.
        mounts: the text of ``/proc/self/mountinfo``: proc(5).
    """
    found: tuple[str, str] | None = None
    for line in mounts.splitlines():
        fields, separator, rest = line.partition(" - ")
        words = fields.split(" ")
        if not separator or len(words) < 5:
            continue
        point = _unescaped(words[4])
        below = point in {"/", path} or path.startswith(f"{point}/")
        if below and (found is None or len(point) >= len(found[1])):  # of two at one place, the later covers
            found = rest.split(" ")[0], point
    return found


def network_warning(file: Path, mounts: Path | None = None) -> str | None:
    """What to tell about a database file on a network; None when there is nothing to tell, or no way to know."""
    try:
        text = (mounts or MOUNTS).read_text(encoding="utf-8", errors="surrogateescape")
        found = kind_of(str(file.resolve()), text)
    except OSError:
        return None
    if found is None or not is_network(found[0]):
        return None
    return (
        f"{file} is on {found[0]} (mounted at {found[1]}), where SQLite can't rely on locks and flushes: "
        "use a volume that one node has for itself (a block device, access mode ReadWriteOnce), or PostgreSQL; "
        "`scim-api copy` moves the data"
    )


def _unescaped(word: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), word)

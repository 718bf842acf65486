"""Directories in memory: a database there is made in a twentieth of the time, and nobody waits for a disk.

What a killed process has written is there afterwards as on a disk.
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

_DISK: Final = Path("/tmp")
_MEMORY: Final = Path("/dev/shm")
_MEMORY_BYTES: Final = 2**30
"""What must be free there."""


def new_directory(prefix: str, *, on_disk: bool = False) -> Path:
    """A new directory of its maker's alone, in memory where there is room.

    Args:
        prefix: of its name; short, because a socket's path has at most 107 bytes.
        on_disk: whether what is written there is to wait for a disk.
    """
    in_memory = (
        not on_disk and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _MEMORY_BYTES
    )
    directory = Path(tempfile.mkdtemp(prefix=prefix, dir=_MEMORY if in_memory else _DISK))
    directory.chmod(0o700)
    return directory

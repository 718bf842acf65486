"""The dispatcher's key as a file: its private half for who delivers, either half for who creates webhooks."""

import os
import stat
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from scim_api.contract.sealing import DispatcherKeys, SealError, new_private_key, public_pem, read_public_key

_OTHERS: Final = stat.S_IRWXO | stat.S_IWGRP | stat.S_IXGRP
"""Who else may not do what. A group may read: Kubernetes gives a mounted Secret to a pod's ``fsGroup``."""


def write_key(path: Path) -> str:
    """Make a dispatcher's key; its public half in PEM. Raises ``SealError`` when the file exists or can't be made."""
    pem = new_private_key()
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except OSError as error:
        raise SealError(f"{path} can't be made ({error.strerror}); name a file that does not exist") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
    return public_pem(read_public_key(pem))


def read_private_keys(path: Path) -> DispatcherKeys:
    """The keys of a dispatcher. Raises ``SealError``, also for a file that others may read."""
    return DispatcherKeys(_read(path, is_private=True))


class KeyFile:
    """A dispatcher's keys, read again when the file has changed: a key that is replaced needs no restart.

    Args:
        path: of the file.

    Raises:
        SealError: there is none that can be used now.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._version = self._stat()
        self._keys = read_private_keys(path)

    def open(self, sealed: str, webhook: str) -> str:
        """A signing secret. Raises ``SealError``."""
        try:
            return self._keys.open(sealed, webhook)
        except SealError:
            version = self._stat()
            if version == self._version:
                raise
        keys = read_private_keys(self._path)  # while that fails, the next message tries again
        self._keys, self._version = keys, version
        return keys.open(sealed, webhook)

    def _stat(self) -> tuple[int, int, int]:
        try:
            found = self._path.stat()
        except OSError:
            return (0, 0, 0)
        return found.st_ino, found.st_mtime_ns, found.st_size


def read_sealing_key(path: Path) -> X25519PublicKey:
    """The key to seal to. Raises ``SealError``."""
    return read_public_key(_read(path, is_private=False))


def _read(path: Path, *, is_private: bool) -> bytes:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            pem = file.read(64 * 1024)
    except OSError as error:
        raise SealError(
            f"{path} can't be read ({error.strerror}); `scim-api webhook key` makes a dispatcher's key"
        ) from None
    if (is_private or b"PRIVATE KEY" in pem) and mode & _OTHERS:
        raise SealError(
            f"{path} has a private key, and others may use it (mode {mode & 0o777:o}): chmod 600 it"
        )
    return pem

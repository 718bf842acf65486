"""The operator's public keys, as mounted from its ConfigMap: ``<kid>.pem`` and ``installation-id``.

Cryptography is imported by who has a directory, when it is read first, which is before anything is served.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

INSTALLATION_FILE: Final = "installation-id"
REREAD_SECONDS: Final = 1.0
"""The directory is read at most this often, and a key that is gone from it is trusted no longer than this."""


class TrustedKeys:
    """Public keys by id, as they are in the directory now: one may be renewed, or have leaked and be gone.

    Args:
        directory: with the files; None trusts nobody.
        clock: seconds that only go forward.
    """

    def __init__(self, directory: Path | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._directory = directory
        self._clock = clock
        self._keys: dict[str, Ed25519PublicKey] = {}
        self._installation: str | None = None
        self._read_at = float("-inf")

    @property
    def installation(self) -> str | None:
        """The installation id, once the operator has published it."""
        self._reread()
        return self._installation

    def find(self, kid: str) -> "Ed25519PublicKey | None":
        """The key with this id."""
        self._reread()
        return self._keys.get(kid)

    def _reread(self) -> None:
        now = self._clock()
        if self._directory is None or now - self._read_at < REREAD_SECONDS:
            return
        self._read_at = now
        self._keys = _read(self._directory)
        try:
            self._installation = (self._directory / INSTALLATION_FILE).read_text().strip() or None
        except (OSError, ValueError):
            self._installation = None


def _read(directory: Path) -> "dict[str, Ed25519PublicKey]":
    """The Ed25519 keys in a directory, by id."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    from scim_api.contract.signing import key_id

    keys: dict[str, Ed25519PublicKey] = {}
    for path in sorted(directory.glob("*.pem")):
        try:
            key = load_pem_public_key(path.read_bytes())
        except (OSError, ValueError, UnsupportedAlgorithm):
            continue
        if isinstance(key, Ed25519PublicKey):
            keys[key_id(key)] = key
    return keys

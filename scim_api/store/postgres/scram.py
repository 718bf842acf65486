"""SCRAM verifiers: what PostgreSQL keeps of a password, made here so that it never gets the password itself."""

import base64
import hashlib
import hmac
from typing import Final

ITERATIONS: Final = 4096
"""PostgreSQL's own. Enough for a random password, which nobody can guess at any rate."""


def verifier(password: str, salt: bytes) -> str:
    """``SCRAM-SHA-256$…`` as PostgreSQL stores it, and takes it in the place of a password (RFC 5802, RFC 7677).

    Args:
        password: of ASCII, so that SASLprep changes nothing.
        salt: random, 16 bytes.
    """
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, ITERATIONS)
    stored_key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    return f"SCRAM-SHA-256${ITERATIONS}:{_text(salt)}${_text(stored_key)}:{_text(server_key)}"


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()

"""The format of a bearer token: how one is made and recognised.

``sct_`` + 43 characters of base62 (over 256 bits from the operating system) + 6 characters of CRC-32 in
base62: secret scanners can match it, and a mistyped token is refused before any look-up.
Short, because Azure Government limits all of an application's credentials to 1 KB together.
"""

import hashlib
import re
import secrets
import zlib
from typing import Final

PREFIX: Final = "sct_"
ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
BODY_LENGTH: Final = 43
"""62 ** 43 > 2 ** 256."""
CHECK_LENGTH: Final = 6
PATTERN: Final = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{BODY_LENGTH + CHECK_LENGTH}}}")
"""What a secret scanner looks for."""


def _checksum(body: str) -> str:
    value = zlib.crc32(body.encode())
    digits = []
    for _ in range(CHECK_LENGTH):
        value, digit = divmod(value, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))


def new_token() -> str:
    """A new token's plaintext, from the operating system's random source."""
    body = "".join(secrets.choice(ALPHABET) for _ in range(BODY_LENGTH))
    return f"{PREFIX}{body}{_checksum(body)}"


def new_token_id() -> str:
    """A public name for a credential: 16 lower-case hexadecimal digits, unrelated to its token."""
    return secrets.token_hex(8)


def is_well_formed(token: str) -> bool:
    """Whether ``token`` has our shape and its checksum fits; says nothing about being accepted."""
    if PATTERN.fullmatch(token) is None:
        return False
    body = token[len(PREFIX) : -CHECK_LENGTH]
    return token[-CHECK_LENGTH:] == _checksum(body)


def digest(token: str) -> bytes:
    """SHA-256 of the token, 32 bytes: what the database and the admin API hold instead of it.

    A plain hash suffices: the token carries 256 bits of entropy, so there is nothing to guess.
    """
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()

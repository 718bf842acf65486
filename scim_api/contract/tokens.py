"""The format of credentials: bearer tokens, client secrets and access tokens; how one is made and recognised.

A prefix for its kind + 43 characters of base62 (over 256 bits from the operating system) + 6 characters of CRC-32 in
base62: secret scanners can match it and tell the kinds apart, and a mistyped one is refused before any look-up.
Short, because Azure Government limits all of an application's credentials to 1 KB together. All characters are
unreserved in a URL, so that HTTP Basic of a token endpoint (RFC 6749 section 2.3.1) has nothing to encode.
"""

import hashlib
import re
import secrets
import zlib
from collections.abc import Mapping
from typing import Final, Literal

TokenKind = Literal["BearerToken", "ClientSecret", "AccessToken"]
"""What a plaintext is: a token for the SCIM API (Entra's Secret Token), a secret for the token endpoint, or what that
gives for one."""

PREFIXES: Final[Mapping[TokenKind, str]] = {
    "BearerToken": "sct_",
    "ClientSecret": "scs_",
    "AccessToken": "sca_",
}
PREFIX: Final = PREFIXES["BearerToken"]
PREFIX_LENGTH: Final = 4
ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
BODY_LENGTH: Final = 43
"""62 ** 43 > 2 ** 256."""
CHECK_LENGTH: Final = 6
PATTERN: Final = re.compile(rf"(?:{'|'.join(PREFIXES.values())})[0-9A-Za-z]{{{BODY_LENGTH + CHECK_LENGTH}}}")
"""What a secret scanner looks for: any of the kinds."""
_KINDS: Final[Mapping[str, TokenKind]] = {prefix: kind for kind, prefix in PREFIXES.items()}


def _checksum(body: str) -> str:
    value = zlib.crc32(body.encode())
    digits = []
    for _ in range(CHECK_LENGTH):
        value, digit = divmod(value, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))


def new_token(kind: TokenKind = "BearerToken") -> str:
    """A new plaintext of this kind, from the operating system's random source."""
    body = "".join(secrets.choice(ALPHABET) for _ in range(BODY_LENGTH))
    return f"{PREFIXES[kind]}{body}{_checksum(body)}"


def new_token_id() -> str:
    """A public name for a credential: 16 lower-case hexadecimal digits, unrelated to its token."""
    return secrets.token_hex(8)


def kind_of(token: str) -> TokenKind | None:
    """The kind of a token that has our shape and a checksum that fits, else None; says nothing about being accepted."""
    if PATTERN.fullmatch(token) is None:
        return None
    body = token[PREFIX_LENGTH:-CHECK_LENGTH]
    return _KINDS[token[:PREFIX_LENGTH]] if token[-CHECK_LENGTH:] == _checksum(body) else None


def opens_scim(token: str) -> bool:
    """Whether ``token`` has the shape of what the SCIM API takes: a client secret is for the token endpoint alone."""
    return kind_of(token) in ("BearerToken", "AccessToken")


def digest(token: str) -> bytes:
    """SHA-256 of the token, 32 bytes: what the database and the admin API hold instead of it.

    A plain hash suffices: the token carries 256 bits of entropy, so there is nothing to guess.
    """
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()

"""Signing secrets of webhooks, as receivers hold them (Standard Webhooks 1.0.0)."""

import base64
import binascii
import hashlib
import secrets
from typing import Final

PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32
KEY_BYTES: Final = (24, 64)
"""The least and the most that the specification allows."""


def new_secret() -> str:
    """A signing secret: ``whsec_`` and base64 of 32 random bytes."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def key_of(secret: str) -> bytes:
    """The key of a signing secret. Raises ``ValueError`` for what is none; the message does not show it."""
    try:
        if secret.startswith(PREFIX):
            return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        pass
    raise ValueError("this is no signing secret")


def is_signing_secret(secret: str) -> bool:
    """Whether it is one whose key has a length that the specification allows."""
    try:
        return KEY_BYTES[0] <= len(key_of(secret)) <= KEY_BYTES[1]
    except ValueError:
        return False


def secret_id(secret: str) -> str:
    """What a secret is called where it is not to be shown: 8 bytes of a hash of its key, in hexadecimal."""
    return hashlib.sha256(b"scim-api signing secret\n" + key_of(secret)).hexdigest()[:16]

"""Signing secrets, and signatures as receivers verify them (Standard Webhooks 1.0.0)."""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from typing import Final

PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32


def new_secret() -> str:
    """A signing secret as receivers hold it: ``whsec_`` and base64 of 32 random bytes."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def key_of(secret: str) -> bytes:
    """The key of a signing secret. Raises ``ValueError`` for what is none; the message does not show it."""
    try:
        if secret.startswith(PREFIX):
            return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        pass
    raise ValueError("this is no signing secret")


def signed_headers(message_id: str, seconds: int, body: bytes, keys: Sequence[bytes]) -> dict[str, str]:
    """The headers that go with a message.

    Args:
        message_id: the same for each attempt.
        seconds: POSIX time of this attempt.
        body: as it is sent.
        keys: of the secrets that are valid now.
    """
    signed = b"%s.%d.%s" % (message_id.encode(), seconds, body)
    signatures = (base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in keys)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }

"""Signatures as receivers verify them (Standard Webhooks 1.0.0)."""

import base64
import hashlib
import hmac
from collections.abc import Sequence


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

"""RSA keys of an issuer: they rotate, are published as a JWK Set (RFC 7517) and sign JWTs (RFC 7515, RS256)."""

import base64
import json
import secrets
from collections.abc import Mapping
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

_BITS: Final = 2048
_EXPONENT: Final = 65537


class SigningKeys:
    """Keys by ``kid``, the newest of which signs. What they sign stays valid while they are published."""

    def __init__(self) -> None:
        self._keys: dict[str, RSAPrivateKey] = {}
        self.rotate()

    @property
    def kid(self) -> str:
        """Of the key that signs."""
        return next(reversed(self._keys))

    def rotate(self, *, keep: int = 1) -> str:
        """Sign with a new key from now on.

        Args:
            keep: how many of the keys before stay published.

        Returns:
            The new key's ``kid``.
        """
        kept = dict(list(self._keys.items())[-keep:]) if keep else {}
        self._keys = {**kept, secrets.token_urlsafe(20): generate_private_key(_EXPONENT, _BITS)}
        return self.kid

    def jwks(self) -> dict[str, Any]:
        """The JWK Set, with members that Microsoft's has and nobody needs."""
        return {"keys": [_jwk(kid, key) for kid, key in self._keys.items()]}

    def sign(self, claims: Mapping[str, Any], **header: Any) -> str:
        """A JWT in compact form.

        Args:
            claims: the payload.
            header: members instead of ``alg``, ``typ`` and ``kid``, or beside them.
        """
        head = {"typ": "JWT", "alg": "RS256", "kid": self.kid, **header}
        content = f"{_part(head)}.{_part(claims)}"
        signature = self._keys[self.kid].sign(content.encode(), PKCS1v15(), SHA256())
        return f"{content}.{_base64url(signature)}"


def _jwk(kid: str, key: RSAPrivateKey) -> dict[str, Any]:
    numbers = key.public_key().public_numbers()
    return {
        "kty": "RSA",
        "use": "sig",
        "kid": kid,
        "x5t": kid,
        "n": _base64url(numbers.n.to_bytes(_BITS // 8, "big")),
        "e": _base64url(numbers.e.to_bytes(3, "big")),
        "cloud_instance_name": "microsoftonline.com",
    }


def _part(content: Mapping[str, Any]) -> str:
    return _base64url(json.dumps(content, separators=(",", ":")).encode())


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()

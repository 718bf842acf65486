"""Signing secrets sealed to the dispatcher: who creates a webhook needs its public key alone, and so does the database.

The sealed text is ``v1.<key id>.<base64url of ephemeral public key, nonce, ciphertext>``: X25519 with an ephemeral key
(RFC 7748), HKDF-SHA256 over both public keys (RFC 5869), AES-256-GCM. Key id and the webhook's name are associated data:
what is sealed for one webhook opens for no other.
"""

import base64
import binascii
import hashlib
import os
import re
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_FORM: Final = "v1"
_INFO: Final = b"scim-api webhook secret v1"
_POINT, _NONCE = 32, 12
_PEM: Final = re.compile(rb"-----BEGIN ([A-Z ]+)-----.+?-----END \1-----", re.DOTALL)


class SealError(ValueError):
    """A key or a sealed secret can't be used; the message shows neither."""


def key_id(key: X25519PublicKey) -> str:
    """The first 8 bytes of the SHA-256 of a public key, in hexadecimal."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def new_private_key() -> bytes:
    """A dispatcher's key, in PEM (PKCS #8)."""
    return X25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_pem(key: X25519PublicKey) -> str:
    """A public key in PEM."""
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()


def read_public_key(pem: bytes) -> X25519PublicKey:
    """The key to seal to: the first of a PEM text, which holds it or its private half. Raises ``SealError``."""
    first = _PEM.search(pem)
    try:
        if first is not None and first[1] == b"PUBLIC KEY":
            key = serialization.load_pem_public_key(first[0])
            if isinstance(key, X25519PublicKey):
                return key
        elif first is not None:
            return _private(first[0]).public_key()
    except ValueError:
        pass
    raise SealError("this is no X25519 key in PEM; `scim-api webhook key` makes one")


def _private(pem: bytes) -> X25519PrivateKey:
    key = serialization.load_pem_private_key(pem, None)
    if not isinstance(key, X25519PrivateKey):
        raise ValueError  # noqa: TRY004 - it is the text that is wrong
    return key


def seal(secret: str, key: X25519PublicKey, webhook: str) -> str:
    """A signing secret, sealed for one webhook (``namespace/name``)."""
    ephemeral, kid, nonce = X25519PrivateKey.generate(), key_id(key), os.urandom(_NONCE)
    point = ephemeral.public_key().public_bytes_raw()
    cipher = _cipher(ephemeral.exchange(key), point, key.public_bytes_raw())
    sealed = point + nonce + cipher.encrypt(nonce, secret.encode(), _associated(kid, webhook))
    return f"{_FORM}.{kid}.{base64.urlsafe_b64encode(sealed).decode()}"


def _cipher(shared: bytes, ephemeral: bytes, recipient: bytes) -> AESGCM:
    return AESGCM(
        HKDF(algorithm=hashes.SHA256(), length=32, salt=ephemeral + recipient, info=_INFO).derive(shared)
    )


def _associated(kid: str, webhook: str) -> bytes:
    return f"{_FORM}|{kid}|{webhook}".encode()


class DispatcherKeys:
    """A dispatcher's private keys: the first is the one to seal to, the others open what was sealed before.

    Args:
        pem: one or several private keys in PEM.

    Raises:
        SealError: there is none, or something else.
    """

    def __init__(self, pem: bytes) -> None:
        try:
            self._keys: Sequence[X25519PrivateKey] = [_private(block[0]) for block in _PEM.finditer(pem)]
        except (ValueError, TypeError):
            self._keys = ()
        if not self._keys:
            raise SealError("this is no X25519 private key in PEM; `scim-api webhook key` makes one")

    def open(self, sealed: str, webhook: str) -> str:
        """A signing secret. Raises ``SealError``."""
        form, _, rest = sealed.partition(".")
        kid, _, text = rest.partition(".")
        key = next((one for one in self._keys if key_id(one.public_key()) == kid), None)
        if form != _FORM or key is None:
            raise SealError("the signing secret is sealed to another key than the dispatcher's")
        try:
            data = base64.b64decode(text, altchars=b"-_", validate=True)
            point, nonce = data[:_POINT], data[_POINT : _POINT + _NONCE]
            shared = key.exchange(X25519PublicKey.from_public_bytes(point))
            cipher = _cipher(shared, point, key.public_key().public_bytes_raw())
            return cipher.decrypt(nonce, data[_POINT + _NONCE :], _associated(kid, webhook)).decode()
        except (InvalidTag, ValueError, binascii.Error):
            raise SealError("the signing secret is damaged, or another webhook's") from None

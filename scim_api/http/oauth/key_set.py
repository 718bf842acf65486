"""The RSA keys of a JWK Set (RFC 7517, RFC 7518 section 6.3), as an issuer publishes them and as the store keeps them."""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256

from scim_api.core.errors import ScimError
from scim_api.core.json_body import decode_json
from scim_api.http.oauth.jwt_form import ALGORITHM, KID

MAX_KEY_SET: Final = 256 * 1024
"""Bytes; one of Entra's has less than 20,000."""
MAX_KEYS: Final = 100
KEY_BITS: Final = range(2048, 8192 + 1)
"""Of a modulus: shorter ones are weak, longer ones cost time."""
EXPONENTS: Final = range(65_537, 2**32)

KeySet = Mapping[str, RSAPublicNumbers]
"""Keys by ``kid``."""


class KeySetInvalid(ValueError):
    """What was published is no set of keys to verify with; the message says why, in words of ours alone."""


def parse_key_set(text: bytes) -> KeySet:
    """The keys that RS256 signatures can be verified with; others in the set are left out.

    Raises:
        KeySetInvalid: it is too large, is no JWK Set, gives two keys one name, or has no usable key.
    """
    if len(text) > MAX_KEY_SET:
        raise KeySetInvalid(f"it has more than {MAX_KEY_SET} bytes")
    try:
        published = decode_json(text).get("keys")
    except ScimError:
        published = None
    if not isinstance(published, list):
        raise KeySetInvalid("it is no JWK Set")
    if len(published) > MAX_KEYS:
        raise KeySetInvalid(f"it has more than {MAX_KEYS} keys")
    keys: dict[str, RSAPublicNumbers] = {}
    for jwk in published:
        numbers = _usable(jwk)
        if numbers is not None and keys.setdefault(jwk["kid"], numbers) != numbers:
            raise KeySetInvalid("two of its keys have the same kid")
    if not keys:
        raise KeySetInvalid("it has no RSA key of 2048 to 8192 bits")
    return keys


def dump_key_set(keys: KeySet) -> str:
    """The same as a JWK Set with nothing else in it."""
    published = [
        {"kty": "RSA", "kid": kid, "n": _encoded(numbers.n), "e": _encoded(numbers.e)}
        for kid, numbers in keys.items()
    ]
    return json.dumps({"keys": published}, separators=(",", ":"))


def has_signed(key: RSAPublicNumbers, content: bytes, signature: bytes) -> bool:
    """Whether this is the key's signature of the content (RS256: RSASSA-PKCS1-v1_5 with SHA-256)."""
    try:
        key.public_key().verify(signature, content, PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True


def _usable(jwk: Any) -> RSAPublicNumbers | None:
    """The numbers of a JWK, if it is one to verify RS256 with."""
    if not isinstance(jwk, dict) or jwk.get("kty") != "RSA":
        return None
    if jwk.get("use", "sig") != "sig" or jwk.get("alg", ALGORITHM) != ALGORITHM:
        return None
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    kid = jwk.get("kid")
    if not isinstance(kid, str) or KID.fullmatch(kid) is None:
        return None
    modulus, exponent = _number(jwk.get("n")), _number(jwk.get("e"))
    if modulus.bit_length() not in KEY_BITS or exponent not in EXPONENTS:
        return None
    numbers = RSAPublicNumbers(exponent, modulus)
    try:
        numbers.public_key()
    except ValueError:
        return None
    return numbers


def _number(text: object) -> int:
    """A Base64urlUInt (RFC 7518 section 2); 0 for what is none."""
    if not isinstance(text, str) or len(text) > 2048:
        return 0
    try:
        return int.from_bytes(base64.b64decode(text + "=" * (-len(text) % 4), altchars="-_", validate=True))
    except (binascii.Error, ValueError):
        return 0


def _encoded(number: int) -> str:
    content = number.to_bytes((number.bit_length() + 7) // 8)
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()

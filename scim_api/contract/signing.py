"""Signatures of admin calls and of the operator's own sign-ins: a JWT for each, signed with its Ed25519 key.

The signature covers method, path with query, body digest and If-Match, so a captured call can be
replayed only as itself. The revision in If-Match makes the replay of a write harmless at every replica; the nonce
(``jti``) lets each replica refuse what it has seen. Clocks may differ by ``LEEWAY`` seconds, so time alone stops
no replay.
"""

import dataclasses
import hashlib
import re
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ALGORITHM: Final = "EdDSA"
ISSUER: Final = "scim-operator"
LIFETIME: Final = timedelta(seconds=60)
LEEWAY: Final = timedelta(seconds=150)
LONGEST_VALIDITY: Final = LIFETIME + 2 * LEEWAY
"""From when a call is first taken to when it is refused as too old, at most."""


class SignatureRefused(Exception):
    """The call is not signed by a key this API trusts; the message says why, never with the JWT in it."""


@dataclasses.dataclass(frozen=True, slots=True)
class VerifiedHead:
    """What a verified JWT says of the call besides its head."""

    body_digest: str
    """What the body must have; see ``verify_body``."""
    nonce: str | None
    """Of this call alone; None from an operator of a release that made none."""


def key_id(public: Ed25519PublicKey) -> str:
    """The key's name in the JWT header and in the ConfigMap: 16 hexadecimal digits of its SHA-256."""
    raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()[:16]


def public_pem(key: Ed25519PrivateKey) -> str:
    """The public half as PEM, for the ConfigMap key ``<kid>.pem``."""
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def body_digest(body: bytes) -> str:
    """SHA-256 of the body as sent, in hexadecimal digits."""
    return hashlib.sha256(body).hexdigest()


def sign(
    key: Ed25519PrivateKey,
    *,
    audience: str,
    method: str,
    target: str,
    body: bytes,
    if_match: str | None,
    now: datetime,
) -> str:
    """The JWT for ``Authorization: Bearer`` of one admin call, with a nonce of its own: it can be sent once.

    Args:
        key: the operator's private key.
        audience: the installation id.
        method: the HTTP method, upper case.
        target: path and query as sent, such as ``/admin/v1/connections?limit=500``.
        body: the exact bytes of the body; empty for GET and DELETE.
        if_match: the value of If-Match without quotes, or None.
        now: the operator's clock, UTC.
    """
    claims = {
        "htm": method,
        "htu": target,
        "bsh": body_digest(body),
        "ifm": if_match or "",
        "jti": secrets.token_hex(16),
    }
    return _encode(key, claims, audience=audience, now=now)


def sign_proof(
    key: Ed25519PrivateKey, *, audience: str, method: str, target: str, credential: bytes, now: datetime
) -> str:
    """The JWT for ``PROOF_HEADER`` of one sign-in of the operator's: with any other credential it says nothing.

    Args:
        key: the operator's private key.
        audience: the installation id.
        method: the HTTP method, upper case.
        target: path and query as sent, such as ``/oauth2/token``.
        credential: digest of the token, or of the client secret, that the request signs in with.
        now: the operator's clock, UTC.
    """
    claims = {"htm": method, "htu": target, "crd": credential.hex()}
    return _encode(key, claims, audience=audience, now=now)


def _encode(key: Ed25519PrivateKey, claims: dict[str, Any], *, audience: str, now: datetime) -> str:
    common = {"iss": ISSUER, "aud": audience, "iat": now, "exp": now + LIFETIME}
    return jwt.encode(common | claims, key, algorithm=ALGORITHM, headers={"kid": key_id(key.public_key())})


_KID = re.compile(r"[0-9a-f]{16}")
_NONCE = re.compile(r"[0-9a-f]{32}")


def verify(
    token: str,
    find_key: Callable[[str], Ed25519PublicKey | None],
    *,
    audience: str,
    method: str,
    target: str,
    if_match: str | None,
) -> VerifiedHead:
    """Check one call's JWT against the head that was really received, before a body is read.

    Raises:
        SignatureRefused: with a reason fit for the operator's log.
    """
    signed = {"htm": method, "htu": target, "ifm": if_match or ""}
    claims = _decode(token, find_key, audience=audience, signed=signed)
    nonce = claims.get("jti")
    if nonce is not None and (not isinstance(nonce, str) or _NONCE.fullmatch(nonce) is None):
        raise SignatureRefused("the JWT has a jti that no scim-operator makes")
    return VerifiedHead(str(claims.get("bsh")), nonce)


def verify_proof(
    proof: str,
    find_key: Callable[[str], Ed25519PublicKey | None],
    *,
    audience: str,
    method: str,
    target: str,
    credential: bytes,
) -> None:
    """Check that a sign-in with this credential is the operator's own.

    Raises:
        SignatureRefused: it is not; the reason is fit for a log.
    """
    signed = {"htm": method, "htu": target, "crd": credential.hex()}
    _decode(proof, find_key, audience=audience, signed=signed)


def _decode(
    token: str,
    find_key: Callable[[str], Ed25519PublicKey | None],
    *,
    audience: str,
    signed: Mapping[str, str],
) -> dict[str, Any]:
    """The claims of a JWT that was made for exactly this. Raises ``SignatureRefused``."""
    try:
        kid: str = jwt.get_unverified_header(token).get("kid", "")
        if _KID.fullmatch(kid) is None:
            raise SignatureRefused("the JWT names no key; is the caller a scim-operator?")
        key = find_key(kid)
        if key is None:
            raise SignatureRefused(f"key {kid} is not among the operator's public keys mounted here")
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            audience=audience,
            issuer=ISSUER,
            leeway=LEEWAY,
            options={"require": ["exp", "iat", "aud", "iss"]},
        )
    except jwt.InvalidAudienceError as error:
        raise SignatureRefused("the call is meant for another installation") from error
    except jwt.PyJWTError as error:
        raise SignatureRefused(f"the JWT does not hold: {type(error).__name__}") from error
    if int(claims["exp"]) - int(claims["iat"]) > LIFETIME.total_seconds():
        raise SignatureRefused(f"the JWT lives longer than {LIFETIME.seconds} seconds")
    for claim, value in signed.items():
        if claims.get(claim) != value:
            raise SignatureRefused(f"the JWT was made for another call ({claim} differs)")
    return claims


def verify_body(digest: str, body: bytes) -> None:
    """Check the body that came after a verified head.

    Raises:
        SignatureRefused: the call was signed with another body.
    """
    if body_digest(body) != digest:
        raise SignatureRefused("the JWT was made for another call (bsh differs)")


def utc_now() -> datetime:
    """The process's clock, UTC."""
    return datetime.now(UTC)

"""Taking a client assertion apart before anything of it is believed: a signed JWT in compact form (RFC 7515, RFC 7519)."""

import base64
import binascii
import dataclasses
import re
from typing import Any, Final

from scim_api.core.errors import ScimError
from scim_api.core.json_body import decode_json
from scim_api.http.oauth.assertion import AssertionRefused

ALGORITHM: Final = "RS256"
MAX_ASSERTION: Final = 16 * 1024
"""Characters of an assertion; one of Entra's has less than 2,000."""
_COMPACT: Final = re.compile(r"([0-9A-Za-z_-]+)\.([0-9A-Za-z_-]+)\.([0-9A-Za-z_-]*)")
KID: Final = re.compile(r"[!-~]{1,128}")
"""How keys may be called."""
_SHOWN: Final = re.compile(r"[0-9A-Za-z_-]{1,64}")
_UNWANTED: Final = ("crit", "cty", "jku", "jwk", "x5c", "x5u", "b64")
"""Header parameters that would change what the signature means, or say where to find the key to it."""


@dataclasses.dataclass(frozen=True, slots=True)
class UnverifiedJwt:
    """A JWT in its parts. Nothing of it is to be believed before ``signature`` was verified."""

    kid: str
    signing_input: bytes
    payload: bytes = dataclasses.field(repr=False)
    """The claims, undecoded."""
    signature: bytes = dataclasses.field(repr=False)


def take_apart(assertion: str) -> UnverifiedJwt:
    """The parts of a JWT whose header is as it has to be.

    Args:
        assertion: as sent; of any length and content.

    Raises:
        AssertionRefused: ``size``, ``form``, ``alg``, ``typ``, ``kid`` or ``header``. It repeats what was sent only
            where that is a short word, for whoever sent it is not known yet.
    """
    if len(assertion) > MAX_ASSERTION:
        raise AssertionRefused("size", f"at most {MAX_ASSERTION} characters", str(len(assertion)))
    parts = _COMPACT.fullmatch(assertion)
    if parts is None:
        raise AssertionRefused("form", "a signed JWT: three parts in base64url")
    header = decode_claims(_decoded(parts[1]))
    payload, signature = _decoded(parts[2]), _decoded(parts[3])
    if header.get("alg") != ALGORITHM:
        raise AssertionRefused("alg", ALGORITHM, short_word(header.get("alg")))
    if header.get("typ", "JWT") != "JWT":
        raise AssertionRefused("typ", "JWT", short_word(header["typ"]))
    for name in _UNWANTED:
        if name in header:
            raise AssertionRefused("header", f"none of {', '.join(_UNWANTED)}", name)
    kid = header.get("kid")
    if not isinstance(kid, str) or KID.fullmatch(kid) is None:
        raise AssertionRefused("kid", "the name of a key, of 1 to 128 printable characters")
    return UnverifiedJwt(kid, assertion[: parts.end(2)].encode(), payload, signature)


def decode_claims(text: bytes) -> dict[str, Any]:
    """The members of a header or payload.

    Raises:
        AssertionRefused: ``form``: it is no JSON object in UTF-8, has a member twice, or nests deeply.
    """
    try:
        return decode_json(text)
    except ScimError:
        raise AssertionRefused("form", "JSON objects in which no member stands twice") from None


def short_word(value: object) -> str:
    """What a stranger sent, if it is a short word; else empty: nobody gets to write texts into a tenant's status."""
    return value if isinstance(value, str) and _SHOWN.fullmatch(value) else ""


def _decoded(part: str) -> bytes:
    """The bytes of base64url without padding (RFC 7515 section 2), in their one canonical spelling."""
    try:
        content = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except binascii.Error:
        content = b""
    if base64.urlsafe_b64encode(content).rstrip(b"=").decode() != part:
        raise AssertionRefused("form", "base64url without padding")
    return content

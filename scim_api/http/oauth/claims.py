"""Whether the claims of an assertion, whose signature held, are those that a trust names."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from scim_api.contract.admin import WorkloadIdentityTrust
from scim_api.http.oauth.assertion import AssertionRefused

LEEWAY: Final = 60
"""Seconds that the issuer's clock and the database's may differ by."""
LONGEST_REST: Final = 24 * 3600
"""Seconds for which an assertion may go on to be valid; one of Entra's is for 3900."""
_LATEST: Final = 253_402_300_799
"""The last second of the year 9999."""
_SHOWN_EXPECTED: Final = 1024
_SHOWN_RECEIVED: Final = 256


def check_claims(claims: Mapping[str, Any], trust: WorkloadIdentityTrust, now: float) -> None:
    """Compare them exactly: no prefixes, no folding of case. Others than these are neither demanded nor read.

    The identity comes first, so that what is told of the others is of the tenant that the trust names.

    Args:
        claims: of a JWT whose signature held.
        trust: what they have to be.
        now: the database's clock, as a POSIX time in seconds.

    Raises:
        AssertionRefused: ``iss``, ``tid``, ``sub``, ``aud``, ``nbf`` or ``exp``, whichever of these is the first.
    """
    _check_one_of("iss", claims.get("iss"), trust.issuers)
    _check_one_of("tid", claims.get("tid"), (trust.tenant_id,))
    _check_one_of("sub", claims.get("sub"), trust.subjects)
    _check_one_of("aud", _audience(claims.get("aud")), trust.audiences)
    if "nbf" in claims and _seconds("nbf", claims["nbf"]) > now + LEEWAY:
        raise AssertionRefused("nbf", f"{_time(now)} or before", _time(claims["nbf"]))
    expiry = _seconds("exp", claims.get("exp"))
    if expiry <= now - LEEWAY:
        raise AssertionRefused("exp", f"after {_time(now)}", _time(expiry))
    if expiry > now + LONGEST_REST + LEEWAY:
        raise AssertionRefused("exp", f"within {LONGEST_REST // 3600} hours", _time(expiry))


def shown(value: object) -> str:
    """A claim for people: printable ASCII characters, at most 256 of them; empty for one that is missing."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value)
    return _bounded("".join(char if " " <= char <= "~" else "?" for char in text), _SHOWN_RECEIVED)


def _check_one_of(check: str, value: object, expected: Sequence[str]) -> None:
    if value not in expected:
        raise AssertionRefused(check, _bounded(" or ".join(expected), _SHOWN_EXPECTED), shown(value))


def _audience(value: object) -> object:
    """The one audience of ``aud``, which may be a list of it (RFC 7519 section 4.1.3).

    A list of several stays one, and is refused: whoever else it is meant for could sign in with it here.
    """
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _seconds(check: str, value: object) -> int:
    """A NumericDate (RFC 7519 section 2) as Entra writes it: whole seconds. ``True`` is no number."""
    if type(value) is not int or not 0 <= value <= _LATEST:
        raise AssertionRefused(check, "a time in whole seconds since 1970", shown(value))
    return value


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _bounded(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 3]}..."

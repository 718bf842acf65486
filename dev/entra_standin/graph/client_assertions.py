"""What the login checks of a client assertion: a ServiceAccount's token, or a JWT signed with a certificate."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import jwt
from jwt.types import Options

from entra_standin.graph.errors import SignInError
from entra_standin.graph.ids import from_posix, graph_time
from entra_standin.graph.registrations import Caller, FederatedCredential

Jwks = Mapping[str, Any]
JwksSource = Jwks | Callable[[], Jwks]
"""A JWK Set (RFC 7517), or what fetches it anew for each exchange."""

SKEW_SECONDS: Final = 300.0
_DOCS: Final = "https://learn.microsoft.com/entra/workload-id/workload-identity-federation"
_CERTIFICATE_DOCS: Final = "https://learn.microsoft.com/entra/identity-platform/certificate-credentials"
_CLUSTER_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "ES256", "ES384", "PS256")
"""Microsoft promises RS256 and says that others may work; the local cluster signs with ES256."""
_CERTIFICATE_ALGORITHMS: Final = ("RS256", "PS256")
_NO_CHECKS: Final[Options] = {
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_iss": False,
    "verify_sub": False,
    "verify_jti": False,
}
"""Claims are checked here, by the cloud's clock and with Microsoft's codes."""


def parts(assertion: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims, with nothing checked. Raises ``SignInError`` 50027."""
    try:
        header = jwt.get_unverified_header(assertion)
        claims = jwt.decode(assertion, options={"verify_signature": False, **_NO_CHECKS})
    except jwt.InvalidTokenError:
        raise SignInError(50027, "JWT token is invalid or malformed.") from None
    return header, claims


def check_federated(
    caller: Caller, assertion: str, issuers: Callable[[str], JwksSource | None], now: float
) -> None:
    """A ServiceAccount's token in the place of a secret.

    Args:
        caller: whose federated credentials count.
        assertion: the token.
        issuers: the keys of an issuer, None when it can't be reached.
        now: POSIX time.

    Raises:
        SignInError: 70021, 700211, 700212, 700213, 7002138, 700024, 50166, 7000272.
    """
    _, claims = parts(assertion)
    _match([one for one in caller.federated if one.works_from <= now], claims)
    _signed(assertion, str(claims["iss"]), issuers)
    _in_time(claims, now, _DOCS)


def _match(credentials: list[FederatedCredential], claims: Mapping[str, Any]) -> None:
    """One of the credentials has issuer, subject and audience; else the code tells which of them none has."""
    issuer, subject = claims.get("iss"), claims.get("sub")
    audiences = claims.get("aud", [])
    audiences = [audiences] if isinstance(audiences, str) else audiences
    if not credentials:
        raise SignInError(
            70021,
            "No matching federated identity record found for presented assertion. "
            f"Assertion Issuer: '{issuer}'. Assertion Subject: '{subject}'. "
            f"Assertion Audience: '{', '.join(audiences)}'. {_DOCS}",
        )
    left = [one for one in credentials if one.issuer == issuer]
    if not left:
        raise _no_match(700211, f"issuer '{issuer}'")
    if not any(one.subject == subject for one in left):
        if any(one.subject.casefold() == str(subject).casefold() for one in left):
            raise _no_match(7002138, f"subject '{subject}', by case-sensitive matching")
        raise _no_match(700213, f"subject '{subject}'")
    if not any(one.subject == subject and [one.audience] == audiences for one in left):
        raise _no_match(700212, f"audience '{', '.join(audiences)}'")


def _no_match(code: int, what: str) -> SignInError:
    return SignInError(
        code,
        f"No matching federated identity record found for presented assertion {what}. Check your federated "
        f"identity credential Subject, Audience and Issuer against the presented assertion. {_DOCS}",
    )


def _signed(assertion: str, issuer: str, issuers: Callable[[str], JwksSource | None]) -> None:
    kid = jwt.get_unverified_header(assertion).get("kid")
    try:
        source = issuers(issuer)
        if source is None:
            raise LookupError
        published = source() if callable(source) else source
        keys = {key.get("kid"): key for key in published["keys"]}
    except Exception:  # noqa: BLE001 (whatever the source raises, Microsoft calls it this)
        raise SignInError(50166, "Request to External OIDC endpoint failed.", "invalid_request") from None
    unknown = SignInError(
        7000272,
        f"The certificate with identifier {kid} used to sign the federated credential could not be found in the "
        f"metadata of identity provider {issuer}. Please validate that your Identity Provider's metadata exposes "
        "the key used to sign the incoming token.",
    )
    if kid not in keys:
        raise unknown
    try:
        key = jwt.PyJWK.from_json(json.dumps(keys[kid])).key
        jwt.decode(assertion, key, algorithms=_CLUSTER_ALGORITHMS, options=_NO_CHECKS)
    except (jwt.InvalidTokenError, jwt.PyJWKError):
        raise unknown from None


def check_certificate(caller: Caller, assertion: str, audiences: frozenset[str], now: float) -> None:
    """A JWT that the application signed with the key of a registered certificate.

    Args:
        caller: whose certificates count.
        assertion: the JWT.
        audiences: one of them must be ``aud``: the token endpoint's URLs.
        now: POSIX time.

    Raises:
        SignInError: 50027, 700027, 700023, 700021, 700024.
    """
    header, claims = parts(assertion)
    thumbprint = header.get("x5t#S256")
    if thumbprint is None:
        raise SignInError(50027, "Invalid JWT token. No certificate thumbprint specified in token header.")
    certificate = caller.certificate(str(thumbprint))
    if certificate is None:
        raise SignInError(
            700027,
            "The certificate with identifier used to sign the client assertion is not registered on application. "
            f"[Reason - The key was not found., Thumbprint of key used by client: '{thumbprint}']",
        )
    try:
        jwt.decode(assertion, certificate.key, algorithms=_CERTIFICATE_ALGORITHMS, options=_NO_CHECKS)
    except jwt.InvalidTokenError:
        raise SignInError(
            700027,
            "Client assertion failed signature validation. [Reason - The provided signature value did not match "
            f"the expected signature value., Thumbprint of key used by client: '{thumbprint}']",
        ) from None
    if certificate.not_after < now:
        raise SignInError(
            700027, "Client assertion failed signature validation. [Reason - The key used is expired.]"
        )
    if claims.get("iss") != caller.client_id or claims.get("sub") != caller.client_id:
        raise SignInError(
            700021,
            "Client assertion application identifier doesn't match 'client_id' parameter. "
            f"Review the documentation at {_CERTIFICATE_DOCS} .",
        )
    if claims.get("aud") not in audiences:
        raise SignInError(
            700023, f"Client assertion audience claim does not match Realm issuer. {_CERTIFICATE_DOCS} ."
        )
    if not claims.get("jti"):
        raise SignInError(50027, "JWT token is invalid or malformed: 'jti' is missing.")
    _in_time(claims, now, _CERTIFICATE_DOCS)


def _in_time(claims: Mapping[str, Any], now: float, documentation: str) -> None:
    """``nbf`` and ``exp``, with five minutes to either side."""
    begins, ends = claims.get("nbf", 0), claims.get("exp", 0)
    if begins - SKEW_SECONDS <= now < ends + SKEW_SECONDS:
        return
    raise SignInError(
        700024,
        "Client assertion is not within its valid time range. "
        f"Current time: {graph_time(from_posix(now))}, assertion valid from {graph_time(from_posix(begins))}, "
        f"expiry time of assertion {graph_time(from_posix(ends))}. Review the documentation at {documentation} .",
    )

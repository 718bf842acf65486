"""What the token endpoint refused last, as status and condition: Entra shows people almost nothing of it. Pure.

A ScimToken's client id is no secret, so that anybody can have a sign-in refused. What is shown of one is bounded
therefore: it moves once an hour unless the reason changes, and no advice is to be followed without asking whose it is.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from scim_api.contract.admin import Connection, TokenRefusal
from scim_operator.api.scimtoken import ScimToken
from scim_operator.api.status import RefusedSignIn
from scim_operator.planning.kind_texts import client_of, remedy

REFUSAL_RESOLUTION: Final = timedelta(hours=1)
"""How far apart the times of two refusals for the same reason are that a status shows."""
SIGN_IN_REFUSED: Final = "SignInRefused"
NOT_REFUSED: Final = "NotRefused"
REASONS: Final[Mapping[str, str]] = {
    "secret": "WrongClientSecret",
    "signature": "UntrustedSignature",
    "kid": "UnknownKey",
    "keys": "KeysUnavailable",
    "iss": "IssuerMismatch",
    "aud": "AudienceMismatch",
    "sub": "SubjectMismatch",
    "tid": "TenantMismatch",
    "exp": "AssertionExpired",
    "nbf": "AssertionNotYetValid",
}
"""The condition's reason for each ``TokenRefusal.check``; ``Refused`` for all others."""
OTHER_REASON: Final = "Refused"
MAX_VALUES_IN_MESSAGE: Final = 3
"""Values that one message names; an Event has 1,024 characters."""


def refusal_of(connection: Connection) -> TokenRefusal | None:
    """The last refusal, where the connection has credentials for the token endpoint at all."""
    signs_in = any(item.kind != "BearerToken" for item in connection.credentials)
    return connection.last_refusal if signs_in else None


def is_refused(connection: Connection) -> bool:
    """Whether the last refusal is newer than any use of a credential for the token endpoint. A bearer token that goes
    on beside them says nothing about them.
    """
    refusal = refusal_of(connection)
    return refusal is not None and all(
        item.last_used_at is None or item.last_used_at < refusal.at
        for item in connection.credentials
        if item.kind != "BearerToken"
    )


def shown_refusal(connection: Connection, before: RefusedSignIn | None) -> RefusedSignIn | None:
    """What the status shows of it.

    Args:
        connection: as the API has it.
        before: what the status shows now.
    """
    refusal = refusal_of(connection)
    if refusal is None:
        return None
    if before is not None and not _is_news(refusal, before.at, content_of(before)):
        return before
    return RefusedSignIn(
        at=refusal.at,
        check=printable(refusal.check),
        expected=printable(refusal.expected) or None,
        received=printable(refusal.received) or None,
    )


def is_other_than_shown(
    connection: Connection, at: datetime | None, content: bytes | None, *, refused: bool
) -> bool:
    """Whether a status is to be written because of the last refusal.

    Args:
        connection: as the API has it.
        at: ``lastRefusedSignIn.at`` of the status.
        content: ``content_of`` what it shows besides.
        refused: whether its condition ``SignInRefused`` is true.
    """
    refusal = refusal_of(connection)
    if refusal is None or at is None or content is None:
        return refusal is not None or at is not None
    return _is_news(refusal, at, content) or is_refused(connection) != refused


def _is_news(refusal: TokenRefusal, at: datetime, content: bytes) -> bool:
    return content != content_of(refusal) or abs(refusal.at - at) >= REFUSAL_RESOLUTION


def content_of(refusal: TokenRefusal | RefusedSignIn) -> bytes:
    """A fingerprint of what was refused and why, without the time: a few bytes."""
    parts = (refusal.check, refusal.expected or "", refusal.received or "")
    text = "\n".join(map(printable, parts))
    return hashlib.blake2b(text.encode(), digest_size=8).digest()


def printable(text: str) -> str:
    """Without control characters and the like: whoever sent it must not write on somebody's terminal."""
    return "".join(char if char.isprintable() else "?" for char in text)


def reason_of(check: str) -> str:
    """The condition's reason."""
    return REASONS.get(check, OTHER_REASON)


def diagnosis(token: ScimToken, refusal: RefusedSignIn) -> str:
    """The condition's message: what came, what is taken, and what to write if it is one's own."""
    identity = None if token.spec is None else token.spec.auth.workload_identity
    received, client = refusal.received or "nothing", client_of(token)
    if identity is not None:
        trust = identity.trust()
        match refusal.check:
            case "aud":
                return _line(client, "aud", received, "audiences", trust.audiences, "your application's")
            case "sub":
                return _line(client, "sub", received, "subjects", trust.subjects, "your workload identity's")
            case "iss" if identity.issuers:
                return _line(client, "iss", received, "issuers", trust.issuers, "your tenant's issuer")
            case "iss":
                return (
                    f"{client} sent iss {received}; for this tenant and cloud are taken: {', '.join(trust.issuers)}. If "
                    "that is your tenant's issuer, correct spec.auth.workloadIdentity.cloud or tenantID, or list it under "
                    "issuers"
                )
            case "tid":
                return (
                    f"the assertion is of Entra tenant {received}, and spec.auth.workloadIdentity.tenantID is "
                    f"{identity.tenant_id}. Correct tenantID if that is your tenant; if not, somebody else tries to "
                    "sign in, and nothing is to be done"
                )
    return _other(token, refusal, received)


def _other(token: ScimToken, refusal: RefusedSignIn, received: str) -> str:
    match refusal.check:
        case "secret" if token.spec is not None and token.spec.auth.type == "OAuthClientCredentials":
            return (
                "a client came with a client secret that is not accepted: a former one, or mistyped. If that is "
                f"{client_of(token)}, {remedy(token, 'ClientSecret')}"
            )
        case "secret" if token.spec is not None:
            return (
                "a client came with a client secret that is not accepted, and spec.auth.type is "
                f"{token.spec.auth.type}. If that is {client_of(token)}, {remedy(token, token.spec.auth.kind)}"
            )
        case "keys":
            return (
                f"the issuer's keys can't be fetched ({refusal.expected or received}): let the SCIM API reach that "
                "address on port 443, and let its administrator allow the host (SCIM_API_KEYS_HOSTS)"
            )
        case "exp" | "nbf":
            return (
                f"the assertion was not valid at that time ({refusal.check}: expected {refusal.expected or '-'}, received "
                f"{received}): compare the clocks of the SCIM API's nodes and of its database with a time server"
            )
        case _:
            return (
                f"the token endpoint refused a sign-in: {refusal.check} did not hold (expected "
                f"{refusal.expected or '-'}, received {received})"
            )


def _line(client: str, claim: str, received: str, field: str, taken: tuple[str, ...], whose: str) -> str:
    shown = ", ".join(taken[:MAX_VALUES_IN_MESSAGE])
    if len(taken) > MAX_VALUES_IN_MESSAGE:
        shown += f" and {len(taken) - MAX_VALUES_IN_MESSAGE} more"
    return (
        f"{client} sent {claim} {received}; spec.auth.workloadIdentity.{field} has {shown}. If that is {whose}, "
        f"add the line to {field}: - {received}"
    )

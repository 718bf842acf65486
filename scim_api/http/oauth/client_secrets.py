"""Whether a client secret is accepted, and if not what can be told of it without it. Pure."""

import hmac
from datetime import UTC, datetime
from typing import Final

from scim_api.contract.tokens import TokenKind, kind_of
from scim_api.contract.tokens import digest as token_digest
from scim_api.http.oauth.token_error import Check, TokenError, invalid_client
from scim_api.store.protocol import ClientCredential, TokenClient

REFUSED: Final = (
    "The client id or the client secret is not accepted. Compare both with client-id and client-secret of the"
    " ScimToken's Secret, and enter them in Entra again. The ScimToken's status says why it was refused."
)
"""The same for an id that nobody has and for a secret that is not its own, so that nobody can try out ids."""
_DECOY: Final = ClientCredential("", "ClientSecret", bytes(32), 0.0, is_revoked=True, trust=None)
"""Compared with what is sent for a client that does not exist, so that it takes as long."""
_OTHER_KINDS: Final[dict[TokenKind | None, str]] = {
    "BearerToken": "a token for the SCIM API (sct_...)",
    "AccessToken": "an access token (sca_...)",
    None: "no client secret: it is cut or mistyped, or something else",
}


def accepted_secret(client: TokenClient | None, secret: str, now: float) -> ClientCredential:
    """The client's credential that this secret is.

    Args:
        client: who sent it; None for an id that nobody has.
        secret: as sent, of any length and content.
        now: the database's clock, a POSIX time in seconds.

    Raises:
        TokenError: none of those that are accepted now.
    """
    digest = token_digest(secret)
    secrets = [item for item in client.credentials if item.kind == "ClientSecret"] if client else [_DECOY]
    found: ClientCredential | None = None
    for item in secrets:  # all of them: when the comparison ends says nothing
        if hmac.compare_digest(item.digest, digest):
            found = item
    if client is None:
        raise invalid_client(Check.CLIENT_ID, REFUSED)
    if found is not None and _is_accepted(found, now):
        return found
    accepted = sum(_is_accepted(item, now) for item in secrets)
    raise invalid_client(
        Check.SECRET,
        REFUSED,
        expected=f"one of the {accepted} client secrets accepted now"
        if accepted
        else "nothing: no client secret of this client is accepted now",
        received=_described(secret, found),
        client=client,
    )


def revoked_meanwhile(client: TokenClient, check: str) -> TokenError:
    """The refusal of a credential that was accepted when it was read, and was not when a token was to be issued."""
    return invalid_client(
        check,
        REFUSED,
        expected="a credential that is accepted",
        received="one that was revoked",
        client=client,
    )


def _is_accepted(item: ClientCredential, now: float) -> bool:
    return not item.is_revoked and now < item.ends_at


def _described(secret: str, found: ClientCredential | None) -> str:
    if found is not None:
        if found.is_revoked:
            return "one that was revoked"
        return f"one that ended at {datetime.fromtimestamp(found.ends_at, UTC):%Y-%m-%dT%H:%M:%SZ}"
    kind = kind_of(secret)
    return "one that was never issued" if kind == "ClientSecret" else _OTHER_KINDS[kind]

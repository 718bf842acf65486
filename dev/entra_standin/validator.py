"""The two tests of Microsoft's own validator that are about signing in (SCIMTests_Workflow.json), shape by shape."""

from collections.abc import Mapping
from typing import Final

import httpx

from entra_standin.client import EntraClient
from entra_standin.sign_in import AccessToken, SecretToken
from entra_standin.token_endpoint import Credentials, TokenEndpoint

_FIRST_USER: Final = {"startIndex": "1", "count": "1"}


def validate_credentials(
    url: str,
    token_url: str,
    credentials: Credentials,
    *,
    scope: str | None = None,
    transport: httpx.BaseTransport | None = None,
) -> AccessToken:
    """``Validate_Credentials``: an access token of 60 to 360 minutes, with which the first user can be asked for.

    Args:
        url: SCIM endpoint.
        token_url: token endpoint.
        credentials: of the client.
        scope: the validator may leave it out.
        transport: stands in for the network in tests.

    Returns:
        What was granted.

    Raises:
        EntraError: the validator's test would fail.
    """
    return _validate(url, TokenEndpoint(token_url, credentials, scope=scope, transport=transport), transport)


def federated_identity(
    url: str, token_url: str, credentials: Credentials, *, transport: httpx.BaseTransport | None = None
) -> AccessToken:
    """``Federated_Identity``: the same with an assertion, no scope, and a field ``baseAddress`` that nobody asked for.

    Arguments, result and exceptions are those of ``validate_credentials``.
    """
    extra: Mapping[str, str] = {"baseAddress": url}
    return _validate(url, TokenEndpoint(token_url, credentials, extra=extra, transport=transport), transport)


def _validate(url: str, endpoint: TokenEndpoint, transport: httpx.BaseTransport | None) -> AccessToken:
    with endpoint:
        granted = endpoint.ask().validated()
    with EntraClient(url, SecretToken(granted.value), transport=transport) as client:
        answer = client.send("GET", "/Users", _FIRST_USER)
        answer.expect(range(200, 300))
        answer.resources()
    return granted

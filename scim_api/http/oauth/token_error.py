"""What a token request is refused with (RFC 6749 section 5.2), and the reason codes for people who operate it."""

import enum
from typing import Final

from scim_api.store.protocol import TokenClient

MAX_EXPECTED: Final = 1024
MAX_RECEIVED: Final = 512
"""As long as ``TokenRefusal`` takes them."""


class Check(enum.StrEnum):
    """What did not hold, in metrics, logs and ``TokenRefusal``. Those of an assertion come from its verifier."""

    METHOD = "method"
    ENCODING = "encoding"
    MEDIA_TYPE = "media_type"
    SIZE = "size"
    FORM = "form"
    DUPLICATE = "duplicate"
    GRANT_TYPE = "grant_type"
    SCOPE = "scope"
    AUTHORIZATION = "authorization"
    CREDENTIALS = "credentials"
    CLIENT_ID = "client_id"
    SECRET = "secret"  # noqa: S105 (the name of a check)
    ASSERTION = "assertion"
    RATE = "rate"
    DATABASE = "database"
    DISCONNECTED = "disconnected"
    INTERNAL = "internal"


class TokenError(Exception):
    """A token request is refused. Nothing in it is secret, and no text in it is the client's but ``received``.

    Args:
        check: what did not hold.
        error: the code of RFC 6749 section 5.2.
        description: one or two sentences for a person, with the next step; printable ASCII, no quotation marks, no backslashes.
        status: of HTTP.
        expected: what would have held, for the ScimToken's status.
        received: what came.
        wait: seconds after which the request may be repeated.
        client: whose request it was, if that is known.
    """

    def __init__(
        self,
        check: str,
        error: str,
        description: str,
        *,
        status: int = 400,
        expected: str = "",
        received: str = "",
        wait: float | None = None,
        client: TokenClient | None = None,
    ) -> None:
        super().__init__(f"{check}: {error}")
        self.check, self.error, self.description, self.status = check, error, description, status
        self.expected, self.received = _text(expected, MAX_EXPECTED), _text(received, MAX_RECEIVED)
        self.wait, self.client = wait, client
        self.client_id: str | None = None
        """What the request says that it comes from, while ``client`` is not known."""


def invalid_request(check: str, description: str, *, expected: str = "", received: str = "") -> TokenError:
    """The request is malformed."""
    return TokenError(check, "invalid_request", description, expected=expected, received=received)


def invalid_client(
    check: str,
    description: str,
    *,
    expected: str = "",
    received: str = "",
    client: TokenClient | None = None,
) -> TokenError:
    """The client did not authenticate."""
    return TokenError(
        check,
        "invalid_client",
        description,
        status=401,
        expected=expected,
        received=received,
        client=client,
    )


def _text(value: str, most: int) -> str:
    """What can be stored and sent of a text that may have come from anywhere: no lone surrogates, and not too long."""
    text = value.encode("utf-8", "replace").decode()
    return text if len(text) <= most else f"{text[: most - 1]}…"

"""What the token endpoint asks of whoever verifies client assertions (RFC 7521, RFC 7523)."""

from typing import Protocol

from scim_api.store.protocol import ClientCredential, TokenClient


class AssertionRefused(Exception):
    """An assertion is not taken. ``check`` says what did not hold (see ``TokenRefusal.check``), ``expected`` and
    ``received`` what would and what came; nothing of it is secret, and the assertion itself is never in it.
    """

    def __init__(self, check: str, expected: str = "", received: str = "") -> None:
        super().__init__(f"{check}: expected {expected or '-'}, received {received or '-'}")
        self.check, self.expected, self.received = check, expected, received


class AssertionVerifier(Protocol):
    """Verifies an assertion against the trusts of the client that sent it, and no other's."""

    async def verify(self, client: TokenClient, assertion: str, now: float) -> ClientCredential:
        """The trust that it meets.

        Args:
            client: by the ``client_id`` that came with it.
            assertion: a JWT, as sent; of any length and content.
            now: the database's clock, as a POSIX time in seconds.

        Raises:
            AssertionRefused: it meets none.
            Unavailable: the database had to be asked for keys and did not answer.
        """

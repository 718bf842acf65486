"""What goes into ``Authorization``: the Secret Token, or access tokens that are cached as a client does."""

import dataclasses
import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

RENEW_BEFORE_SECONDS: Final = 300.0
"""Assumed: Microsoft does not say how early Entra asks for the next access token."""


class SignIn(Protocol):
    """How requests to the SCIM service are authenticated. Several threads may use it at once."""

    def bearer(self) -> str:
        """The token to send now.

        Raises:
            EntraError: the token endpoint does not give any.
        """

    def renew(self, refused: str) -> bool:
        """Do without a token that the service refused; whether another one can be had."""

    def forget(self) -> None:
        """Sign in from the beginning the next time."""


class SecretToken:
    """Entra's *Secret Token*: the same until somebody enters another.

    Raises:
        ValueError: when it can't be put into a header.
    """

    def __init__(self, token: str) -> None:
        self._token = usable(token)

    def bearer(self) -> str:
        """The token."""
        return self._token

    def renew(self, refused: str) -> bool:
        """There is no other."""
        del refused
        return False

    def forget(self) -> None:
        """There is nothing to begin anew."""


@dataclasses.dataclass(frozen=True, slots=True)
class AccessToken:
    """What a token endpoint granted."""

    value: str = dataclasses.field(repr=False)
    expires_in: float
    """Seconds, counted from when it was asked for."""
    scope: str | None = None


class AccessTokens:
    """Access tokens one after the other: the next is asked for shortly before the end of the one before, or when the
    service refused it.

    Args:
        fetch: asks the token endpoint.
        clock: seconds that only go forward.

    Attributes:
        fetched: how many there were.
    """

    def __init__(
        self, fetch: Callable[[], AccessToken], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._fetch, self._clock = fetch, clock
        self._lock = threading.Lock()
        self._token: str | None = None
        self._renew_at = 0.0
        self.fetched = 0

    def bearer(self) -> str:
        """The cached one, or another when there is none or its end is near. Raises ``EntraError``."""
        with self._lock:
            if self._token is None or self._clock() >= self._renew_at:
                asked = self._clock()
                granted = self._fetch()
                self.fetched += 1
                self._token = granted.value
                early = min(RENEW_BEFORE_SECONDS, granted.expires_in / 2)
                self._renew_at = asked + granted.expires_in - early
            return self._token

    def renew(self, refused: str) -> bool:
        """Forget a refused one, unless another thread has the next one already."""
        with self._lock:
            if self._token == refused:
                self._token = None
        return True

    def forget(self) -> None:
        """Ask for another one the next time."""
        with self._lock:
            self._token = None


def usable(token: str) -> str:
    """The token, if a header can hold it. Raises ``ValueError``, which does not show it."""
    if not token.isascii() or not token.isprintable() or not token or " " in token:
        raise ValueError("the token is empty or holds a character that a bearer token can't have")
    return token

"""Who may look: a key that is good once, the session that it opens, and the addresses that the console has."""

import hmac
import secrets
from typing import Final

BYTES: Final = 32
"""Of each secret here."""
PATH: Final = "/open"
"""Where the key is taken."""


class Access:
    """What a request has to bring. It lives in memory, and ends with the process.

    Args:
        port: that the console listens on.
    """

    def __init__(self, port: int) -> None:
        hosts = [f"127.0.0.1:{port}", f"localhost:{port}"]
        if port == 80:
            hosts += ["127.0.0.1", "localhost"]
        self.hosts: Final = frozenset(hosts)
        """Values of ``Host``. Another name that leads here is DNS rebinding."""
        self.cookie: Final = f"scim-console-{port}"
        """Cookies don't tell ports apart: two consoles at once have one each."""
        self.csrf: Final = secrets.token_urlsafe(BYTES)
        """For the header of each POST."""
        self._key: str | None = secrets.token_urlsafe(BYTES)
        self._session: str | None = None
        self.url: Final = f"http://127.0.0.1:{port}{PATH}?key={self._key}"
        """To open in a browser, once."""

    def open(self, key: str) -> str | None:
        """The session that a key opens; None: it is another key, or was used."""
        if self._key is None or not _same(key, self._key):
            return None
        self._key, self._session = None, secrets.token_urlsafe(BYTES)
        return self._session

    def is_session(self, value: str | None) -> bool:
        """Whether a cookie has the session."""
        return value is not None and self._session is not None and _same(value, self._session)

    def is_csrf(self, value: str | None) -> bool:
        """Whether a POST comes from a page of the console."""
        return value is not None and _same(value, self.csrf)


def _same(given: str, wanted: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), wanted.encode())

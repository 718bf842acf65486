"""The network between Entra and the service: what Entra sent with which credential, and what it was answered."""

import base64
import collections
import dataclasses
import threading
import time
from collections.abc import Callable, Collection
from urllib.parse import unquote

import httpx


@dataclasses.dataclass(frozen=True, slots=True)
class Sent:
    """A request of Entra's: of a cycle, or of its Test Connection."""

    plaintext: str = dataclasses.field(repr=False)
    """The token, or the client secret behind an access token."""
    sent: float
    answered: float
    status: int
    """0 when there was no answer."""
    was_held: bool
    """Whether Entra had saved the credential when it sent this; otherwise it tried it before saving."""
    access_token_expires_at: float | None = None
    """Of a request with an access token."""

    @property
    def is_use(self) -> bool:
        """Whether the service took the credential."""
        return self.was_held and 200 <= self.status < 500 and self.status not in (401, 403)


class Wire(httpx.BaseTransport):
    """Passes requests on, and takes them down. Several threads may use it at once.

    Args:
        held: every credential that Entra has saved, in plaintext.
        transport: to the service.

    Attributes:
        is_cut: whether no request comes through.
    """

    def __init__(
        self, held: Callable[[], Collection[str]], transport: httpx.BaseTransport | None = None
    ) -> None:
        self._held = held
        self._transport = transport or httpx.HTTPTransport(trust_env=False)
        self._issued: dict[str, tuple[str, float]] = {}
        self._sent: collections.deque[Sent] = collections.deque()
        self._lock = threading.Lock()
        self.is_cut = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send it. Raises ``httpx.TransportError``."""
        if self.is_cut:
            raise httpx.ConnectError("the endpoint is away", request=request)
        plaintext, expires_at = self._credential(request)
        was_held, began, status = plaintext in self._held(), time.time(), 0
        try:
            response = self._transport.handle_request(request)
            status = response.status_code
            if status == httpx.codes.OK and request.url.path.endswith("/oauth2/token"):
                response.read()
                content = response.json()
                self._issued[content["access_token"]] = (plaintext, began + content["expires_in"])
            return response
        finally:
            with self._lock:
                self._sent.append(Sent(plaintext, began, time.time(), status, was_held, expires_at))

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def take(self) -> list[Sent]:
        """What was sent since the last call."""
        with self._lock:
            taken = list(self._sent)
            self._sent.clear()
        return taken

    def _credential(self, request: httpx.Request) -> tuple[str, float | None]:
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            return unquote(base64.b64decode(value).decode().partition(":")[2]), None
        return self._issued.get(value, (value, None))

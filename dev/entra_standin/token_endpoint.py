"""Entra's side of the token endpoint: client credentials in each place, or a signed assertion (RFC 6749, RFC 7523)."""

import base64
import dataclasses
import enum
from collections.abc import Callable, Mapping
from typing import Final, Protocol, Self
from urllib.parse import quote

import httpx

from entra_standin.checks import TokenAnswer
from entra_standin.errors import Unreachable
from entra_standin.sign_in import AccessToken

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_TIMEOUT_SECONDS: Final = 10.0


class Location(enum.StrEnum):
    """Where the client's credentials are: *How credentials are sent* in the portal."""

    HEADER = "Header"
    BODY = "Body"
    BOTH = "Both"
    """The same pair twice, which RFC 6749 section 2.3 forbids and Entra offers."""


@dataclasses.dataclass(frozen=True, slots=True)
class TokenRequest:
    """One request to the token endpoint."""

    form: Mapping[str, str] = dataclasses.field(repr=False)
    secrets: tuple[str, ...] = dataclasses.field(repr=False)
    """Texts in it that no message may show."""
    authorization: str | None = dataclasses.field(default=None, repr=False)


class Credentials(Protocol):
    """What a client proves itself with."""

    def request(self) -> TokenRequest:
        """The request, without scope; a new assertion each time."""


@dataclasses.dataclass(frozen=True, slots=True)
class ClientSecret:
    """OAuth 2.0 client credentials (RFC 6749 section 4.4)."""

    client_id: str
    client_secret: str = dataclasses.field(repr=False)
    location: Location = Location.HEADER

    def request(self) -> TokenRequest:
        """With the pair where it belongs; in the header both are form-encoded first (section 2.3.1)."""
        pair = f"{quote(self.client_id, safe='')}:{quote(self.client_secret, safe='')}"
        encoded = base64.b64encode(pair.encode()).decode()
        form = {"grant_type": "client_credentials"}
        if self.location is not Location.HEADER:
            form |= {"client_id": self.client_id, "client_secret": self.client_secret}
        header = None if self.location is Location.BODY else f"Basic {encoded}"
        return TokenRequest(form, (self.client_secret, encoded), header)


@dataclasses.dataclass(frozen=True, slots=True)
class SignedAssertion:
    """A workload identity: an assertion in the place of a secret (RFC 7523 section 2.2)."""

    client_id: str
    sign: Callable[[], str]
    """Makes a new assertion."""

    def request(self) -> TokenRequest:
        """With an assertion that was signed just now."""
        assertion = self.sign()
        form = {
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion,
        }
        return TokenRequest(form, (assertion,))


class TokenEndpoint:
    """A token endpoint, as Entra asks it.

    Args:
        url: *OAuth token endpoint* (*Token Endpoint*, *Token URL*).
        credentials: what to prove oneself with.
        scope: *OAuth 2.0 scopes*; None sends none.
        extra: further form fields, such as ``baseAddress`` of Microsoft's validator.
        transport: stands in for the network in tests.
    """

    def __init__(
        self,
        url: str,
        credentials: Credentials,
        *,
        scope: str | None = None,
        extra: Mapping[str, str] | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._url, self._credentials, self._scope, self._extra = url, credentials, scope, dict(extra or {})
        self._http = httpx.Client(
            headers={"accept": "application/json"},
            timeout=_TIMEOUT_SECONDS,
            trust_env=False,
            transport=transport,
        )

    def __repr__(self) -> str:
        return f"TokenEndpoint({self._url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def fetch(self) -> AccessToken:
        """Ask for an access token, and look at the answer as strictly as RFC 6749 allows.

        Raises:
            Rejected: refused in the form of section 5.2; ``scim_type`` is the error code.
            Finding: the answer breaks a rule.
            Unreachable: there is none.
        """
        return self.ask().granted(self._scope)

    def ask(self) -> TokenAnswer:
        """Ask, whatever comes. Raises ``Unreachable``."""
        request = self._credentials.request()
        form = dict(request.form) | ({"scope": self._scope} if self._scope is not None else {}) | self._extra
        headers = {} if request.authorization is None else {"authorization": request.authorization}
        try:
            response = self._http.post(self._url, data=form, headers=headers)
        except httpx.HTTPError as error:
            raise Unreachable(f"POST {httpx.URL(self._url).path}: {type(error).__name__}") from None
        return TokenAnswer(response, request.secrets, used_header=request.authorization is not None)

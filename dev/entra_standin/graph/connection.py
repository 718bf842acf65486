"""From the credentials that Entra holds, or is asked to try, to its SCIM client; and what a test of it answers."""

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import httpx

from entra_standin.client import EntraClient
from entra_standin.errors import EntraError, Finding, Rejected, Unreachable
from entra_standin.graph.credentials import CLIENT_CREDENTIALS, LOCATION, Credentials
from entra_standin.graph.errors import GraphError
from entra_standin.sign_in import AccessToken, AccessTokens, SecretToken, SignIn
from entra_standin.token_endpoint import ClientSecret, Location, TokenEndpoint

_FAMILY: Final = "SystemForCrossDomainIdentityManagement"
INVALID_CREDENTIALS: Final = f"{_FAMILY}InvalidCredentials"
INCOMPATIBLE: Final = f"{_FAMILY}ServiceIncompatible"
UNAVAILABLE: Final = f"{_FAMILY}ServiceUnavailable"
TOKEN_FAILURE: Final = f"{_FAMILY}CredentialValidationFailure"


class TokenRefused(Rejected):
    """The token endpoint gave no access token; ``status`` is its own."""


class Incomplete(EntraError):
    """The credentials are not enough to sign in with; nothing was sent."""


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """Why Entra could not sign in or ask, in the words of its provisioning log."""

    code: str
    message: str


@dataclasses.dataclass(frozen=True, slots=True)
class _OAuth:
    url: str
    client_id: str
    client_secret: str = dataclasses.field(repr=False)
    location: Location


class Unclosed(httpx.BaseTransport):
    """One pool of connections for many clients, whose end it outlives.

    Args:
        transport: the pool.
        origins: other origins to ask instead, by origin, such as that of a public host name.
    """

    def __init__(self, transport: httpx.BaseTransport, origins: Mapping[str, str]) -> None:
        self._transport = transport
        self._origins = {httpx.URL(public): httpx.URL(real) for public, real in origins.items()}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send it."""
        for public, real in self._origins.items():
            if (request.url.scheme, request.url.netloc) == (public.scheme, public.netloc):
                request.url = request.url.copy_with(scheme=real.scheme, host=real.host, port=real.port)
        return self._transport.handle_request(request)


class Connector:
    """Makes clients. Access tokens of an application are kept while its credentials are the same.

    Args:
        transport: where their requests go.
    """

    def __init__(self, transport: httpx.BaseTransport) -> None:
        self._transport = transport
        self._kept: dict[str, tuple[_OAuth, AccessTokens]] = {}

    @contextmanager
    def client(self, credentials: Credentials, *, application: str | None = None) -> Iterator[EntraClient]:
        """A client with these credentials.

        Args:
            credentials: values by key.
            application: whose stored ones they are; None when they came with the request.

        Raises:
            Incomplete: they are not enough.
        """
        url = credentials.get("BaseAddress")
        if not url:
            raise Incomplete("Please provide a valid tenant URL for your application.")
        sign_in = self._sign_in(credentials, application)
        try:
            client = EntraClient(url, sign_in, transport=self._transport)
        except (ValueError, httpx.InvalidURL):
            raise Incomplete("The tenant URL or the secret token is not valid.") from None
        with client:
            yield client

    def _sign_in(self, credentials: Credentials, application: str | None) -> SignIn:
        oauth = _oauth(credentials, stored=application is not None)
        if oauth is None:
            try:
                return SecretToken(credentials.get("SecretToken", ""))
            except ValueError:
                raise Incomplete("The secret token is missing or not valid.") from None
        if not (oauth.url and oauth.client_id and oauth.client_secret):
            raise Incomplete("Client identifier, client secret and token endpoint are required.")
        if application is None:
            return AccessTokens(self._fetching(oauth))
        kept = self._kept.get(application)
        if kept is None or kept[0] != oauth:
            kept = self._kept[application] = (oauth, AccessTokens(self._fetching(oauth)))
        return kept[1]

    def _fetching(self, oauth: _OAuth) -> Callable[[], AccessToken]:
        def fetch() -> AccessToken:
            credentials = ClientSecret(oauth.client_id, oauth.client_secret, oauth.location)
            with TokenEndpoint(oauth.url, credentials, transport=self._transport) as endpoint:
                try:
                    return endpoint.fetch()
                except httpx.InvalidURL:
                    raise Incomplete("The token endpoint is no URL.") from None
                except (Rejected, Finding) as error:
                    raise TokenRefused(
                        "POST token endpoint", error.status, getattr(error, "scim_type", ""), str(error)
                    ) from None

        return fetch


def _oauth(credentials: Credentials, *, stored: bool) -> _OAuth | None:
    """Client credentials, when that is the way to sign in.

    What is stored counts with its AuthenticationType, or when an access token was seeded beside the token endpoint:
    otherwise Entra never asks for one. What comes with a request counts by its keys.
    """
    chosen = credentials.get("AuthenticationType") == CLIENT_CREDENTIALS
    has_endpoint = bool(credentials.get("Oauth2TokenExchangeUri"))
    seeded = {"Oauth2AccessToken", "Oauth2AccessTokenCreationTime"} <= set(credentials)
    inline = not stored and not credentials.get("SecretToken")
    if not chosen and not (has_endpoint and (seeded or inline)):
        return None
    return _OAuth(
        credentials.get("Oauth2TokenExchangeUri", ""),
        credentials.get("Oauth2ClientId", ""),
        credentials.get("Oauth2ClientSecret", ""),
        Location(credentials.get(LOCATION, Location.HEADER)),
    )


def failure_of(error: EntraError) -> Failure:
    """What Entra calls an error of the SCIM endpoint or its token endpoint."""
    if isinstance(error, Incomplete):
        return Failure(INVALID_CREDENTIALS, str(error))
    if isinstance(error, TokenRefused):
        if error.status == httpx.codes.UNSUPPORTED_MEDIA_TYPE:
            return Failure(TOKEN_FAILURE, "Supported CredentialLocationInRequest is required")
        return Failure(TOKEN_FAILURE, f"The token endpoint answered {error.status}: {error.detail}")
    if isinstance(error, Unreachable):
        return Failure(UNAVAILABLE, f"We could not connect to your application: {error}")
    if isinstance(error, Rejected | Finding):
        if error.status in (401, 403):
            return Failure(INVALID_CREDENTIALS, f"The credentials were refused: {error}")
        if error.status == httpx.codes.NOT_FOUND:
            return Failure(
                INCOMPATIBLE,
                "An HTTP/404 Not Found response was returned rather than the expected HTTP/200 OK response: "
                f"{error}",
            )
        if error.status >= httpx.codes.INTERNAL_SERVER_ERROR:
            return Failure(UNAVAILABLE, f"The service is not available: {error}")
    return Failure(INCOMPATIBLE, str(error))


def try_connection(
    connector: Connector, credentials: Credentials, *, application: str | None = None, nested: bool = True
) -> None:
    """What ``validateCredentials`` does: a sign-in from the beginning, then Users and Groups.

    Args:
        connector: makes the client.
        credentials: values by key.
        application: whose stored ones they are; None when they came with the request.
        nested: the cause is a JSON document within the message.

    Raises:
        GraphError: 400 ``CredentialValidationUnavailable``, whichever the cause.
    """
    try:
        with connector.client(credentials, application=application) as client:
            client.test_connection()
    except EntraError as error:
        failure = failure_of(error)
        cause: dict[str, object] = {
            "code": failure.code,
            "message": failure.message,
            "tenantActionable": True,
        }
        if failure.code == INCOMPATIBLE:
            cause = {"code": "InvalidCredentials", "message": failure.message, "innerError": cause}
        text = json.dumps(cause) if nested else f"{failure.code}: {failure.message}"
        raise GraphError(400, "CredentialValidationUnavailable", text) from None

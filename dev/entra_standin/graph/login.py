"""The token endpoint: three ways to sign in, and access tokens that end by the clock."""

import dataclasses
import secrets
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from entra_standin.graph.behaviour import Behaviour
from entra_standin.graph.client_assertions import (
    JwksSource,
    check_certificate,
    check_federated,
    parts,
)
from entra_standin.graph.errors import GraphError, SignInError
from entra_standin.graph.ids import is_guid
from entra_standin.graph.registrations import Caller
from entra_standin.token_endpoint import ASSERTION_TYPE

GRAPH_RESOURCES: Final = (
    "https://graph.microsoft.com",
    "https://graph.microsoft.us",
    "https://dod-graph.microsoft.us",
    "https://microsoftgraph.chinacloudapi.cn",
    "00000003-0000-0000-c000-000000000000",
)
"""Of all clouds (Microsoft Graph: national cloud deployments), and its application id, which is the same in each."""
_TOKEN_BYTES: Final = 1100
"""Microsoft's access tokens are about that long."""
_EXPIRED: Final = "Lifetime validation failed, the token is expired."


@dataclasses.dataclass(frozen=True, slots=True)
class Grant:
    """What an access token stands for, as it was when the token was issued.

    Attributes:
        tenant_id: whose directory.
        client_id: who signed in.
        principal_id: the caller's service principal in that tenant.
        roles: its app roles.
        owned: object ids of the service principals and applications that it owned.
        expires_at: POSIX time.
    """

    tenant_id: str
    client_id: str
    principal_id: str
    roles: frozenset[str]
    owned: frozenset[str]
    expires_at: float


class Registry(Protocol):
    """Who there is."""

    def caller(self, client_id: str) -> Caller | None:
        """The app registration."""

    def has_tenant(self, tenant_id: str) -> bool:
        """Whether there is such a tenant."""

    def owned_by(self, tenant_id: str, principal_id: str) -> frozenset[str]:
        """Object ids that the service principal owns."""


class Login:
    """Issues access tokens and knows them again.

    Args:
        registry: who there is.
        behaviour: which of several answers.
        issuers: the keys of an issuer.
        resources: what ``scope`` may name before ``/.default``.
        clock: POSIX time.
    """

    def __init__(
        self,
        registry: Registry,
        behaviour: Behaviour,
        issuers: Callable[[str], JwksSource | None],
        resources: Callable[[], tuple[str, ...]],
        clock: Callable[[], float],
    ) -> None:
        self._registry, self._behaviour, self._issuers = registry, behaviour, issuers
        self._resources, self._clock = resources, clock
        self._grants: dict[str, Grant] = {}
        self._lock = threading.Lock()

    def issue(self, tenant_id: str, form: Mapping[str, str], token_urls: frozenset[str]) -> dict[str, Any]:
        """Answer a token request.

        Args:
            tenant_id: of the path.
            form: the fields.
            token_urls: the endpoint's own URLs, one of which a certificate's assertion has as ``aud``.

        Raises:
            SignInError: it is refused.
        """
        if form.get("grant_type") != "client_credentials":
            raise SignInError(70003, "The app requested an unsupported grant type.", "unsupported_grant_type")
        caller, principal = self._caller(tenant_id, form)
        self._scope(form)
        self._authenticate(caller, form, token_urls)
        seconds = self._behaviour.access_token_seconds
        token, now = secrets.token_urlsafe(_TOKEN_BYTES), self._clock()
        owned = self._registry.owned_by(tenant_id, principal)
        grant = Grant(tenant_id, caller.client_id, principal, caller.roles(tenant_id), owned, now + seconds)
        with self._lock:
            if len(self._grants) >= 10_000:
                self._grants = {name: one for name, one in self._grants.items() if one.expires_at > now}
            self._grants[token] = grant
        return {
            "token_type": "Bearer",
            "expires_in": seconds,
            "ext_expires_in": seconds,
            "access_token": token,
        }

    def grant(self, authorization: str | None) -> Grant:
        """What the ``Authorization`` header of a request to Graph stands for.

        Raises:
            GraphError: 401 ``InvalidAuthenticationToken``.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.casefold() != "bearer" or not token:
            raise GraphError(401, "InvalidAuthenticationToken", "Access token is empty.")
        grant = self._grants.get(token.strip())
        if grant is None:
            raise GraphError(401, "InvalidAuthenticationToken", "IDX14100: JWT is not well formed.")
        if grant.expires_at <= self._clock():
            raise GraphError(401, "InvalidAuthenticationToken", _EXPIRED)
        return grant

    def forget(self) -> None:
        """No access token that was issued is known any more."""
        with self._lock:
            self._grants.clear()

    def _caller(self, tenant_id: str, form: Mapping[str, str]) -> tuple[Caller, str]:
        """Who asks, and its service principal in the tenant."""
        client_id = form.get("client_id")
        if not client_id:
            raise SignInError(
                900144,
                "The request body must contain the following parameter: 'client_id'.",
                "invalid_request",
            )
        if not self._registry.has_tenant(tenant_id):
            raise _no_tenant(tenant_id)
        caller = self._registry.caller(client_id)
        if caller is None or (caller.home != tenant_id and not caller.multi_tenant):
            raise _no_application(client_id, tenant_id)
        principal = caller.service_principal_id(tenant_id)
        if principal is None:
            if self._behaviour.missing_consent_code == 700016:
                raise _no_application(client_id, tenant_id)
            raise SignInError(
                7000229,
                f"The client application {client_id} is missing service principal in the tenant {tenant_id}. "
                "See instructions here: https://go.microsoft.com/fwlink/?linkid=2225119",
            )
        return caller, principal

    def _scope(self, form: Mapping[str, str]) -> None:
        scope = form.get("scope", "")
        resource, _, suffix = scope.rpartition("/")
        if not scope:
            raise SignInError(
                900144, "The request body must contain the following parameter: 'scope'.", "invalid_request"
            )
        if suffix != ".default" or " " in scope:
            raise SignInError(
                1002012,
                f"The provided value for scope {scope} is not valid. Client credential flows must have a scope "
                "value with /.default suffixed to the resource identifier (application ID URI).",
                "invalid_scope",
            )
        if resource.rstrip("/") not in self._resources():
            raise SignInError(
                500011,
                f"The resource principal named {resource} was not found in the tenant. You might have sent your "
                "authentication request to the wrong tenant.",
                "invalid_resource",
            )

    def _authenticate(self, caller: Caller, form: Mapping[str, str], token_urls: frozenset[str]) -> None:
        if "client_assertion" in form:
            if form.get("client_assertion_type") != ASSERTION_TYPE:
                raise SignInError(
                    900144,
                    "The request body must contain the following parameter: 'client_assertion_type'.",
                    "invalid_request",
                )
            _, claims = parts(form["client_assertion"])
            if claims.get("iss") == caller.client_id:
                check_certificate(caller, form["client_assertion"], token_urls, self._clock())
            else:
                check_federated(caller, form["client_assertion"], self._issuers, self._clock())
        elif "client_secret" in form:
            self._check_secret(caller, form["client_secret"])
        else:
            raise SignInError(
                7000218,
                "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
            )

    def _check_secret(self, caller: Caller, value: str) -> None:
        secret = caller.secret(value)
        if secret is None:
            raise SignInError(
                7000215,
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret "
                f"value, not the client secret ID, for a secret added to app '{caller.client_id}'.",
            )
        if secret.expires_at is not None and secret.expires_at <= self._clock():
            raise SignInError(
                7000222,
                f"The provided client secret keys for app '{caller.client_id}' are expired. Visit the Azure portal "
                "to create new keys for your app: https://aka.ms/NewClientSecret, or consider using certificate "
                "credentials for added security: https://aka.ms/certCreds.",
            )


def _no_tenant(tenant_id: str) -> SignInError:
    if not is_guid(tenant_id) and "." not in tenant_id:
        return SignInError(
            900023,
            f"Specified tenant identifier '{tenant_id}' is neither a valid DNS name, nor a valid external domain.",
            "invalid_request",
        )
    return SignInError(
        90002,
        f"Tenant '{tenant_id}' not found. Check to make sure you have the correct tenant ID and are signing into the "
        "correct cloud. Check with your subscription administrator, this may happen if there are no active "
        "subscriptions for the tenant.",
        "invalid_request",
    )


def _no_application(client_id: str, tenant_id: str) -> SignInError:
    return SignInError(
        700016,
        f"Application with identifier '{client_id}' was not found in the directory '{tenant_id}'. This can happen if "
        "the application has not been installed by the administrator of the tenant or consented to by any user in "
        "the tenant. You may have sent your authentication request to the wrong tenant.",
        "unauthorized_client",
    )

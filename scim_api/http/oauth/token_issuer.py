"""Who gets an access token: one read, a comparison or a verification, one write."""

import dataclasses
from datetime import UTC, datetime

import structlog

from scim_api.contract.admin import TokenRefusal
from scim_api.contract.tokens import digest, new_token, new_token_id
from scim_api.http.authentication import INSPECTOR, OperatorProof
from scim_api.http.oauth.assertion import AssertionRefused, AssertionVerifier
from scim_api.http.oauth.client_secrets import accepted_secret, revoked_meanwhile
from scim_api.http.oauth.token_error import Check, TokenError, invalid_client
from scim_api.http.oauth.token_rate import SECONDS_PER_TOKEN, TokenRate
from scim_api.http.oauth.token_request import TokenRequest
from scim_api.http.request import ServiceContext
from scim_api.store.errors import Unavailable
from scim_api.store.protocol import ClientCredential, TokenClient

log = structlog.get_logger(__name__)
RETRY_SECONDS = 2.0
"""When to come again while the database does not answer."""
_ASSERTION_REFUSED = (
    "The assertion is not accepted for this client id. Compare the workload identity in Entra with the ScimToken's"
    " spec.auth; its status says which claim was refused."
)


@dataclasses.dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request, as far as that is noted with the last use."""

    user_agent: str | None = None
    """Family of the client."""
    proof: OperatorProof | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class IssuedToken:
    """An access token that was registered; the plaintext is nowhere else."""

    token: str = dataclasses.field(repr=False)
    seconds: int
    scope: str | None


class TokenIssuer:
    """Decides on token requests, in one process.

    Args:
        service: store, authenticator, metrics, refusals.
        assertions: verifies them; None: none is accepted.
        rate: how often a client gets one.
    """

    def __init__(
        self, service: ServiceContext, assertions: AssertionVerifier | None, rate: TokenRate | None = None
    ) -> None:
        self._service, self._assertions, self._rate = service, assertions, rate or TokenRate()

    async def issue(self, request: TokenRequest, caller: Caller) -> IssuedToken:
        """An access token for whoever signs in.

        Raises:
            TokenError: it is refused.
        """
        authenticator, store = self._service.authenticator, self._service.store
        try:
            await authenticator.fresh_now()
            client = await store.token_client(request.client_id)
            client, credential = await self._authenticated(client, request)
            self._check_rate(client)
            token = new_token("AccessToken")
            expiry = await store.issue_access_token(
                client,
                credential.id,
                token_id=new_token_id(),
                digest=digest(token),
                now=_utc(authenticator.now()),
            )
        except Unavailable as error:
            raise TokenError(
                Check.DATABASE,
                "temporarily_unavailable",
                "The database of the service does not answer. Repeat the request after some seconds.",
                status=503,
                wait=RETRY_SECONDS,
            ) from error
        if expiry is None:
            raise revoked_meanwhile(client, Check.ASSERTION if request.secret is None else Check.SECRET)
        authenticator.count_use(credential.id, credential.digest, caller.user_agent, caller.proof)
        if caller.user_agent != INSPECTOR:  # that a person got in says nothing of why Entra did not
            self._service.token_refusals.forget(client.client_id)
        self._service.metrics.token_requests.labels("issued").inc()
        log.info("access token issued", client=client.name, credential=credential.id)
        return IssuedToken(token, client.access_token_seconds, request.scope)

    async def _authenticated(
        self, client: TokenClient | None, request: TokenRequest
    ) -> tuple[TokenClient, ClientCredential]:
        """The client and what it has signed in with. Raises ``TokenError``, ``Unavailable``."""
        now = self._service.authenticator.now()
        if request.assertion is None:
            credential = accepted_secret(client, request.secret or "", now)
            assert client is not None  # noqa: S101 (a secret is accepted from a client that exists)
            return client, credential
        if client is None:
            raise invalid_client(Check.CLIENT_ID, _ASSERTION_REFUSED)
        if self._assertions is None:
            raise invalid_client(
                Check.ASSERTION,
                _ASSERTION_REFUSED,
                expected="a client secret: workload identity is not switched on",
                received="an assertion",
                client=client,
            )
        try:
            return client, await self._assertions.verify(client, request.assertion, now)
        except AssertionRefused as refused:
            raise invalid_client(
                refused.check,
                _ASSERTION_REFUSED,
                expected=refused.expected,
                received=refused.received,
                client=client,
            ) from refused

    def _check_rate(self, client: TokenClient) -> None:
        wait = self._rate.wait_seconds(client.client_id)
        if wait:
            raise TokenError(
                Check.RATE,
                "slow_down",
                f"This client asks for more than one access token in {SECONDS_PER_TOKEN:.0f} seconds. Keep a token until"
                " it expires, as expires_in says, and ask again after Retry-After.",
                status=429,
                expected=f"at most one request in {SECONDS_PER_TOKEN:.0f} seconds",
                received="more",
                wait=wait,
                client=client,
            )

    async def note_refusal(self, error: TokenError) -> None:
        """Count and log a refusal, and remember it for the client that sent the request, if there is such a one.

        A stranger decides how often that happens. So above debug level the log has one in some seconds for each client
        that exists, and none for ids that nobody has.
        """
        client = error.client or await self._claimed(error.client_id)
        self._service.metrics.token_requests.labels(error.check).inc()
        is_first = client is not None and self._remember(client, error)
        (log.info if is_first else log.debug)(
            "token request refused",
            check=error.check,
            error=error.error,
            status=error.status,
            client=None if client is None else client.name,
            expected=error.expected,
            received=error.received,
        )

    def _remember(self, client: TokenClient, error: TokenError) -> bool:
        """Whether it is the first refusal of this client since the last ones were written."""
        refusal = TokenRefusal(
            at=_utc(self._service.authenticator.now()),
            check=error.check[:32],
            expected=error.expected,
            received=error.received,
        )
        return self._service.token_refusals.remember(client.client_id, refusal)

    async def _claimed(self, client_id: str | None) -> TokenClient | None:
        """Whose request this is by what it says of itself: people see at their ScimToken what is malformed."""
        if client_id is None:
            return None
        try:
            return await self._service.store.token_client(client_id)
        except Unavailable:
            return None


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)

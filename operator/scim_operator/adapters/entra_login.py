"""Access tokens for Microsoft Graph: OAuth 2.0 client credentials at Microsoft's login, in three ways.

RFC 6749 section 4.4 with a client secret, or RFC 7523 with a JWT: the token of a ServiceAccount (workload identity
federation), or one that the key of a certificate signs.
"""

import asyncio
import dataclasses
import hashlib
import re
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Mapping
from datetime import datetime
from typing import Final

import httpx

from scim_api.contract.clock import boot_time
from scim_api.contract.signing import utc_now
from scim_operator.adapters.entra_http import SUCCESS, Requested, not_counted, send
from scim_operator.adapters.entra_pace import EntraPace
from scim_operator.planning.entra.answers import parsed
from scim_operator.planning.entra.client_assertion import client_assertion
from scim_operator.planning.entra.clouds import Clouds
from scim_operator.planning.entra.diagnosis import Answer, not_an_answer, of_login, retry_after_of
from scim_operator.planning.entra.ports import (
    Application,
    CertificateIdentity,
    ClientSecretIdentity,
    EntraError,
    Identity,
    ServiceAccountIdentity,
)
from scim_operator.planning.entra.sign_in_errors import Caller
from scim_operator.planning.ports import KubernetesUnreachable

SIGN_IN: Final = "sign-in"
"""The operation, for the log and for metrics."""
SIGN_IN_SECONDS: Final = 10.0
USED_PART: Final = 0.8
"""The part of its life in which a token is used."""
LONGEST_LIFE: Final = 86_400.0
"""Seconds."""
MOST_TOKENS: Final = 4096
"""One for each tenant and identity."""
_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_TOKEN: Final = re.compile(r"[!-~]{1,65536}")
"""What may stand in a header."""

ServiceAccountToken = Callable[[str, str, str], Awaitable[str]]
"""Namespace, name and audience to a token; see ``service_account_tokens``."""


@dataclasses.dataclass(frozen=True, slots=True)
class AccessToken:
    """A token for Graph."""

    value: str = dataclasses.field(repr=False)
    cached: bool
    """Whether it was fetched for an earlier call."""


@dataclasses.dataclass(slots=True)
class _Entry:
    """What is kept for one tenant and identity."""

    lock: asyncio.Lock = dataclasses.field(default_factory=asyncio.Lock)
    token: str | None = dataclasses.field(default=None, repr=False)
    usable_until: float = 0.0
    failures: int = 0
    failure: EntraError | KubernetesUnreachable | None = None


class EntraLogin:
    """Fetches access tokens, and keeps each for four fifths of its life.

    Args:
        client: shared by all calls.
        service_account_token: gives the token of a ServiceAccount.
        clouds: where the login is.
        pace: of all requests.
        requested: called after each request with ``sign-in``, and ``success`` or the obstacle.
        clock: seconds, monotonic.
        now: UTC, for assertions.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        service_account_token: ServiceAccountToken,
        clouds: Clouds,
        pace: EntraPace,
        *,
        requested: Requested = not_counted,
        clock: Callable[[], float] = boot_time,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._client, self._service_account_token = client, service_account_token
        self._clouds, self._pace, self._clock, self._now = clouds, pace, clock, now
        self._requested = requested
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()

    async def access_token(self, application: Application, identity: Identity) -> AccessToken:
        """A token for Graph in the application's tenant. Whoever asks while one is fetched waits for that one.

        Raises:
            EntraError: the login refused or did not answer, or the identity can't be used.
            KubernetesUnreachable: the ServiceAccount's token could not be had; the same may work later.
        """
        entry = self._entry(_key(application, identity))
        failures = entry.failures
        async with entry.lock:
            if entry.token is not None and self._clock() < entry.usable_until:
                return AccessToken(entry.token, cached=True)
            if entry.failure is not None and entry.failures != failures:
                raise entry.failure
            try:
                entry.token, entry.usable_until = await self._fetch(application, identity)
            except (EntraError, KubernetesUnreachable) as error:
                entry.token, entry.failure = None, error
                entry.failures += 1
                raise
            return AccessToken(entry.token, cached=False)

    def invalidate(self, application: Application, identity: Identity, token: AccessToken) -> None:
        """Forget this token, unless it was replaced meanwhile: a new grant shows only in a new one."""
        entry = self._entries.get(_key(application, identity))
        if entry is not None and entry.token == token.value:
            entry.token = None

    def _entry(self, key: Hashable) -> _Entry:
        entry = self._entries.setdefault(key, _Entry())
        self._entries.move_to_end(key)
        if len(self._entries) > MOST_TOKENS:
            idle = next((old for old, kept in self._entries.items() if not kept.lock.locked()), key)
            if idle != key:
                del self._entries[idle]
        return entry

    async def _fetch(self, application: Application, identity: Identity) -> tuple[str, float]:
        """A new token, and until when it is used."""
        endpoints = self._clouds.endpoints(application.cloud)
        url = endpoints.token_url(application.tenant_id)
        proof = await self._proof(identity, url, endpoints.exchange_audience)
        form = {
            "client_id": identity.client_id,
            "scope": endpoints.scope,
            "grant_type": "client_credentials",
            **proof,
        }
        await self._pace.admit(application)
        started = self._clock()
        answer = await send(
            self._client,
            "POST",
            url,
            what=SIGN_IN,
            headers={},
            seconds=SIGN_IN_SECONDS,
            form=form,
            requested=self._requested,
        )
        if answer.status == 429:
            self._pause(application, answer)
        if answer.status != 200:
            caller = Caller(application, identity, endpoints)
            error = of_login(answer, caller, self._now(), tuple(proof.values()))
            self._requested(SIGN_IN, error.obstacle.value)
            raise error
        self._requested(SIGN_IN, SUCCESS)
        found = _token_of(answer)
        if found is None:
            raise not_an_answer(endpoints.login, "the login", answer)
        token, seconds = found
        return token, started + USED_PART * seconds

    def _pause(self, application: Application, answer: Answer) -> None:
        self._pace.pause(application, retry_after_of(answer, self._now()))

    async def _proof(self, identity: Identity, url: str, audience: str) -> Mapping[str, str]:
        match identity:
            case ClientSecretIdentity():
                return {"client_secret": identity.secret}
            case CertificateIdentity():
                assertion = client_assertion(identity, url, now=self._now(), jti=str(uuid.uuid4()))
            case ServiceAccountIdentity():
                assertion = await self._service_account_token(identity.namespace, identity.name, audience)
        return {"client_assertion_type": _ASSERTION_TYPE, "client_assertion": assertion}


def _key(application: Application, identity: Identity) -> Hashable:
    """Of the secret the digest alone: another secret is another key."""
    match identity:
        case ServiceAccountIdentity():
            whose: tuple[str, ...] = ("ServiceAccount", identity.namespace, identity.name)
        case ClientSecretIdentity():
            whose = ("secret", _digest(identity.secret))
        case CertificateIdentity():
            whose = ("certificate", _digest(identity.certificate), _digest(identity.private_key))
    return application.cloud, application.tenant_id, identity.client_id, *whose


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _token_of(answer: Answer) -> tuple[str, float] | None:
    """The access token and its life in seconds (RFC 6749 section 5.1)."""
    content = parsed(answer.body)
    fields = content if isinstance(content, dict) else {}
    token, life = fields.get("access_token"), fields.get("expires_in")
    if not isinstance(token, str) or _TOKEN.fullmatch(token) is None:
        return None
    return token, min(max(_number(life), 0.0), LONGEST_LIFE)


def _number(value: object) -> float:
    """Zero when it is none: such a token is used once."""
    try:
        return float(value) if isinstance(value, int | float | str) else 0.0
    except (ValueError, OverflowError):
        return 0.0

"""One attempt: opens the secrets, renders the message, signs it, and asks the receiver within bounds."""

import asyncio
import dataclasses
import functools
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Protocol

from scim_api.contract.sealing import SealError
from scim_api.contract.signing_secret import key_of
from scim_api.delivery.message import full_body, kind_of, thin_body
from scim_api.delivery.outcome import (
    Outcome,
    Result,
    outcome_of_answer,
    outcome_of_failure,
    outcome_of_timeout,
)
from scim_api.delivery.signing import signed_headers
from scim_api.outbound.addresses import AllowedNetworks, HttpUrl, is_public
from scim_api.outbound.pinned_client import NotAnswered, PinnedClient, Resolver, resolve
from scim_api.store.protocol import Store
from scim_api.store.webhooks import Delivery, LeasedWebhook

MAX_ANSWER: Final = 64 * 1024
"""Bytes of an answer that are read."""
IN_FLIGHT: Final = 16
"""Deliveries of one webhook that are under way at a time."""
MOST_OPENED: Final = 16
"""Signing secrets of one webhook that are kept opened."""


@dataclasses.dataclass(frozen=True, slots=True)
class ReceiverRules:
    """Where an administrator lets messages be sent."""

    networks: AllowedNetworks = dataclasses.field(default_factory=AllowedNetworks)
    """Besides addresses on the internet."""
    allows_http: bool = False
    """Whether receivers in these networks may be sent messages in clear text."""

    def check(self, text: str) -> HttpUrl:
        """The parts of a receiver's URL. Raises ``NotAnswered`` for one that may not be asked."""
        url = HttpUrl.read(text)
        if url is None:
            raise NotAnswered("refused", "the URL is none that can be asked: write https://host/path")
        if url.scheme == "http" and not self.allows_http:
            raise NotAnswered("refused", "http is not allowed here (SCIM_API_WEBHOOK_ALLOW_HTTP)")
        return url

    def allows(self, url: HttpUrl, address: str) -> bool:
        """Whether an address of the URL's host may be asked."""
        return address in self.networks or (url.scheme == "https" and is_public(address))


class OpensSecrets(Protocol):
    """The dispatcher's keys."""

    def open(self, sealed: str, webhook: str) -> str:
        """A signing secret. Raises ``SealError``."""


class Sender:
    """Sends one webhook's messages; its connections are kept for that webhook alone.

    Args:
        store: for resources, and nothing is written.
        keys: of the dispatcher.
        rules: where messages may be sent.
        base_url: of the SCIM service.
        resolver: of names.
        verify: whose certificates to trust; None for the usual ones.
        clock: POSIX time in seconds.
    """

    def __init__(
        self,
        store: Store,
        keys: OpensSecrets,
        rules: ReceiverRules,
        base_url: str,
        *,
        resolver: Resolver = resolve,
        verify: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store, self._keys, self._rules, self._base_url = store, keys, rules, base_url
        self._resolver, self._verify, self._clock = resolver, verify, clock
        self._client, self._host = self._new_client(), ""
        self._opened: dict[str, bytes] = {}

    async def send(self, webhook: LeasedWebhook, delivery: Delivery) -> Outcome:
        """The outcome of one attempt. Raises ``Unavailable`` when the resource can't be read."""
        try:
            url = self._rules.check(webhook.settings.url)
            keys = self._signing_keys(webhook)
        except NotAnswered as error:
            return outcome_of_failure(error)
        except SealError as error:
            return Outcome(Result.UNREACHABLE, str(error))
        body = await self._body(webhook, delivery)
        now = self._clock()
        headers = signed_headers(delivery.message_id, int(now), body, keys)
        seconds = webhook.settings.timeout_seconds
        client = await self._client_for(url)
        try:
            async with asyncio.timeout(seconds):
                answer = await client.ask(
                    "POST",
                    url,
                    is_allowed=functools.partial(self._rules.allows, url),
                    headers={"Content-Type": "application/json", **headers},
                    limit=MAX_ANSWER,
                    seconds=seconds,
                    content=body,
                )
        except TimeoutError:
            return outcome_of_timeout(seconds)
        except NotAnswered as error:
            return outcome_of_failure(error)
        return outcome_of_answer(answer, datetime.fromtimestamp(self._clock(), UTC))

    async def aclose(self) -> None:
        """Close what was opened."""
        await self._client.aclose()

    async def _body(self, webhook: LeasedWebhook, delivery: Delivery) -> bytes:
        kind = kind_of(delivery)
        if kind is None or webhook.settings.content == "Thin":
            return thin_body(delivery)
        resource = await self._store.get(webhook.tenant, kind, delivery.resource)
        return full_body(delivery, resource, self._base_url)

    def _signing_keys(self, webhook: LeasedWebhook) -> list[bytes]:
        """Of all secrets that can be opened: one that was sealed to a key that is gone does not hold up the others.

        Raises:
            SealError: there is none.
        """
        keys, failed = [], SealError("the webhook has no signing secret")
        for one in webhook.secrets:
            try:
                keys.append(self._key(one.sealed, webhook.full_name))
            except SealError as error:
                failed = error
        if not keys:
            raise failed
        return keys

    def _key(self, sealed: str, webhook: str) -> bytes:
        """Opening takes a tenth of a millisecond, so what was opened is kept."""
        if sealed not in self._opened:
            if len(self._opened) >= MOST_OPENED:
                self._opened.clear()
            self._opened[sealed] = key_of(self._keys.open(sealed, webhook))
        return self._opened[sealed]

    async def _client_for(self, url: HttpUrl) -> PinnedClient:
        """Kept connections go by address: another host gets a client of its own."""
        if url.authority != self._host:
            former, self._client, self._host = self._client, self._new_client(), url.authority
            await former.aclose()
        return self._client

    def _new_client(self) -> PinnedClient:
        return PinnedClient(resolver=self._resolver, verify=self._verify, kept=IN_FLIGHT)

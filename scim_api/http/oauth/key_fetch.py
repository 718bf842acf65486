"""Fetching an issuer's keys over HTTPS, within bounds and from nowhere but where an administrator allows it."""

import asyncio
import ssl
from typing import TYPE_CHECKING, Final, Literal

from scim_api.http.oauth.key_address import KeyAddress, KeyHosts
from scim_api.http.oauth.key_set import MAX_KEY_SET, KeySet, KeySetInvalid, parse_key_set
from scim_api.outbound.addresses import is_public
from scim_api.outbound.pinned_client import Answer, NotAnswered, PinnedClient, Resolver, resolve

if TYPE_CHECKING:
    import httpx

FETCH_SECONDS: Final = 5.0
"""For all of it: the name, the connection, and the answer."""
MAX_FETCHES: Final = 8
"""At a time, of all issuers."""
_MEDIA_TYPES: Final = ("application/json", "application/jwk-set+json")


class KeysNotFetched(Exception):
    """Keys were not fetched; the message says why, and repeats nothing that the other side wrote."""

    def __init__(self, result: Literal["refused", "unreachable", "invalid"], reason: str) -> None:
        super().__init__(reason)
        self.result: Final = result
        """For the metric: not to be asked, did not answer, or answered something else than keys."""


class KeyFetcher:
    """Asks for keys, as ``PinnedClient`` asks.

    Args:
        hosts: the administrator's.
        seconds: for one fetch.
        resolver: of names.
        transport: to be asked in the place of the network.
        verify: whose certificates to trust; None for the usual ones.
    """

    def __init__(
        self,
        hosts: KeyHosts,
        *,
        seconds: float = FETCH_SECONDS,
        resolver: Resolver = resolve,
        transport: "httpx.AsyncBaseTransport | None" = None,
        verify: ssl.SSLContext | None = None,
    ) -> None:
        self._hosts, self._seconds = hosts, seconds
        self._client = PinnedClient(resolver=resolver, transport=transport, verify=verify)
        self._turns = asyncio.Semaphore(MAX_FETCHES)

    def check(self, url: str) -> KeyAddress:
        """The parts of a URL that may be asked. Raises ``KeysNotFetched``."""
        address = self._hosts.address(url)
        if address is None:
            raise KeysNotFetched(
                "refused", "the host is not on the administrator's list (SCIM_API_KEYS_HOSTS)"
            )
        return address

    async def fetch(self, url: str) -> KeySet:
        """The keys that are published there now. Raises ``KeysNotFetched``."""
        address = self.check(url)
        try:
            async with asyncio.timeout(self._seconds), self._turns:
                answer = await self._ask(address)
        except TimeoutError:
            raise KeysNotFetched("unreachable", f"no answer within {self._seconds:g} seconds") from None
        except NotAnswered as error:
            result: Literal["refused", "unreachable"] = (
                "refused" if error.failure == "refused" else "unreachable"
            )
            raise KeysNotFetched(result, str(error)) from None
        _check(answer)
        try:
            return parse_key_set(answer.body)
        except KeySetInvalid as error:
            raise KeysNotFetched("invalid", f"what is published there can't be used: {error}") from None

    async def aclose(self) -> None:
        """Close what was opened."""
        await self._client.aclose()

    async def _ask(self, address: KeyAddress) -> Answer:
        return await self._client.ask(
            "GET",
            address.url,
            is_allowed=lambda one: address.is_named or is_public(one),
            headers={"Accept": ", ".join(_MEDIA_TYPES)},
            limit=MAX_KEY_SET,
            seconds=self._seconds,
        )


def _check(answer: Answer) -> None:
    if answer.status != 200:
        raise KeysNotFetched("invalid", f"the answer's status is {answer.status}; it has to be 200")
    media_type = answer.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type not in _MEDIA_TYPES:
        raise KeysNotFetched("invalid", "the answer's Content-Type is not application/json")
    if answer.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise KeysNotFetched("invalid", "the answer is compressed, which was not asked for")
    if not answer.is_whole:
        raise KeysNotFetched("invalid", f"the answer has more than {MAX_KEY_SET} bytes")

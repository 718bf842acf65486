"""The keys of issuers, by address and ``kid``: in memory, in the database, and from where they are published.

They change at any time and without notice. So an unknown ``kid`` asks again, but not more often than strangers who
make names up may cost; and while an issuer does not answer, what it published last goes on.
"""

import asyncio
import contextlib
import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Protocol

import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

from scim_api.contract.clock import boot_time
from scim_api.contract.token_bucket import TokenBucket
from scim_api.http.metrics import Metrics
from scim_api.http.oauth.assertion import AssertionRefused
from scim_api.http.oauth.jwt_form import short_word
from scim_api.http.oauth.key_fetch import KeysNotFetched
from scim_api.http.oauth.key_set import KeySet, KeySetInvalid, dump_key_set, parse_key_set
from scim_api.store.errors import Unavailable
from scim_api.store.protocol import IssuerKeys, Store

log = structlog.get_logger(__name__)
DAY: Final = 86_400.0
MAX_AGE: Final = 7 * DAY
"""Seconds for which keys are used after they were fetched, while the issuer does not answer."""
REFRESH_AFTER: Final = DAY
"""Seconds after which keys are fetched anew, beside the request that needs them."""
RETRY_SECONDS: Final = 30.0
"""Between two fetches from one address: after one that failed, and on average."""
FETCH_BURST: Final = 3
"""Fetches from one address at once while it answers: keys may change right after they were fetched, and whoever signs
with a new one is not to wait; strangers who make names up get no more."""
MAX_ADDRESSES: Final = 1000
"""Whose keys are in memory; those that were not asked for the longest make room."""


class KeySource(Protocol):
    """Where keys are published."""

    def check(self, url: str) -> object:
        """Raises ``KeysNotFetched`` for a URL that must not be asked."""

    async def fetch(self, url: str) -> KeySet:
        """The keys that are published there now. Raises ``KeysNotFetched``."""


@dataclasses.dataclass(slots=True)
class _Issuer:
    """What is known of one address."""

    url: str
    fetches: TokenBucket
    """How many more there may be."""
    keys: KeySet = dataclasses.field(default_factory=dict)
    fetched_at: float = float("-inf")
    """By the database's clock, a POSIX time in seconds."""
    asked_at: float = float("-inf")
    """By this process's clock."""
    failure: str = ""
    """Why the last fetch failed; empty when it did not."""
    update: asyncio.Task[None] | None = None

    def has(self, kid: str | None, since: float) -> bool:
        """Whether there are keys that were fetched since then, and among them this one."""
        return self.fetched_at >= since and (kid is None or kid in self.keys)


class IssuerKeyCache:
    """Finds keys.

    Args:
        store: keeps them for the next process, and for other replicas.
        source: where they are published.
        metrics: counts fetches by result.
        max_age: seconds for which keys are used while their issuer does not answer.
        clock: seconds; never goes back.
    """

    def __init__(
        self,
        store: Store,
        source: KeySource,
        metrics: Metrics,
        *,
        max_age: float = MAX_AGE,
        clock: Callable[[], float] = boot_time,
    ) -> None:
        self._store, self._source, self._metrics = store, source, metrics
        self._max_age, self._clock = max_age, clock
        self._issuers: dict[str, _Issuer] = {}

    async def find(self, url: str, kid: str, now: float) -> RSAPublicNumbers:
        """The key of this name that is published at this address.

        Args:
            url: of a trust.
            kid: as a stranger names it.
            now: the database's clock, as a POSIX time in seconds.

        Raises:
            AssertionRefused: ``keys``: there are none, or they are too old; ``kid``: it is not among them.
            Unavailable: the database had to be asked and did not answer.
        """
        try:
            self._source.check(url)
        except KeysNotFetched as error:
            raise AssertionRefused("keys", _expected(url), str(error)) from None
        issuer = self._issuer(url)
        since = now - self._max_age
        if issuer.update is not None and not issuer.has(kid, since):  # begun for another key
            await asyncio.shield(issuer.update)
        if not issuer.has(kid, since) and (update := self._update(issuer, kid, since, now)) is not None:
            await asyncio.shield(update)
        if not issuer.has(None, now - REFRESH_AFTER):
            self._update(issuer, None, now - REFRESH_AFTER, now)
        if not issuer.has(None, now - self._max_age):
            raise AssertionRefused("keys", _expected(url), self._why_none(issuer))
        key = issuer.keys.get(kid)
        if key is None and issuer.failure:
            raise AssertionRefused("keys", _expected(url), issuer.failure)
        if key is None:
            raise AssertionRefused("kid", f"a key that is published at {url}", short_word(kid))
        return key

    async def aclose(self) -> None:
        """End the fetches that are going on."""
        updates = [issuer.update for issuer in self._issuers.values() if issuer.update is not None]
        for update in updates:
            update.cancel()
        await asyncio.gather(*updates, return_exceptions=True)

    def _issuer(self, url: str) -> _Issuer:
        """What is known of an address; it becomes the one that was asked for last."""
        issuer = self._issuers.pop(url, None) or _Issuer(url, TokenBucket(FETCH_BURST, self._clock()))
        self._issuers[url] = issuer
        if len(self._issuers) > MAX_ADDRESSES:
            idle = [url for url, item in self._issuers.items() if item.update is None and item is not issuer]
            for longest_ago in idle[: len(self._issuers) - MAX_ADDRESSES]:
                del self._issuers[longest_ago]
        return issuer

    def _update(
        self, issuer: _Issuer, kid: str | None, since: float, now: float
    ) -> asyncio.Task[None] | None:
        """The update that is going on, or one that begins; None so soon after the last one."""
        if issuer.update is None and self._may_fetch(issuer):
            issuer.update = asyncio.create_task(self._load_or_fetch(issuer, kid, since, now))
            issuer.update.add_done_callback(lambda done: _ended(issuer, done))
        return issuer.update

    def _may_fetch(self, issuer: _Issuer) -> bool:
        """Whether it is not too soon."""
        now = self._clock()
        if issuer.failure and now - issuer.asked_at < RETRY_SECONDS:
            return False
        return issuer.fetches.take(0, burst=FETCH_BURST, rate=1 / RETRY_SECONDS, now=now) == 0

    async def _load_or_fetch(self, issuer: _Issuer, kid: str | None, since: float, now: float) -> None:
        """Take what another process has fetched, if that is what is needed; else fetch."""
        await self._load(issuer)
        if issuer.has(kid, since):
            return
        issuer.fetches.charge(1)
        try:
            issuer.keys = await self._source.fetch(issuer.url)
        except KeysNotFetched as error:
            issuer.failure = str(error)
            self._metrics.key_fetches.labels(error.result).inc()
            log.warning("issuer's keys not fetched", url=issuer.url, result=error.result, reason=str(error))
            return
        finally:
            issuer.asked_at = self._clock()
        issuer.fetched_at, issuer.failure = now, ""
        self._metrics.key_fetches.labels("fetched").inc()
        kept = IssuerKeys(issuer.url, dump_key_set(issuer.keys), datetime.fromtimestamp(now, UTC))
        with contextlib.suppress(Unavailable):  # they are in memory, and the next fetch keeps them
            await self._store.keep_issuer_keys(kept)

    async def _load(self, issuer: _Issuer) -> None:
        """Take what the database has, where that is newer."""
        kept = await self._store.issuer_keys(issuer.url)
        if kept is None or kept.fetched_at.timestamp() <= issuer.fetched_at:
            return
        with contextlib.suppress(KeySetInvalid):  # of a release with other bounds; it is fetched anew
            issuer.keys, issuer.fetched_at = parse_key_set(kept.keys.encode()), kept.fetched_at.timestamp()

    def _why_none(self, issuer: _Issuer) -> str:
        if issuer.keys:
            return f"{issuer.failure}; those that were fetched before are older than {self._max_age / DAY:g} days"
        return issuer.failure


def _ended(issuer: _Issuer, update: asyncio.Task[None]) -> None:
    issuer.update = None
    if not update.cancelled():
        update.exception()  # whoever waits for it has it raised; nobody waits for a refresh


def _expected(url: str) -> str:
    return f"the keys that are published at {url}"

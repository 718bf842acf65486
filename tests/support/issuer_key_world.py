"""A cache of keys that others publish, with what is around it, and both clocks."""

import asyncio
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

from scim_api.http.metrics import Metrics
from scim_api.http.oauth.assertion import AssertionRefused
from scim_api.http.oauth.issuer_keys import (
    MAX_AGE,
    IssuerKeyCache,
)
from scim_api.http.oauth.key_fetch import KeysNotFetched
from scim_api.http.oauth.key_set import KeySet
from scim_api.store.errors import Unavailable
from scim_api.store.protocol import IssuerKeys
from support.federation import NOW, private_key

URL: Final = "https://login.example/keys"


def numbers(kid: str) -> RSAPublicNumbers:
    return private_key(kid).public_key().public_numbers()


def key_set(*kids: str) -> KeySet:
    return {kid: numbers(kid) for kid in kids}


class Publisher:
    """Where keys are published; it may be down, and may wait for the test's word."""

    def __init__(self, *kids: str) -> None:
        self.keys = key_set(*kids)
        self.failure: KeysNotFetched | None = None
        self.refused: KeysNotFetched | None = None
        self.fetched = 0
        self.word = asyncio.Event()
        self.word.set()

    def check(self, url: str) -> object:
        if self.refused is not None:
            raise self.refused
        return url

    async def fetch(self, url: str) -> KeySet:
        self.fetched += 1
        await self.word.wait()
        if self.failure is not None:
            raise self.failure
        return self.keys

    def goes_down(self, reason: str = "no answer within 5 seconds") -> None:
        self.failure = KeysNotFetched("unreachable", reason)


class Kept:
    """What the database keeps."""

    def __init__(self) -> None:
        self.kept: dict[str, IssuerKeys] = {}
        self.asked, self.down = 0, False

    async def issuer_keys(self, url: str) -> IssuerKeys | None:
        self.asked += 1
        if self.down:
            raise Unavailable("down")
        return self.kept.get(url)

    async def keep_issuer_keys(self, keys: IssuerKeys) -> None:
        if self.down:
            raise Unavailable("down")
        self.kept[keys.url] = keys


class World:
    """A cache, what is around it, and both clocks."""

    def __init__(self, *kids: str, max_age: float = MAX_AGE) -> None:
        self.publisher, self.kept, self.metrics = Publisher(*kids), Kept(), Metrics()
        self.uptime, self.now, self.max_age = 1000.0, float(NOW), max_age
        self.cache = self.restarted()

    def restarted(self) -> IssuerKeyCache:
        """Another process on the same database."""
        self.cache = IssuerKeyCache(
            self.kept,  # type: ignore[arg-type]
            self.publisher,
            self.metrics,
            max_age=self.max_age,
            clock=lambda: self.uptime,
        )
        return self.cache

    def passes(self, seconds: float) -> None:
        self.uptime += seconds
        self.now += seconds

    async def find(self, kid: str = "a", url: str = URL) -> RSAPublicNumbers:
        return await self.cache.find(url, kid, self.now)

    async def refusal(self, kid: str = "a") -> AssertionRefused:
        with pytest.raises(AssertionRefused) as refused:
            await self.find(kid)
        return refused.value

    async def settled(self) -> None:
        """Nothing goes on in the background any more."""
        async with asyncio.timeout(10):
            while any(issuer.update for issuer in self.cache._issuers.values()):
                await asyncio.sleep(0)

    def counted(self, result: str) -> float | None:
        found: float | None = self.metrics.registry.get_sample_value(
            "scim_api_key_fetches_total", {"result": result}
        )
        return found

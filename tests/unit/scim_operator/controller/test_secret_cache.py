"""Secrets of one kind of objects. How ScimTokens use it: test_cache.py; ScimWebhooks: test_webhook_cache.py."""

import pytest

from scim_operator.controller.secret_cache import SecretCache
from scim_operator.controller.watch_events import CachedSecret
from scim_operator.planning.ports import Key

KEY, OTHER = Key("ns", "app"), Key("ns", "other")


def secret(version: str, *, webhook: Key | None = KEY, token: Key | None = None) -> CachedSecret:
    return CachedSecret(token, webhook, "ns", "s", "s1", version)


@pytest.fixture
def cache() -> SecretCache:
    return SecretCache(lambda secret: secret.scimwebhook)


def apply(cache: SecretCache, seen: CachedSecret, *, deleted: bool = False) -> frozenset[Key]:
    return cache.apply(seen, listed=False, deleted=deleted, owners={KEY, OTHER})


def test_a_secret_of_another_kind_of_object_concerns_nobody_and_is_not_kept(cache: SecretCache) -> None:
    anothers = secret("1", webhook=None, token=KEY)
    assert apply(cache, anothers) == frozenset()
    assert cache.names(KEY) == frozenset()
    relisted = cache.apply(secret("2"), listed=True, deleted=False, owners={KEY})
    assert relisted == frozenset(), "as one that a list shows for the first time"
    assert cache.names(KEY) == {"s"}


def test_one_that_becomes_another_kinds_concerns_whom_it_named_once(cache: SecretCache) -> None:
    apply(cache, secret("1"))
    assert apply(cache, secret("2", webhook=None, token=OTHER)) == {KEY}
    assert apply(cache, secret("3", webhook=None, token=OTHER)) == frozenset()
    assert cache.names(KEY) == frozenset()


def test_the_last_four_versions_that_we_wrote_are_no_news(cache: SecretCache) -> None:
    for version in "23456":
        cache.record_own_write("s1", version)
    assert [bool(apply(cache, secret(version))) for version in "1234567"] == [
        True, True, False, False, False, False, True,
    ]  # fmt: skip


def test_what_we_wrote_is_forgotten_with_the_secret(cache: SecretCache) -> None:
    cache.record_own_write("s1", "2")
    apply(cache, secret("1"))
    assert apply(cache, secret("1"), deleted=True) == {KEY}
    assert apply(cache, secret("2")) == {KEY}

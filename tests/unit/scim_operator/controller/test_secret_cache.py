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


def test_what_we_wrote_is_no_news_although_its_event_comes_before_the_answer(cache: SecretCache) -> None:
    cache.hold(KEY)
    assert apply(cache, secret("1")) == frozenset()
    cache.record_own_write("s1", "1")
    assert apply(cache, secret("2")) == frozenset()
    cache.record_own_write("s1", "2")
    assert cache.release(KEY, {KEY}) == frozenset()
    assert cache.names(KEY) == {"s"}
    assert apply(cache, secret("3")) == {KEY}


@pytest.mark.parametrize("deleted", [False, True])
def test_what_another_did_during_a_reconcile_is_news_at_its_end(cache: SecretCache, deleted: bool) -> None:
    apply(cache, secret("1"))
    cache.hold(KEY)
    cache.record_own_write("s1", "2")
    assert apply(cache, secret("2")) == frozenset()
    assert apply(cache, secret("3"), deleted=deleted) == frozenset()
    assert cache.release(KEY, {KEY}) == {KEY}
    assert cache.names(KEY) == (frozenset() if deleted else {"s"})


def test_events_of_one_secret_keep_their_order_whomever_they_name(cache: SecretCache) -> None:
    cache.hold(KEY)
    cache.hold(OTHER)
    apply(cache, secret("1"))
    apply(cache, secret("2", webhook=OTHER))
    apply(cache, secret("3", webhook=None))
    assert cache.release(KEY, {KEY, OTHER}) == {KEY}
    assert cache.names(KEY) == {"s"}, "the others wait for the other"
    assert cache.names(OTHER) == frozenset()
    assert cache.release(OTHER, {KEY, OTHER}) == {KEY, OTHER}
    assert (cache.names(KEY), cache.names(OTHER)) == (frozenset(), frozenset())


def test_secrets_of_others_do_not_wait(cache: SecretCache) -> None:
    cache.hold(OTHER)
    assert apply(cache, secret("1")) == {KEY}
    assert cache.release(OTHER, {KEY, OTHER}) == frozenset()


def test_versions_whose_events_are_over_are_forgotten(cache: SecretCache) -> None:
    for version in "12":
        cache.record_own_write("s1", version)
    assert apply(cache, secret("2")) == frozenset()
    assert apply(cache, secret("1")) == {KEY}, "a watch never goes back; were it kept, ten thousand would be"

"""The cache of ScimWebhooks: it wakes the reconcile for what others changed, and for nothing we wrote ourselves."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_operator.controller.cache import InformerCache
from scim_operator.controller.watch_events import (
    WatchEvent,
    cached_scimtoken,
    cached_scimwebhook,
    cached_secret,
)
from scim_operator.controller.webhook_cache import WebhookCache
from scim_operator.controller.webhook_controller import KnownWebhooks
from scim_operator.planning.ports import Key

KEY = Key("ns", "app")


def scim_webhook(status: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    meta = {"namespace": "ns", "name": "app", "uid": "u1", "generation": 1}
    return {"metadata": {**meta, **metadata}, "spec": {}, "status": status or {}}


def secret(version: str = "1", label: str = "scim-operator.io/webhook", **meta: Any) -> dict[str, Any]:
    labels = {"app.kubernetes.io/managed-by": "scim-operator", label: "app"}
    base = {"namespace": "ns", "name": "s", "uid": "s1", "resourceVersion": version, "labels": labels}
    return {"metadata": {**base, **meta}}


def see(cache: WebhookCache, body: dict[str, Any], **circumstances: bool) -> frozenset[Key]:
    return cache.apply(WatchEvent(cached_scimwebhook(body), **circumstances))


def see_secret(cache: WebhookCache, body: dict[str, Any], **circumstances: bool) -> frozenset[Key]:
    return cache.apply(WatchEvent(cached_secret(body), **circumstances))


@pytest.fixture
def cache() -> WebhookCache:
    """It has seen one ScimWebhook."""
    made = WebhookCache()
    assert see(made, scim_webhook()) == {KEY}
    return made


def test_it_holds_the_webhooks_that_are_there(cache: WebhookCache) -> None:
    see(cache, scim_webhook(name="second", uid="u2"))
    assert (len(cache), set(cache), KEY in cache) == (2, {KEY, Key("ns", "second")}, True)
    assert see(cache, scim_webhook(), deleted=True) == {KEY}
    assert (len(cache), set(cache), KEY in cache) == (1, {Key("ns", "second")}, False)


def test_our_status_write_and_a_repeated_list_wake_nobody(cache: WebhookCache) -> None:
    assert not see(cache, scim_webhook({"observedGeneration": 1}))
    assert not see(cache, scim_webhook(), listed=True)


@pytest.mark.parametrize("change", [{"generation": 2}, {"annotations": {"a": "b"}}, {"uid": "u2"}])
def test_what_others_change_wakes_also_when_a_list_shows_it(
    cache: WebhookCache, change: dict[str, Any]
) -> None:
    assert see(cache, scim_webhook(**change), listed=True) == {KEY}


def test_a_late_deletion_of_its_predecessor_does_not_forget_it(cache: WebhookCache) -> None:
    assert not see(cache, scim_webhook(uid="u0"), deleted=True)
    assert KEY in cache


def test_one_that_was_never_seen_wakes_when_it_is_deleted() -> None:
    """Its deletion is the only sign that the API may hold it still."""
    cache = WebhookCache()
    assert see(cache, scim_webhook(), deleted=True) == {KEY}
    assert len(cache) == 0


def test_one_that_is_gone_without_an_event_is_forgotten_and_seen_when_it_comes_again(
    cache: WebhookCache,
) -> None:
    known: KnownWebhooks = cache
    known.discard(KEY)
    known.discard(Key("ns", "never seen"))
    assert list(known) == []
    assert see(cache, scim_webhook(), listed=True) == {KEY}


def test_a_secret_that_is_changed_or_deleted_wakes_its_webhook_but_not_what_we_wrote(
    cache: WebhookCache,
) -> None:
    assert not see_secret(cache, secret("1"), listed=True)
    cache.record_own_write("s1", "2")
    assert not see_secret(cache, secret("2"))
    assert see_secret(cache, secret("3")) == {KEY}
    assert see_secret(cache, secret("4"), deleted=True) == {KEY}


def test_a_secret_that_loses_its_label_wakes_whom_it_named(cache: WebhookCache) -> None:
    see_secret(cache, secret("1"), listed=True)
    assert see_secret(cache, secret("2", labels={})) == {KEY}


def test_a_secret_without_its_webhook_wakes_nobody() -> None:
    assert not see_secret(WebhookCache(), secret())


def test_each_cache_ignores_what_is_the_others(cache: WebhookCache) -> None:
    scim_token = {"metadata": {"namespace": "ns", "name": "app", "uid": "t1", "generation": 1}, "spec": {}}
    tokens = InformerCache()

    def woken(event: WatchEvent) -> list[int]:
        return [len(tokens.apply(event)), len(cache.apply(event))]

    assert woken(WatchEvent(cached_scimtoken(scim_token))) == [1, 0]
    assert woken(WatchEvent(cached_scimwebhook(scim_webhook(generation=2)))) == [0, 1]
    assert woken(WatchEvent(cached_secret(secret()))) == [0, 1]
    theirs = secret(name="t", uid="s2", label="scim-operator.io/token")
    assert woken(WatchEvent(cached_secret(theirs))) == [1, 0]
    assert (len(tokens), len(cache)) == (1, 1)


WHAT_HAPPENS = (
    "edit", "status", "relist", "delete", "create", "our secret", "their secret", "no secret"
)  # fmt: skip
CHANGES = st.lists(st.tuples(st.sampled_from(["app", "other"]), st.sampled_from(WHAT_HAPPENS)), max_size=40)


@given(CHANGES)
def test_whatever_happens_only_what_others_did_wakes_and_all_of_it(changes: list[tuple[str, str]]) -> None:
    """Against a cluster of two names, in which everything that happens is seen in order."""
    cache = WebhookCache()
    generations: dict[str, tuple[str, int]] = {}
    secrets: set[str] = set()
    for version, (name, change) in enumerate(changes, 1):
        uid, generation = generations.get(name, ("", 0))
        meta: dict[str, Any] = {"name": name, "uid": uid, "generation": generation}
        labels = {"scim-operator.io/webhook": name}
        owned = secret(str(version), name=f"{name}-secret", uid=f"secret-of-{name}", labels=labels)
        exists, woken = name in generations, frozenset[Key]()
        is_news = False
        match change:
            case "create" | "edit":
                is_news = exists or change == "create"
                if is_news:
                    uid = uid or f"{name}-{version}"
                    generations[name] = (uid, version)
                    woken = see(cache, scim_webhook(name=name, uid=uid, generation=version))
            case "status" if exists:
                woken = see(cache, scim_webhook({"at": version}, **meta))
            case "relist" if exists:
                woken = see(cache, scim_webhook(**meta), listed=True)
            case "delete" if exists:
                del generations[name]
                is_news = True
                woken = see(cache, scim_webhook(**meta), deleted=True)
            case "our secret":
                secrets.add(name)
                cache.record_own_write(f"secret-of-{name}", str(version))
                woken = see_secret(cache, owned)
            case "their secret":
                secrets.add(name)
                is_news = exists
                woken = see_secret(cache, owned)
            case "no secret" if name in secrets:
                secrets.remove(name)
                is_news = exists
                woken = see_secret(cache, owned, deleted=True)
        assert woken == ({Key("ns", name)} if is_news else frozenset())
        assert set(cache) == {Key("ns", each) for each in generations}
        assert len(cache) == len(generations)

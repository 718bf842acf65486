"""The informer cache: it wakes the reconcile for what others changed, and for nothing we wrote ourselves."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scim_operator.api.status import RefusedSignIn
from scim_operator.controller.cache import InformerCache
from scim_operator.controller.watch_events import WatchEvent, cached_scimtoken, cached_secret
from scim_operator.planning.ports import Key
from scim_operator.planning.sign_in_refusals import content_of

KEY = Key("ns", "contoso")


def scim_token(**changes: Any) -> dict[str, Any]:
    meta = {"namespace": "ns", "name": "contoso", "uid": "u1", "generation": 1, "resourceVersion": "1"}
    meta.update(changes.pop("metadata", {}))
    return {"metadata": meta, "spec": {}, **changes}


def ready_status(generation: int = 1) -> dict[str, Any]:
    return {
        "conditions": [{"type": "Ready", "status": "True"}],
        "observedGeneration": generation,
        "nextRotation": "2030-01-01T00:00:00Z",
        "tokens": [{"id": "old", "state": "Superseded"}, {"id": "t1", "state": "Active"}],
    }


LABELS = {"app.kubernetes.io/managed-by": "scim-operator", "scim-operator.io/token": "contoso"}


def secret(version: str = "1", **meta: Any) -> dict[str, Any]:
    base = {"namespace": "ns", "name": "s", "uid": "s1", "resourceVersion": version, "labels": LABELS}
    return {"metadata": {**base, **meta}, "data": {"token": "c2VjcmV0"}}


def see(cache: InformerCache, body: dict[str, Any], **circumstances: bool) -> bool:
    return bool(cache.apply(WatchEvent(cached_scimtoken(body), **circumstances)))


def see_secret(cache: InformerCache, body: dict[str, Any], **circumstances: bool) -> bool:
    return bool(cache.apply(WatchEvent(cached_secret(body), **circumstances)))


def with_scim_tokens(*names: str) -> InformerCache:
    """A cache that has seen these ScimTokens."""
    cache = InformerCache()
    for name in names or ("contoso",):
        see(cache, scim_token(metadata={"name": name, "uid": f"uid-{name}"}))
    return cache


def test_a_new_token_wakes() -> None:
    assert see(InformerCache(), scim_token())


def test_what_the_status_says_of_a_refused_sign_in_is_kept() -> None:
    refused = {"at": "2030-01-01T00:00:00Z", "check": "aud", "received": "api://other"}
    condition = {"type": "SignInRefused", "status": "True"}
    seen = cached_scimtoken(scim_token(status={"lastRefusedSignIn": refused, "conditions": [condition]}))
    assert (seen.refused_at, seen.sign_in_refused) == (datetime(2030, 1, 1, tzinfo=UTC), True)
    assert seen.refused == content_of(RefusedSignIn.model_validate(refused))
    for status in ({}, {"lastRefusedSignIn": {"at": 7}}, {"lastRefusedSignIn": None}):
        seen = cached_scimtoken(scim_token(status=status))
        assert (seen.refused_at, seen.refused, seen.sign_in_refused) == (None, None, False)


def test_our_status_write_does_not_wake() -> None:
    cache = InformerCache()
    see(cache, scim_token())
    assert not see(cache, scim_token(status=ready_status(), metadata={"resourceVersion": "2"}))


@pytest.mark.parametrize(
    "change",
    [
        {"generation": 2},
        {"annotations": {"scim-operator.io/rotate": "now"}},
        {"labels": {"team": "hr"}},
        {"deletionTimestamp": "2030-01-01T00:00:00Z"},
        {"finalizers": ["somebody.example/else"]},
        {"uid": "u2"},
    ],
)
def test_what_others_change_wakes(change: dict[str, Any]) -> None:
    cache = InformerCache()
    see(cache, scim_token())
    assert see(cache, scim_token(metadata=change))


def test_a_repeated_list_wakes_nobody() -> None:
    cache = InformerCache()
    see(cache, scim_token(), listed=True)
    see_secret(cache, secret(), listed=True)
    assert not see(cache, scim_token(), listed=True)
    assert not see_secret(cache, secret(), listed=True)


def test_a_deleted_token_wakes_and_is_forgotten() -> None:
    cache = InformerCache()
    see(cache, scim_token())
    assert see(cache, scim_token(), deleted=True)
    assert KEY not in cache


def test_a_late_deletion_of_its_predecessor_does_not_forget_the_new_token() -> None:
    cache = InformerCache()
    see(cache, scim_token(metadata={"uid": "u2"}))
    assert not see(cache, scim_token(metadata={"uid": "u1"}), deleted=True)
    assert KEY in cache


def test_a_secret_first_seen_in_a_list_does_not_wake_but_its_change_does() -> None:
    cache = with_scim_tokens()
    assert not see_secret(cache, secret("1"), listed=True)
    assert see_secret(cache, secret("2"))
    assert not see_secret(cache, secret("2"))
    assert see_secret(cache, secret("3"), listed=True)


def test_a_secret_that_we_wrote_does_not_wake_but_who_wrote_before_or_after_us_does() -> None:
    cache = with_scim_tokens()
    cache.record_own_write("s1", "2")
    cache.record_own_write("s1", "4")
    assert [see_secret(cache, secret(version)) for version in "12345"] == [True, False, True, False, True]
    cache.record_own_write("s2", "6")
    assert see_secret(cache, secret("6"))


@pytest.mark.parametrize("references", [[], None, [{"kind": "Deployment", "name": "x", "uid": "d"}]])
def test_a_secret_that_lost_its_owner_reference_wakes_and_so_does_whatever_happens_to_it_then(
    references: list[dict[str, str]] | None,
) -> None:
    cache = with_scim_tokens()
    see_secret(cache, secret("1"), listed=True)
    assert see_secret(cache, secret("2", ownerReferences=references))
    assert see_secret(cache, secret("3", ownerReferences=references))
    assert see_secret(cache, secret("4", ownerReferences=references), deleted=True)


@pytest.mark.parametrize("labels", [None, {}, {"app.kubernetes.io/managed-by": "scim-operator"}])
def test_a_secret_that_lost_its_label_wakes_whom_it_named_before(labels: dict[str, str] | None) -> None:
    cache = with_scim_tokens()
    see_secret(cache, secret("1"), listed=True)
    assert cache.apply(WatchEvent(cached_secret(secret("2", labels=labels)))) == {KEY}


def test_a_secret_whose_label_names_another_wakes_both() -> None:
    cache = with_scim_tokens("contoso", "fabrikam")
    see_secret(cache, secret("1"), listed=True)
    moved = secret("2", labels=LABELS | {"scim-operator.io/token": "fabrikam"})
    assert cache.apply(WatchEvent(cached_secret(moved))) == {KEY, Key("ns", "fabrikam")}


def test_a_secret_that_was_deleted_and_made_anew_while_the_watch_was_away_wakes() -> None:
    cache = with_scim_tokens()
    see_secret(cache, secret("1"), listed=True)
    assert see_secret(cache, secret("9", uid="s2"), listed=True)


def test_a_late_deletion_of_an_earlier_secret_does_not_forget_the_new_one() -> None:
    cache = with_scim_tokens()
    see_secret(cache, secret("9", uid="s2"))
    see_secret(cache, secret("8", uid="s1"), deleted=True)
    assert not see_secret(cache, secret("9", uid="s2"), listed=True)


def test_a_secret_without_its_scim_token_wakes_nobody() -> None:
    """A reconcile without a ScimToken ends the connection; a restore brings the Secret first."""
    cache = InformerCache()
    assert not see_secret(cache, secret("1"))
    assert not see_secret(cache, secret("2"), deleted=True)


def test_a_deleted_secret_wakes() -> None:
    cache = with_scim_tokens()
    see_secret(cache, secret("1"), listed=True)
    assert see_secret(cache, secret("2"), deleted=True)


def test_a_secret_is_known_by_its_label_and_nobodys_without() -> None:
    assert cached_secret(secret()).scimtoken == KEY
    assert cached_secret(secret(labels={})).scimtoken is None
    assert not see_secret(with_scim_tokens(), secret(labels=None))


def test_nothing_of_a_secrets_data_is_kept() -> None:
    assert "c2VjcmV0" not in repr(cached_secret(secret()))


def test_settled_means_ready_for_this_generation_and_staying() -> None:
    assert cached_scimtoken(scim_token(status=ready_status())).is_ready
    assert not cached_scimtoken(scim_token()).is_ready
    assert not cached_scimtoken(scim_token(status=ready_status(), metadata={"generation": 2})).is_ready
    leaving = {"deletionTimestamp": "2030-01-01T00:00:00Z"}
    assert not cached_scimtoken(scim_token(status=ready_status(), metadata=leaving)).is_ready


def test_what_annotations_ask_for_is_noted() -> None:
    asking = {"annotations": {"scim-operator.io/revoke": "all-superseded"}}
    assert cached_scimtoken(scim_token(metadata=asking)).has_request
    assert not cached_scimtoken(scim_token(metadata={"annotations": {"team": "hr"}})).has_request


def test_a_status_of_an_unknown_shape_is_read_as_not_settled() -> None:
    sighting = cached_scimtoken(scim_token(status={"nextRotation": "soon", "new": {}}))
    assert (sighting.is_ready, sighting.next_rotation, sighting.active_token) == (False, None, None)


def test_a_full_list_forgets_what_vanished_and_tells_what_changed_unseen() -> None:
    cache = InformerCache()
    see(cache, scim_token())
    see(cache, scim_token(metadata={"name": "gone", "uid": "u9"}))
    cache.begin_list()
    changed = cache.replace([cached_scimtoken(scim_token(metadata={"generation": 5}))])
    assert changed == {KEY}
    assert [token.key for token in cache] == [KEY]


def warned(**statuses: str) -> dict[str, Any]:
    """A status with these conditions, each with its reason and a message."""
    conditions = [
        {"type": kind, "status": status, "reason": f"{kind}{status}", "message": "words"}
        for kind, status in statuses.items()
    ]
    return {"conditions": conditions}


@pytest.mark.parametrize(("status", "expected"), [("True", True), ("False", False), ("Unknown", False)])
def test_a_superseded_token_in_use_is_known_from_the_status(status: str, expected: bool) -> None:
    assert cached_scimtoken(scim_token(status=warned(SupersededTokenInUse=status))).in_use is expected
    assert not cached_scimtoken(scim_token()).in_use


def test_whose_status_tells_something_else_of_the_endpoint_is_found() -> None:
    cache = InformerCache()
    for name, conditions in (
        ("up", {"EndpointReachable": "True"}),
        ("down", {"EndpointReachable": "False"}),
        ("new", {}),
    ):
        see(cache, scim_token(metadata={"name": name}, status=warned(**conditions)))
    assert cache.with_other_endpoint_summary("EndpointReachableTrue words") == {
        Key("ns", "down"),
        Key("ns", "new"),
    }


def test_what_the_watch_told_while_a_list_was_read_is_newer_than_the_list() -> None:
    cache = InformerCache()
    see(cache, scim_token())
    old_list = [cached_scimtoken(scim_token())]
    cache.begin_list()
    see(cache, scim_token(status=ready_status()))
    see(cache, scim_token(metadata={"name": "fabrikam", "uid": "u2"}))

    assert cache.replace(old_list) == frozenset()

    assert {token.key.name: token.is_ready for token in cache} == {"contoso": True, "fabrikam": False}


def test_what_was_deleted_while_a_list_was_read_does_not_come_back() -> None:
    cache = InformerCache()
    see(cache, scim_token())
    cache.begin_list()
    see(cache, scim_token(), deleted=True)

    assert cache.replace([cached_scimtoken(scim_token())]) == frozenset()

    assert KEY not in cache


def test_the_next_list_counts_again() -> None:
    cache = InformerCache()
    cache.begin_list()
    see(cache, scim_token())
    cache.begin_list()
    assert cache.replace([]) == frozenset()
    assert len(cache) == 0


def test_a_token_that_should_have_been_replaced_is_told_with_its_end() -> None:
    cache = InformerCache()
    due, end = datetime(2030, 1, 1, tzinfo=UTC), datetime(2030, 2, 1, tzinfo=UTC)
    see(cache, scim_token(status={**ready_status(), "expiresAt": "2030-02-01T00:00:00Z"}))
    see(cache, scim_token(metadata={"name": "fresh", "uid": "u2"}))
    assert list(cache.rotation_overdue(due - timedelta(seconds=1))) == []
    assert list(cache.rotation_overdue(due)) == [(KEY, end)]


def test_the_secrets_of_a_scim_token_are_told_by_name() -> None:
    cache = with_scim_tokens()
    see_secret(cache, secret("1"))
    see_secret(cache, secret("2", name="other", uid="s2"))
    assert cache.secret_names(KEY) == {"s", "other"}
    see_secret(cache, secret("3"), deleted=True)
    assert cache.secret_names(KEY) == {"other"}
    see_secret(cache, secret("4", name="other", uid="s2", labels={}))
    assert cache.secret_names(KEY) == frozenset()


def test_a_second_secret_wakes_also_when_we_wrote_it_or_a_list_shows_it() -> None:
    """One of the two is to be deleted, although whoever wrote it may have been killed before that."""
    cache = with_scim_tokens()
    see_secret(cache, secret("1"), listed=True)
    assert see_secret(cache, secret("2", name="other", uid="s2"), listed=True)
    cache.record_own_write("s2", "3")
    assert see_secret(cache, secret("3", name="other", uid="s2"))
    assert not see_secret(cache, secret("3", name="other", uid="s2"), listed=True)


def test_the_expiry_of_every_token_is_known_and_forgotten_with_its_scimtoken() -> None:
    cache, end = InformerCache(), datetime(2030, 2, 1, tzinfo=UTC)
    see(cache, scim_token(status={**ready_status(), "expiresAt": "2030-02-01T00:00:00Z"}))
    see(cache, scim_token(metadata={"name": "without-a-token-yet", "uid": "u2"}, status={}))
    assert list(cache.token_expiries()) == [(KEY, end)]
    see(cache, scim_token(), deleted=True)
    assert list(cache.token_expiries()) == []


APPLICATION = "7a1f6c52-6d0e-4a53-8a5e-5b0f2f0e9d0a"


def handing_over(name: str, created: str, *, has: bool = True, mode: str = "Automatic") -> dict[str, Any]:
    status = {"entra": {"handedOver": {"servicePrincipalID": APPLICATION}} if has else {}}
    return scim_token(
        metadata={"name": name, "uid": f"uid-{name}", "creationTimestamp": created},
        spec={"entra": {"servicePrincipalID": APPLICATION, "handOver": mode}},
        status=status,
    )


class TestApplications:
    OLD, NEW = Key("ns", "old"), Key("ns", "new")

    def seen(self, *bodies: dict[str, Any]) -> InformerCache:
        cache = InformerCache()
        for body in bodies:
            see(cache, body)
        return cache

    def test_of_two_that_hand_over_to_the_same_application_the_older_goes_on(self) -> None:
        cache = self.seen(
            handing_over("new", "2026-02-01T00:00:00Z"), handing_over("old", "2026-01-01T00:00:00Z")
        )
        assert cache.application_owner(self.NEW, APPLICATION) == self.OLD
        assert cache.application_owner(self.OLD, APPLICATION) is None

    def test_one_that_has_never_handed_over_comes_after_one_that_has_however_old_it_is(self) -> None:
        """Whoever names an application has no right to it yet: it must not keep others from handing over."""
        cache = self.seen(
            handing_over("old", "2026-01-01T00:00:00Z", has=False),
            handing_over("new", "2026-02-01T00:00:00Z"),
        )
        assert cache.application_owner(self.OLD, APPLICATION) == self.NEW
        assert cache.application_owner(self.NEW, APPLICATION) is None

    def test_one_that_hands_over_no_longer_is_in_nobodys_way(self) -> None:
        for mode in ("Off", "ValidateOnly"):
            cache = self.seen(
                handing_over("old", "2026-01-01T00:00:00Z", mode=mode),
                handing_over("new", "2026-02-01T00:00:00Z"),
            )
            assert cache.application_owner(self.NEW, APPLICATION) is None
        cache = self.seen(
            handing_over("old", "2026-01-01T00:00:00Z"), handing_over("new", "2026-02-01T00:00:00Z")
        )
        see(cache, handing_over("old", "2026-01-01T00:00:00Z"), deleted=True)
        assert cache.application_owner(self.NEW, APPLICATION) is None

    def test_what_stands_in_spec_or_status_has_something_to_do_with_entra(self) -> None:
        assert self.seen(handing_over("old", "", has=False)).has_entra(self.OLD)
        left = scim_token(metadata={"name": "old"}, status={"entra": {}})
        assert self.seen(left).has_entra(self.OLD)
        assert not self.seen(scim_token(metadata={"name": "old"})).has_entra(self.OLD)

    @pytest.mark.parametrize("odd", [None, [], "entra", {"entra": None}, {"entra": []}])
    def test_a_spec_or_status_of_another_form_is_no_concern(self, odd: Any) -> None:
        for changes in ({"spec": odd}, {"status": odd}):
            body = handing_over("old", "") | changes
            assert self.seen(body).application_owner(self.NEW, APPLICATION) is None

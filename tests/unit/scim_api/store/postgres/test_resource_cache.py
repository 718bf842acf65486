"""What is remembered of resources is bounded, of one tenant, and used once."""

from scim_api.core.model import Resource
from scim_api.store.postgres.resource_cache import MAX_BODY_LENGTH, MAX_ENTRIES, ResourceCache


def resource(identity: str, *, version: int = 1, doc: str = "{}") -> Resource:
    moment = "2026-11-23T14:00:00.123456Z"
    return Resource(identity, version, moment, moment, doc)


def test_what_was_seen_is_used_once() -> None:
    recent = ResourceCache()
    recent.put(1, resource("a"))

    assert recent.pop(1, "a") == resource("a")
    assert recent.pop(1, "a") is None


def test_what_was_seen_last_counts() -> None:
    recent = ResourceCache()
    recent.put(1, resource("a", version=1))
    recent.put(1, resource("a", version=2))

    assert recent.pop(1, "a") == resource("a", version=2)
    assert recent.pop(1, "a") is None


def test_tenants_do_not_share_what_was_seen() -> None:
    recent = ResourceCache()
    recent.put(1, resource("a"))

    assert recent.pop(2, "a") is None
    assert recent.pop(1, "a") is not None


def test_the_one_that_was_seen_longest_ago_is_forgotten_when_there_are_too_many() -> None:
    recent = ResourceCache()
    for number in range(MAX_ENTRIES):
        recent.put(1, resource(str(number)))
    recent.put(1, resource("0"))  # once more, so that "1" is the oldest
    recent.put(1, resource("new"))

    assert len(recent._resources) == MAX_ENTRIES
    assert recent.pop(1, "1") is None
    assert all(recent.pop(1, one) is not None for one in ("0", "2", str(MAX_ENTRIES - 1), "new"))


def test_a_long_body_is_not_remembered() -> None:
    recent = ResourceCache()
    recent.put(1, resource("fits", doc="x" * MAX_BODY_LENGTH))
    recent.put(1, resource("long", doc="x" * (MAX_BODY_LENGTH + 1)))

    assert recent.pop(1, "fits") is not None
    assert recent.pop(1, "long") is None

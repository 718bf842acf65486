"""What is remembered of resources is bounded, of one tenant, and used once."""

from scim_api.core.model import Resource
from scim_api.store.postgres.resource_cache import ENTRIES, LONGEST, Recent


def resource(identity: str, *, version: int = 1, doc: str = "{}") -> Resource:
    moment = "2026-11-23T14:00:00.123456Z"
    return Resource(identity, version, moment, moment, doc)


def test_what_was_seen_is_used_once() -> None:
    recent = Recent()
    recent.see(1, resource("a"))

    assert recent.take(1, "a") == resource("a")
    assert recent.take(1, "a") is None


def test_what_was_seen_last_counts() -> None:
    recent = Recent()
    recent.see(1, resource("a", version=1))
    recent.see(1, resource("a", version=2))

    assert recent.take(1, "a") == resource("a", version=2)
    assert recent.take(1, "a") is None


def test_tenants_do_not_share_what_was_seen() -> None:
    recent = Recent()
    recent.see(1, resource("a"))

    assert recent.take(2, "a") is None
    assert recent.take(1, "a") is not None


def test_the_one_that_was_seen_longest_ago_is_forgotten_when_there_are_too_many() -> None:
    recent = Recent()
    for number in range(ENTRIES):
        recent.see(1, resource(str(number)))
    recent.see(1, resource("0"))  # once more, so that "1" is the oldest
    recent.see(1, resource("new"))

    assert len(recent._seen) == ENTRIES
    assert recent.take(1, "1") is None
    assert all(recent.take(1, one) is not None for one in ("0", "2", str(ENTRIES - 1), "new"))


def test_a_long_body_is_not_remembered() -> None:
    recent = Recent()
    recent.see(1, resource("fits", doc="x" * LONGEST))
    recent.see(1, resource("long", doc="x" * (LONGEST + 1)))

    assert recent.take(1, "fits") is not None
    assert recent.take(1, "long") is None

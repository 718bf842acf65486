"""What the hand-over benchmark takes from watches, and how it counts."""

import base64
from typing import Any

from bench.hand_over_watch import Seen, by_second


def secret(token: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "one-scim-token"},
        "data": {"token-id": base64.b64encode(token.encode()).decode()},
    }


def scimtoken(token: str, **more: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "one"},
        "status": {"entra": {"handedOver": {"credentialID": token} | more}},
    }


def test_a_credential_waits_from_its_secret_until_the_status_says_that_it_is_used() -> None:
    seen = Seen()
    seen.secret(secret("a"))
    seen.scimtoken(scimtoken("a"))
    assert (seen.waiting, seen.used) == (1, {})
    seen.scimtoken(scimtoken("a", inUseAt="2026-11-29T12:00:00Z"))
    assert seen.waiting == 0
    seen.secret(secret("b"))
    assert (seen.current, seen.waiting) == ({"one": "b"}, 1)
    assert seen.used["one", "a"] >= seen.published["one", "a"]


def test_the_first_time_counts() -> None:
    seen = Seen()
    seen.secret(secret("a"))
    first = dict(seen.published)
    seen.secret(secret("a"))
    assert seen.published == first


def test_other_secrets_are_left_out() -> None:
    seen = Seen()
    seen.secret({"metadata": {"name": "tls"}, "data": {"token-id": "eA=="}})
    seen.secret({"metadata": {"name": "one-scim-token"}})
    assert seen.current == {}


def test_requests_fall_into_their_seconds() -> None:
    assert by_second([9.9, 10.0, 10.9, 12.0, 13.0], began=10.0, seconds=3) == [2, 0, 1]

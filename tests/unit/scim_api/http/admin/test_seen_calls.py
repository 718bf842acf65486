"""What was taken once is not taken again, in bounded memory."""

from scim_api.contract.signing import LONGEST_VALIDITY
from scim_api.http.admin.seen_calls import SeenCalls


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_nonce_is_new_once_for_as_long_as_a_signature_can_hold() -> None:
    clock = Clock()
    seen = SeenCalls(clock=clock)
    assert seen.is_first("a")
    assert not seen.is_first("a")
    assert seen.is_first("b")
    clock.now += LONGEST_VALIDITY.total_seconds() - 0.1
    assert not seen.is_first("a")
    clock.now += 0.2
    assert seen.is_first("c")
    assert len(seen) == 1, "what can no longer be replayed is forgotten"


def test_beyond_the_limit_the_oldest_is_forgotten() -> None:
    seen = SeenCalls(limit=3, clock=Clock())
    assert all(seen.is_first(str(number)) for number in range(10))
    assert len(seen) == 3
    assert not seen.is_first("9")
    assert seen.is_first("0")

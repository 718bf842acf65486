"""The workqueue: each key once, at the earliest moment that was asked for."""

from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from scim_operator.api.custom_object import Key
from scim_operator.controller.workqueue import Workqueue

A: Final = Key("ns", "a")
B: Final = Key("ns", "b")


def test_a_key_is_due_at_its_moment_and_not_before() -> None:
    queue = Workqueue()
    queue.add(A, 5.0)
    assert queue.get(4.9) is None
    assert queue.get(5.0) == A


def test_of_two_moments_the_earlier_counts_whichever_came_first() -> None:
    for moments in ((3.0, 7.0), (7.0, 3.0)):
        queue = Workqueue()
        for moment in moments:
            queue.add(A, moment)
        assert queue.next_due() == 3.0
        assert (queue.get(3.0), queue.get(100.0)) == (A, None), "and it is processed once"


def test_while_a_key_is_processed_the_earlier_of_two_moments_counts_too() -> None:
    for moments in ((3.0, 7.0), (7.0, 3.0)):
        queue = Workqueue()
        queue.add(A, 0.0)
        queue.get(0.0)
        for moment in moments:
            queue.add(A, moment)
        assert queue.get(100.0) is None, "no key is processed twice at once"
        queue.done(A)
        assert queue.next_due() == 3.0


def test_a_key_that_nobody_added_meanwhile_is_not_due_again() -> None:
    queue = Workqueue()
    queue.add(A, 0.0)
    queue.get(0.0)
    queue.done(A)
    assert (len(queue), queue.next_due()) == (0, None)


def test_the_longest_due_comes_first_and_among_equals_the_first_that_was_added() -> None:
    queue = Workqueue()
    queue.add(B, 2.0)
    queue.add(A, 2.0)
    assert [queue.get(9.0), queue.get(9.0)] == [B, A]
    queue.done(A)
    queue.done(B)
    queue.add(B, 2.0)
    queue.add(A, 1.0)
    assert [queue.get(9.0), queue.get(9.0)] == [A, B]


def test_clear_drops_what_is_due_and_what_was_added_while_processed() -> None:
    queue = Workqueue()
    queue.add(A, 0.0)
    queue.add(B, 1.0)
    queue.get(0.0)
    queue.add(A, 2.0)
    queue.clear()
    queue.done(A)
    assert (len(queue), queue.next_due()) == (0, None)


@given(st.lists(st.tuples(st.sampled_from(["add", "get", "done"]), st.integers(0, 3), st.integers(0, 9))))
def test_it_is_what_a_plain_account_of_moments_says(steps: list[tuple[str, int, int]]) -> None:
    """Against two dictionaries: when each key is due, and what was added while it was processed."""
    queue, due, processing = Workqueue(), dict[Key, int](), dict[Key, int | None]()
    for step, number, moment in steps:
        key = Key("ns", str(number))
        match step:
            case "add" if key in processing:
                added = processing[key]
                processing[key] = moment if added is None else min(added, moment)
                queue.add(key, moment)
            case "add":
                due[key] = min(moment, due.get(key, moment))
                queue.add(key, moment)
            case "get":
                ready = {name: at for name, at in due.items() if at <= moment}
                got = queue.get(moment)
                assert (got in ready and ready[got] == min(ready.values())) if got else not ready
                if got:
                    del due[got]
                    processing[got] = None
            case _ if key in processing:
                added = processing.pop(key)
                queue.done(key)
                if added is not None:
                    due[key] = min(added, due.get(key, added))
        assert len(queue) == len(due)
        assert queue.next_due() == min(due.values(), default=None)

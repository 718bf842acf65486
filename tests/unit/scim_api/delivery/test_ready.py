"""What is sent next: in order for each resource, one of a resource at a time, whatever fails and ends when."""

import collections

from hypothesis import given
from hypothesis import strategies as st

from scim_api.delivery.ready import ReadyDeliveries
from scim_api.store.webhooks import Delivery


def delivery(change: int, resource: str) -> Delivery:
    return Delivery(change, f"{change}-x", "user.updated", "", resource, "{}")


def begun(ready: ReadyDeliveries) -> list[int]:
    """All that can be begun now."""
    found = []
    while (one := ready.begin()) is not None:
        found.append(one.change)
    return found


def test_one_of_each_resource_is_begun_and_the_next_when_it_has_ended() -> None:
    ready = ReadyDeliveries()
    ready.add([delivery(1, "ada"), delivery(2, "ada"), delivery(3, "bob"), delivery(4, "ada")])
    assert begun(ready) == [1, 3]
    assert ready.changes == {2, 4}
    assert len(ready) == 2
    ready.end("ada")
    assert begun(ready) == [2]
    ready.end("bob")
    assert begun(ready) == []


def test_what_is_added_while_one_of_its_resource_is_under_way_waits_for_it() -> None:
    ready = ReadyDeliveries()
    ready.add([delivery(1, "ada")])
    assert begun(ready) == [1]
    ready.add([delivery(2, "ada")])
    assert begun(ready) == []
    ready.end("ada")
    assert begun(ready) == [2]


def test_what_is_dropped_is_not_begun_and_can_come_again() -> None:
    ready = ReadyDeliveries()
    ready.add([delivery(1, "ada"), delivery(2, "ada"), delivery(3, "bob")])
    assert ready.begin() == delivery(1, "ada")
    ready.drop("ada")
    ready.end("ada")
    assert begun(ready) == [3]
    ready.add([delivery(1, "ada")])
    assert begun(ready) == [1]


def test_after_everything_was_forgotten_what_is_under_way_still_holds_up_its_resource() -> None:
    ready = ReadyDeliveries()
    ready.add([delivery(1, "ada"), delivery(2, "ada"), delivery(3, "bob")])
    assert ready.begin() == delivery(1, "ada")
    ready.clear()
    assert (begun(ready), len(ready)) == ([], 0)
    ready.add([delivery(2, "ada")])
    assert begun(ready) == []
    ready.end("ada")
    assert begun(ready) == [2]


RESOURCES = ("ada", "bob", "eve")


@given(
    st.lists(st.tuples(st.sampled_from(["add", "begin", "end", "drop", "clear"]), st.sampled_from(RESOURCES)))
)
def test_each_resource_keeps_its_order_and_never_has_two_under_way(steps: list[tuple[str, str]]) -> None:
    ready, number = ReadyDeliveries(), 0
    waiting: dict[str, list[int]] = collections.defaultdict(list)
    under_way: set[str] = set()
    for step, resource in steps:
        if step == "add":
            number += 1
            ready.add([delivery(number, resource)])
            waiting[resource].append(number)
        elif step == "begin":
            found = ready.begin()
            able = {name for name in RESOURCES if waiting[name] and name not in under_way}
            assert (found is not None) == bool(able)
            if found is not None:
                assert found.resource in able
                assert found.change == waiting[found.resource].pop(0)
                under_way.add(found.resource)
        elif step == "end" and resource in under_way:
            ready.end(resource)
            under_way.discard(resource)
        elif step == "drop":
            ready.drop(resource)
            waiting[resource].clear()
        elif step == "clear":
            ready.clear()
            waiting.clear()
        assert ready.changes == {one for listed in waiting.values() for one in listed}

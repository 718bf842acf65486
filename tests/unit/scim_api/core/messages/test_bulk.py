"""Bulk requests: reading, the order of operations, and what takes the place of references."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_api.core.errors import ScimError
from scim_api.core.limits import MAX_BULK_OPERATIONS
from scim_api.core.messages.bulk import (
    BulkOperation,
    BulkStep,
    InvalidOperation,
    order_operations,
    read_bulk,
    resolve_references,
)


def post(bulk_id: str, *refers: str, path: str = "/Users") -> dict[str, Any]:
    """A POST whose data refers to other operations."""
    members = [{"value": f"bulkId:{name}"} for name in refers]
    return {"method": "POST", "path": path, "bulkId": bulk_id, "data": {"members": members}}


def steps(*operations: dict[str, Any]) -> list[BulkStep]:
    return list(order_operations(read_bulk({"Operations": list(operations)}).operations))


def read(operation: Any) -> BulkOperation | InvalidOperation:
    return read_bulk({"Operations": [operation]}).operations[0]


@pytest.mark.parametrize(
    ("body", "status", "named"),
    [
        ({}, 400, "Operations"),
        ({"Operations": None}, 400, "Operations"),
        ({"Operations": {}}, 400, "Operations"),
        ({"Operations": [post("a")], "failOnErrors": 0}, 400, "failOnErrors"),
        ({"Operations": [post("a")], "failOnErrors": "1"}, 400, "failOnErrors"),
        ({"Operations": [post("a")], "failonerrors": True}, 400, "failOnErrors"),
        ({"Operations": [post("a")] * (MAX_BULK_OPERATIONS + 1)}, 413, str(MAX_BULK_OPERATIONS)),
    ],
)
def test_a_body_of_another_shape_is_refused(body: dict[str, Any], status: int, named: str) -> None:
    with pytest.raises(ScimError) as refusal:
        read_bulk(body)
    assert refusal.value.status == status
    assert named in refusal.value.detail


@pytest.mark.parametrize(
    ("operation", "named"),
    [
        (5, "object"),
        ({}, "method"),
        ({"method": "GET", "path": "/Users/1"}, "method"),
        ({"method": 5, "path": "/Users/1"}, "method"),
        ({"method": "DELETE"}, "path"),
        ({"method": "DELETE", "path": 5}, "path"),
        ({"method": "DELETE", "path": "/Users"}, "path"),
        ({"method": "DELETE", "path": "/Me/5"}, "path"),
        ({"method": "DELETE", "path": "/Users/1/2"}, "path"),
        ({"method": "POST", "path": "/Users/1", "bulkId": "a", "data": {}}, "path"),
        ({"method": "POST", "path": "/Users", "data": {}}, "bulkId"),
        ({"method": "POST", "path": "/Users", "bulkId": 7, "data": {}}, "bulkId"),
        ({"method": "POST", "path": "/Users", "bulkId": "a"}, "data"),
        ({"method": "PATCH", "path": "/Users/1", "data": []}, "data"),
        ({"method": "DELETE", "path": "/Users/1", "version": 1}, "version"),
    ],
)
def test_an_operation_that_makes_no_sense_is_refused_alone(operation: Any, named: str) -> None:
    found = read(operation)
    assert isinstance(found, InvalidOperation)
    assert found.error.status == 400
    assert named in found.error.detail


def test_names_methods_and_paths_come_in_any_case() -> None:
    found = read({"METHOD": "delete", "Path": "users/abc/", "VERSION": 'W/"1"'})
    assert isinstance(found, BulkOperation)
    assert (found.method, found.kind, found.target, found.version) == ("DELETE", "User", "abc", 'W/"1"')


def test_a_bulk_id_that_is_taken_is_refused_the_second_time() -> None:
    first, second = read_bulk({"Operations": [post("a"), post("a")]}).operations
    assert isinstance(first, BulkOperation)
    assert isinstance(second, InvalidOperation)
    assert "bulkId" in second.error.detail


def test_without_references_the_order_stays() -> None:
    assert steps(post("a"), post("b"), post("c")) == [BulkStep(0), BulkStep(1), BulkStep(2)]


def test_an_operation_comes_after_those_it_refers_to() -> None:
    assert steps(post("a", "c"), post("b", "a"), post("c")) == [BulkStep(2), BulkStep(0), BulkStep(1)]


def test_a_circle_is_cut_at_one_place_and_completed_there() -> None:
    assert steps(post("a", "b"), post("b", "a")) == [
        BulkStep(1, without=frozenset({"a"})),
        BulkStep(0),
        BulkStep(1, completes=True),
    ]


def test_a_reference_to_itself_is_completed_at_once() -> None:
    assert steps(post("a", "a")) == [BulkStep(0, without=frozenset({"a"})), BulkStep(0, completes=True)]


def test_references_to_nothing_change_no_order() -> None:
    assert steps(post("a", "nothing"), post("b")) == [BulkStep(0), BulkStep(1)]


def test_a_chain_as_long_as_a_request_can_be_is_planned() -> None:
    chain = [post(str(i), str(i + 1)) for i in range(MAX_BULK_OPERATIONS)]
    assert [step.index for step in steps(*chain)] == list(reversed(range(MAX_BULK_OPERATIONS)))


@given(st.lists(st.lists(st.integers(0, 7), max_size=4), min_size=1, max_size=8))
def test_every_reference_is_there_or_completed_later(graph: list[list[int]]) -> None:
    size = len(graph)
    needs = [{str(other) for other in row if other < size} for row in graph]
    made: set[str] = set()
    completed: set[int] = set()
    incomplete: set[int] = set()
    for step in steps(*(post(str(i), *row) for i, row in enumerate(needs))):
        if step.completes:
            assert needs[step.index] <= made
            incomplete.remove(step.index)
            completed.add(step.index)
            continue
        assert str(step.index) not in made
        assert needs[step.index] - step.without <= made
        if step.without:
            incomplete.add(step.index)
        made.add(str(step.index))
    assert made == {str(index) for index in range(size)}
    assert not incomplete


def test_references_are_replaced_wherever_an_id_can_stand() -> None:
    ids = {"a": "1", "b": "2"}
    data = {
        "members": [{"value": "bulkId:a"}, "bulkId:b", {"$ref": "https://x/Users/bulkId:a"}],
        "path": 'members[value eq "bulkId:a" or value eq "bulkId:b"]',
        "urn:x": {"manager": {"value": "bulkId:b"}},
        "displayName": "Not a bulkId:a",
        "n": [1, None, True],
    }
    assert resolve_references(data, ids) == {
        "members": [{"value": "1"}, "2", {"$ref": "https://x/Users/1"}],
        "path": 'members[value eq "1" or value eq "2"]',
        "urn:x": {"manager": {"value": "2"}},
        "displayName": "Not a bulkId:a",
        "n": [1, None, True],
    }
    assert resolve_references("bulkId:a", ids) == "1"


def test_what_is_not_there_yet_is_left_out() -> None:
    data = {
        "displayName": "x",
        "members": [{"value": "bulkId:a", "type": "User"}, {"value": "bulkId:b"}],
        "manager": {"value": "bulkId:a", "displayName": "A"},
        "plain": "bulkId:a",
    }
    assert resolve_references(data, {"b": "2"}, frozenset({"a"})) == {
        "displayName": "x",
        "members": [{"value": "2"}],
    }

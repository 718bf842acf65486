"""Queries, and cursors that belong to one query."""

from typing import Any

import pytest

from scim_api.core.errors import ScimError
from scim_api.core.limits import DEFAULT_RESULTS, MAX_RESULTS
from scim_api.core.messages.search_request import (
    PagePosition,
    SearchRequest,
    encode_cursor,
    page_position,
    read_query,
    read_search,
)

MOST = 2**53


def query(**parameters: str) -> SearchRequest:
    return read_query(parameters)


def refusal(**parameters: str) -> ScimError:
    with pytest.raises(ScimError) as refused:
        read_query(parameters)
    assert refused.value.status == 400
    return refused.value


def test_a_query_that_says_nothing_asks_for_the_first_page_of_all() -> None:
    assert query() == SearchRequest(None, None, None, None, False, 1, DEFAULT_RESULTS, None)
    assert query(filter="", sortby="", count="", startindex="") == query()


@pytest.mark.parametrize(
    ("sent", "count"), [("0", 0), ("-5", 0), ("+7", 7), ("200", MAX_RESULTS), ("201", MAX_RESULTS), ("9" * 30, MAX_RESULTS)]
)  # fmt: skip
def test_a_count_is_brought_within_its_bounds(sent: str, count: int) -> None:
    assert query(count=sent).count == count


@pytest.mark.parametrize(("sent", "start"), [("0", 1), ("-3", 1), ("1", 1), ("17", 17), ("9" * 30, MOST)])
def test_a_start_index_is_brought_within_its_bounds(sent: str, start: int) -> None:
    assert query(startindex=sent).start_index == start
    assert page_position(query(startindex=sent), 1, "User") == PagePosition(offset=start - 1)


@pytest.mark.parametrize("sent", ["ten", "1.0", "1e3", "٣", "9" * 31, " 1"])
def test_what_is_no_integer_is_refused_by_its_name(sent: str) -> None:
    assert refusal(startindex=sent).detail.startswith("startIndex is ")
    assert refusal(count=sent).scim_type == "invalidValue"
    assert refusal(count=sent, cursor="").scim_type == "invalidCount"


def test_an_order_is_ascending_unless_it_says_otherwise() -> None:
    assert [query(sortorder=one).descending for one in ("", "Ascending", "DESCENDING")] == [
        False,
        False,
        True,
    ]
    assert refusal(sortorder="down").scim_type == "invalidValue"


def test_pages_go_by_index_or_by_cursor() -> None:
    assert refusal(cursor="", startindex="1").scim_type == "invalidValue"
    assert page_position(query(cursor=""), 1, "User") == PagePosition()


def test_a_search_request_says_what_a_query_says() -> None:
    body = {
        "schemas": ["x"], "ATTRIBUTES": ["userName", "title"], "excludedAttributes": "meta", "filter": "title pr",
        "sortBy": "title", "sortOrder": "descending", "startIndex": 3, "count": "7", "unknown": {},
    }  # fmt: skip
    assert read_search(body) == query(
        attributes="userName,title", excludedattributes="meta", filter="title pr", sortby="title",
        sortorder="descending", startindex="3", count="7",
    )  # fmt: skip
    assert read_search(dict.fromkeys(body)) == query()


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"count": True}, "invalidValue"),
        ({"count": 1.0}, "invalidValue"),
        ({"startIndex": []}, "invalidValue"),
        ({"filter": 1}, "invalidValue"),
        ({"attributes": [1]}, "invalidValue"),
        ({"attributes": {"a": 1}}, "invalidValue"),
        ({"count": 1, "COUNT": 1}, "invalidSyntax"),
    ],
)
def test_an_attribute_of_another_type_is_refused(body: dict[str, Any], kind: str) -> None:
    with pytest.raises(ScimError) as refused:
        read_search(body)
    assert refused.value.scim_type == kind


@pytest.mark.parametrize(
    ("sort", "position"),
    [("", PagePosition(after=42)), ("title", PagePosition(offset=42)), ("", PagePosition(after=MOST))],
)
def test_a_cursor_leads_back_to_its_position(sort: str, position: PagePosition) -> None:
    cursor = encode_cursor(query(sortby=sort), 1, "User", position)
    assert page_position(query(sortby=sort, cursor=cursor, count="3"), 1, "User") == position


@pytest.mark.parametrize(
    "changed",
    [{"filter": "title pr"}, {"sortby": "title"}, {"sortorder": "descending"}, {"tenant": 2}, {"kind": None}],
)
def test_a_cursor_cannot_be_taken_to_another_query(changed: dict[str, Any]) -> None:
    cursor = encode_cursor(query(), 1, "User", PagePosition(after=42))
    tenant, kind = changed.pop("tenant", 1), changed.pop("kind", "User")
    with pytest.raises(ScimError) as refused:
        page_position(query(cursor=cursor, **changed), tenant, kind)
    assert refused.value.scim_type == "invalidCursor"


@pytest.mark.parametrize("cursor", ["x", "!!!!", "AAAA", "A" * 23, "é"])
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(ScimError, match="empty cursor to begin again"):
        page_position(query(cursor=cursor), 1, "User")


def test_a_cursor_beyond_every_list_is_refused() -> None:
    cursor = encode_cursor(query(), 1, "User", PagePosition(after=MOST + 1))
    with pytest.raises(ScimError):
        page_position(query(cursor=cursor), 1, "User")

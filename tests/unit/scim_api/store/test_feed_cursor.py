"""Cursors of feed and history: what was given out comes back as it was, and nothing else is taken."""

import base64
import zlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_api.store.change_log import FeedPosition, LatePage, Unfinished
from scim_api.store.feed_cursor import InvalidCursor, decode, decode_history, encode, encode_history

NUMBERS = st.integers(0, 2**63 - 1)
UNFINISHED = st.builds(Unfinished, st.lists(NUMBERS, max_size=5).map(tuple), NUMBERS, NUMBERS)
POSITIONS = st.builds(
    FeedPosition, NUMBERS, NUMBERS, NUMBERS, NUMBERS, UNFINISHED,
    st.none() | st.builds(LatePage, UNFINISHED, NUMBERS),
)  # fmt: skip


def sealed(value: Any) -> str:
    """A cursor with a right checksum, whatever is in it."""
    payload = orjson.dumps(value)
    return base64.urlsafe_b64encode(zlib.crc32(payload).to_bytes(4, "big") + payload).decode().rstrip("=")


@given(POSITIONS)
def test_a_position_comes_back_from_its_cursor(position: FeedPosition) -> None:
    cursor = encode(position)
    assert decode(cursor) == position
    assert cursor.replace("-", "").replace("_", "").isalnum()


@given(
    st.one_of(
        st.text(max_size=80), st.binary(max_size=60).map(lambda data: base64.urlsafe_b64encode(data).decode())
    )
)
def test_what_was_never_given_out_is_refused(text: str) -> None:
    with pytest.raises(InvalidCursor):
        decode(text)


@given(POSITIONS, st.data())
def test_one_that_lost_or_changed_a_character_is_refused(position: FeedPosition, data: st.DataObject) -> None:
    cursor = encode(position)
    place = data.draw(st.integers(0, len(cursor) - 2))
    other = "A" if cursor[place] != "A" else "B"
    for damaged in (cursor[:place] + cursor[place + 1 :], cursor[:place] + other + cursor[place + 1 :]):
        try:
            assert decode(damaged) == position
        except InvalidCursor:
            continue


@pytest.mark.parametrize(
    "fields",
    [
        [], {}, None, [2, 1, 1, 1, 1, [], 0, 0, []], [1, 1, 1, 1], [1, -1, 1, 1, 1, [], 0, 0, []],
        [1, 1, 1, 2**63, 1, [], 0, 0, []], [1, 1, 1, 1.5, 1, [], 0, 0, []], [1, 1, 1, "1", 1, [], 0, 0, []],
        [1, 1, 1, True, 1, [], 0, 0, []], [1, 1, 1, 1, 1, ["1"], 0, 0, []], [1, 1, 1, 1, 1, None, 0, 0, []],
        [1, 1, 1, 1, 1, [], 0, 0, None], [1, 1, 1, 1, 1, [], 0, 0, [1]], [1, 1, 1, 1, 1, [], 0, 0, [1, [[]], 0, 0]],
    ],
    ids=lambda fields: orjson.dumps(fields).decode() if not isinstance(fields, list) or len(str(fields)) < 60 else "long",
)  # fmt: skip
def test_one_whose_checksum_is_right_and_whose_fields_are_not_is_refused(fields: Any) -> None:
    with pytest.raises(InvalidCursor):
        decode(sealed(fields))


@given(st.integers(0, 2**63 - 1))
def test_a_place_in_the_history_comes_back_from_its_cursor(before: int) -> None:
    assert decode_history(encode_history(before)) == before
    with pytest.raises(InvalidCursor):
        decode(encode_history(before))


@given(POSITIONS)
def test_a_cursor_of_the_feed_is_none_of_the_history(position: FeedPosition) -> None:
    with pytest.raises(InvalidCursor):
        decode_history(encode(position))


@pytest.mark.parametrize("fields", [[2], [2, -1], [2, 2**63], [2, "1"], [2, True], [1, 1], {"2": 1}, None, 2])
def test_a_place_in_the_history_that_was_never_given_out_is_refused(fields: Any) -> None:
    for cursor in (sealed(fields), str(fields), "é", ""):
        with pytest.raises(InvalidCursor):
            decode_history(cursor)

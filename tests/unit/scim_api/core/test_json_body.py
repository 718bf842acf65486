"""What a client can send as a body."""

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scim_api.core.errors import ScimError
from scim_api.core.json_body import decode_json
from scim_api.core.limits import MAX_EXACT_NUMBERS
from support.scim_core import json_values


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not valid JSON"),
        (b'{"a":', "not valid JSON"),
        (b'{"a":"\xff"}', "UTF-8"),
        (b'{"a":"\\ud800"}', "not valid JSON"),
        (b'{"a":NaN}', "not valid JSON"),
        (b"[]", "one JSON object"),
        (b'"x"', "one JSON object"),
        (b'{"title":"a","title":"b"}', '"title" twice'),
        (b'{"name":{"x":1,"x":2}}', '"x" twice'),
        (b'{"a":[{"deep":"\\":"},{"k":1,"k":1}]}', '"k" twice'),
        (b'{"t\\u0069tle":1,"title":2}', '"title" twice'),
        (b'{"title":"a\\u0000b"}', '"title" contains the character NUL'),
        (b'{"a\\u0000b":1}', "NUL"),
        (b'{"a":' + b"[" * 60 + b"]" * 60 + b"}", "deeper than"),
        (b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}", "JSON"),
    ],
)
def test_a_body_that_cannot_be_stored_is_refused_with_its_reason(body: bytes, said: str) -> None:
    with pytest.raises(ScimError) as refusal:
        decode_json(body)
    assert (refusal.value.status, refusal.value.scim_type) == (400, "invalidSyntax")
    assert said in refusal.value.detail


def members(number: int, **more: str) -> bytes:
    """The body of a group with so many members."""
    return json.dumps({"members": [{"value": "x" * 36, **more} for _ in range(number)]}).encode()


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":[' + b",".join([b"[]"] * 25_000) + b"]}",
        b'{"a":[' + b",".join([b"1"] * 50_000) + b"]}",
        b'{"a":[' + b",".join([b"1"] * 50_000),
        json.dumps({"a": ['"', "[\\", ","] * 17_000}, separators=(",", ":")).encode(),
        json.dumps({str(number): "\\" for number in range(60_000)}).encode(),
        json.dumps([""] * 250_000, separators=(",", ":")).encode(),
        members(25_000),
    ],
    ids=["arrays", "numbers", "no JSON", "strings", "keys", "empty strings", "members"],
)
def test_a_body_of_too_many_values_is_refused_before_it_is_parsed(
    body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orjson.loads", lambda _: pytest.fail("it was parsed"))
    with pytest.raises(ScimError) as refusal:
        decode_json(body)
    assert (refusal.value.status, refusal.value.scim_type) == (413, None)
    assert "more than 50000 values" in refusal.value.detail


@pytest.mark.parametrize(
    "body",
    [
        members(20_000),
        json.dumps({"title": ',[{"' * 30_000, "b": "\\" + "," * 60_000}).encode(),
        b'{"a":[' + b",".join([b"1"] * 49_000) + b"]}",
    ],
    ids=["members", "strings", "numbers"],
)
def test_as_many_values_as_a_large_group_needs_are_read_and_strings_are_one_value_each(body: bytes) -> None:
    assert decode_json(body) == json.loads(body)


@pytest.mark.parametrize(
    "value",
    ['looks like a key": ', '":', "a\\u0000b", "\\", "", "\u2028", 'x" :', "1e999"],
)
def test_strings_that_look_like_json_are_no_reason_to_refuse(value: str) -> None:
    assert decode_json(json.dumps({"title": value, "b": {"c": value}}).encode())["title"] == value


def test_numbers_are_read_as_far_as_double_precision_goes() -> None:
    body = decode_json(b'{"a":9007199254740993,"b":1.10,"c":123456789012345678901234567890}')
    assert body == {"a": 9007199254740993, "b": 1.1, "c": 1.2345678901234568e29}


@settings(max_examples=200)
@given(st.binary(max_size=60) | json_values.map(lambda value: json.dumps(value).encode("utf-8", "replace")))
def test_any_body_is_an_object_or_a_scim_error(body: bytes) -> None:
    try:
        assert isinstance(decode_json(body), dict)
    except ScimError as error:
        assert json.loads(error.body())["status"] == "400"


@settings(max_examples=200)
@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c", '"', ":", '":']), st.text(max_size=4)), max_size=4))
def test_duplicate_keys_are_found_exactly(pairs: list[tuple[str, str]]) -> None:
    text = "{" + ",".join(f"{orjson.dumps(k).decode()}:{json.dumps(v)}" for k, v in pairs) + "}"
    duplicated = len({key for key, _ in pairs}) < len(pairs)
    unstorable = any("\x00" in v or any("\ud800" <= c <= "\udfff" for c in v) for _, v in pairs)
    try:
        decode_json(text.encode())
        refused = False
    except ScimError:
        refused = True
    assert refused == (duplicated or unstorable)


def test_an_error_never_repeats_more_than_100_characters_of_a_value() -> None:
    with pytest.raises(ScimError) as refusal:
        decode_json(b'{"' + b"k" * 5000 + b'":1,"' + b"k" * 5000 + b'":2}')
    assert "k" * 100 in refusal.value.detail
    assert "k" * 101 not in refusal.value.detail


def numbers(count: int, number: str = "1.10") -> bytes:
    """A body with so many numbers that are kept digit by digit, one right behind the other."""
    return b'{"a":[' + b",".join([number.encode()] * count) + b"]}"


@pytest.mark.parametrize("number", ["1.10", "-0", "1e5", "18446744073709551617"])
@pytest.mark.parametrize("end", [b"", b"!"], ids=["JSON", "no JSON"])
def test_too_many_numbers_that_python_has_to_read_are_refused_before_it_does(
    number: str, end: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scim_api.core.json_body.loads_exactly", lambda _: pytest.fail("it was read"))
    with pytest.raises(ScimError) as refusal:
        decode_json(numbers(MAX_EXACT_NUMBERS + 10, number) + end)
    assert (refusal.value.status, refusal.value.scim_type) == (413, None)
    assert f"more than {MAX_EXACT_NUMBERS} numbers" in refusal.value.detail


def test_as_many_as_may_be_are_kept_and_plain_numbers_do_not_count() -> None:
    read = decode_json(numbers(MAX_EXACT_NUMBERS))["a"]
    assert (len(read), str(read[-1].text)) == (MAX_EXACT_NUMBERS, "1.10")
    plain = b'{"b":1.10,"a":[' + b",".join([b"7"] * 40_000) + b"]}"
    assert len(decode_json(plain)["a"]) == 40_000

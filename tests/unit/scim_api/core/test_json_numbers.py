"""Numbers digit by digit: an independent reading of JSON's grammar says what must come back."""

import json
import math
import sys
from decimal import Decimal
from fractions import Fraction
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scim_api.contract.urns import CUSTOM_USER
from scim_api.core.errors import ScimError, quoted
from scim_api.core.json_body import decode_json
from scim_api.core.json_numbers import (
    MAX_INTEGER,
    MIN_INTEGER,
    Number,
    comparable,
    dumps,
    has_exact_numbers,
    has_more_exact_numbers,
    is_exact,
    loads,
    loads_exactly,
)

ODD = [
    "0", "-0", "7", "1.10", "1.0", "1e2", "1E5", "1E+5", "1e-7", "0.1", "0.10", "-1.50", "18446744073709551615",
    "18446744073709551616", "18446744073709551617", "-9223372036854775808", "-9223372036854775809",
    "9223372036854775807", "9223372036854775808", "100000000000000000000", "0.1234567890123456789", "1e308", "5e-324",
    "9007199254740993", "9007199254740993.0", "1e16", "1e22", "123456789012345678901234567890", "0e5", "0.000", "-0.0",
]  # fmt: skip
_digits = st.text("0123456789", min_size=1, max_size=22)
_whole = _digits.map(lambda text: text.lstrip("0") or "0")
texts = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "-"]),
    _whole,
    st.just("") | _digits.map(lambda text: f".{text}"),
    st.just("") | st.builds("{}{}{}".format, st.sampled_from("eE"), st.sampled_from(["", "+", "-"]), st.integers(0, 40)),
) | st.sampled_from(ODD)  # fmt: skip
spaces = st.sampled_from(["", " ", "\n", "\t\r\n "])


@settings(max_examples=300, deadline=None)
@given(numbers=st.lists(texts, min_size=1, max_size=4), space=spaces)
@example(numbers=["1", "2.50"], space="")
def test_a_body_comes_back_digit_by_digit(numbers: list[str], space: str) -> None:
    separator = f"{space},{space}"
    inside = f'{{{space}"a"{space}:{space}{numbers[0]}{space}}}'
    text = f'{{"x":[{space}{separator.join(numbers)}{space}],"y":{inside},"z":{numbers[-1]}}}'
    document = decode_json(text.encode())
    plain = text.translate(dict.fromkeys(map(ord, " \n\t\r")))
    assert dumps(document).decode() == plain
    stored = f'{{"schemas":["{CUSTOM_USER}"],{plain[1:]}'
    assert dumps(loads(stored)).decode() == stored
    assert [quoted(number) for number in document["x"]] == numbers


@settings(max_examples=300, deadline=None)
@given(text=texts)
def test_a_number_is_exact_when_the_double_is_written_as_the_same_value(text: str) -> None:
    [number] = loads_exactly(f"[{text}]")
    assert Number(text).text == text
    if isinstance(number, int):
        assert MIN_INTEGER <= number <= MAX_INTEGER
        return
    shortest = Fraction(repr(float(text))) if math.isfinite(float(text)) else None
    assert is_exact(number) is (shortest == Fraction(text))
    if is_exact(number):
        form = comparable(number)
        assert type(form) in (int, float)
        assert Decimal(repr(form)) == Decimal(text)


def test_what_is_compared_is_an_integer_wherever_it_can_be_one() -> None:
    for text, form in (
        ("1.0", 1),
        ("1e2", 100),
        ("-0", 0),
        ("-0.0", 0),
        ("1.5", 1.5),
        ("1e18", 10**18),
        ("1e19", 1e19),
    ):
        assert (comparable(Number(text)), type(comparable(Number(text)))) == (form, type(form))
    assert comparable(2.0) == 2


@pytest.mark.parametrize("text", ["1e309", "-1e400", "9" * 400, "1.5e999999"])
def test_a_number_without_a_double_is_no_exact_one(text: str) -> None:
    assert not is_exact(Number(text))
    assert quoted(Number(text)) == text[:100] + ("…" if len(text) > 100 else "")


def test_a_number_of_many_digits_is_read_quickly_and_is_no_exact_one() -> None:
    assert not is_exact(Number("0." + "1" * 100_000))
    assert not is_exact(Number("1" * (sys.get_int_max_str_digits() + 1)))
    assert not is_exact(math.inf)
    assert not is_exact(math.nan)


def test_texts_without_such_numbers_take_the_usual_parser() -> None:
    for body in (
        {"title": "1.5", "t": "04:56:22.123Z", "u": "a5e7", "n": 7, "list": [1, 2], "big": 10**17},
        {"when": "2024-01-01T00:00:00.5+01:00", "phone": "+49 30.12 4e5x"},
    ):
        text = json.dumps(body).encode()
        assert not has_exact_numbers(text)
        assert type(decode_json(text)) is dict
    assert loads('{"a":1.10}') == orjson.loads('{"a":1.10}'), "numbers are in custom fields alone"


@pytest.mark.parametrize("value", ["1.5", " 1.5,", "x: 1.5 }", "[-0]", ":18446744073709551617,"])
def test_what_looks_like_a_number_in_a_string_stays_one(value: str) -> None:
    assert decode_json(json.dumps({"a": value, "b": {"c": value}}).encode())["b"] == {"c": value}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"size": 1e400}', '"size" is 1e400, which is beyond'),
        (b'{"a": {"b": [1, -1.5E999]}}', '"b" is -1.5E999, which is beyond'),
    ],
)
def test_a_number_beyond_double_precision_is_refused_with_the_true_reason(body: bytes, said: str) -> None:
    with pytest.raises(ScimError) as refused:
        decode_json(body)
    assert (refused.value.status, refused.value.scim_type) == (400, "invalidValue")
    assert said in refused.value.detail


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "+1", "01", "1.", ".5", "0x10", "1_0", "1e", "-"]
)
def test_what_is_no_json_number_is_no_json(number: str) -> None:
    for body in (f'{{"a":{number}}}', f'{{"a":1e400,"b":{number}}}'):
        with pytest.raises(ScimError) as refused:
            decode_json(body.encode())
        assert (refused.value.scim_type, "not valid JSON" in refused.value.detail) == ("invalidSyntax", True)


def test_only_numbers_are_written_in_a_way_of_their_own() -> None:
    with pytest.raises(TypeError):
        dumps(object())
    values: dict[str, Any] = {"b": Number("1.10"), "a": 1}
    assert dumps(values, sort_keys=True) == b'{"a":1,"b":1.10}'


@pytest.mark.parametrize("count", [3, 30_000])
def test_numbers_that_stand_close_are_counted_each(count: int) -> None:
    body = b"[" + b",".join([b"1.10"] * count) + b"]"
    assert has_more_exact_numbers(body, count - 10)
    assert not has_more_exact_numbers(body, count)
    assert not has_more_exact_numbers(body.replace(b".", b""), 0)

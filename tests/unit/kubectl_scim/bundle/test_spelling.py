"""A text is found in each spelling that it may have in another."""

import base64
import json
import re
from urllib.parse import quote, quote_plus

import pytest

from kubectl_scim.bundle.spelling import Needle, needles, spellings

TEXT = 'a "b" \\ c\n& ümläut 😀/+'


@pytest.mark.parametrize(
    "spelled",
    [
        TEXT,
        json.dumps(TEXT)[1:-1],
        json.dumps(TEXT, ensure_ascii=False)[1:-1],
        json.dumps(json.dumps(json.dumps(TEXT)))[7:-7],
        quote(TEXT, safe=""),
        quote_plus(TEXT),
        quote(quote(TEXT), safe=""),
        quote(TEXT).replace("%C3%BC", "%c3%bC"),
    ],
)
def test_a_text_is_found_however_it_is_escaped(spelled: str) -> None:
    found = re.search(spellings(TEXT), f"({spelled})")
    assert found is not None
    assert found[0] == spelled


def test_another_text_is_not_found() -> None:
    needle = Needle("a+b c")
    assert needle.search("aab c") is None
    assert needle.search("a b") is None
    assert needle.replaced("a+b c, a%2Bb+c", "x") == ("x, x", 2)


@pytest.mark.parametrize("before", ["", "u", "us", "use"])
@pytest.mark.parametrize(
    "value", [b"secret-value", b"secret-valu", b"secret-val", b"\xfb\xff\xfe\xfb\xff\xfe\xfb\xff"]
)
def test_a_value_is_found_in_base64_at_each_offset(before: str, value: bytes) -> None:
    raw = before.encode() + value + b"!?"
    for coded in (
        base64.b64encode(raw),
        base64.urlsafe_b64encode(raw),
        quote(base64.b64encode(raw)).encode(),
    ):
        assert any(one.search(coded.decode()) for one in needles(value))
    assert any(one.search(value.hex()) for one in needles(value))


def test_a_short_value_is_not_searched_for_and_a_long_one_in_pieces() -> None:
    assert list(needles(b"short")) == []
    assert Needle("longer") in needles(b"longer")
    long = "0123456789" * 200
    assert all(len(one.text) <= 512 for one in needles(long.encode()))
    assert all(
        Needle(piece, is_literal=True) in set(needles(long.encode())) for piece in (long[:512], long[1536:])
    )


def test_a_needle_does_not_show_what_it_searches_for() -> None:
    assert "hunter2" not in repr(Needle("hunter2"))

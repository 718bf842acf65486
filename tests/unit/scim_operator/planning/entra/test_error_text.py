"""Errors are found in JSON within JSON, and no secret is repeated, however it comes back."""

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_api.contract import tokens
from scim_operator.planning.entra.error_text import MESSAGE_LIMIT, ErrorText, quoted, read_error
from support.microsoft import REQUEST_ID, graph_error

SECRET = 'q8Q~"very secret"/=&?'
INNER = {"code": "InvalidCredentials", "message": "The cause."}


def encoded(content: Any) -> bytes:
    return json.dumps(content).encode()


@pytest.mark.parametrize(
    ("content", "codes", "messages"),
    [
        (graph_error("UnknownError"), ("UnknownError",), ()),
        (graph_error("A", "Words."), ("A",), ("Words.",)),
        (graph_error("A", INNER), ("A", "InvalidCredentials"), ("The cause.",)),
        (graph_error("A", {"error": INNER}), ("A", "InvalidCredentials"), ("The cause.",)),
        (graph_error("A", json.dumps(json.dumps(INNER))), ("A", "InvalidCredentials"), ("The cause.",)),
        (
            graph_error("A", f"Before: {json.dumps(INNER)}"),
            ("A", "InvalidCredentials"),
            ("Before", "The cause."),
        ),
        (
            graph_error("A", f"[SCIM] {json.dumps(INNER)} after"),
            ("A", "InvalidCredentials"),
            ("[SCIM]", "The cause."),
        ),
        (graph_error("A", "No {braces} here"), ("A",), ("No {braces} here",)),
        (graph_error("A", {"x": 1}), ("A",), ('{"x": 1}',)),
        ({"error": "invalid_client", "error_description": "D"}, ("invalid_client",), ("D",)),
        ({"odata.error": {"code": "B", "message": {"lang": "en", "value": "V"}}}, ("B",), ("V",)),
        ({"code": "A", "details": [{"code": "B", "message": "M"}]}, ("A", "B"), ("M",)),
        ([{"code": "A"}], ("A",), ()),
        ("words", (), ()),
        (5, (), ()),
    ],
)
def test_documents_within_messages_are_opened(
    content: Any, codes: tuple[str, ...], messages: tuple[str, ...]
) -> None:
    found = read_error(encoded(content))
    assert (found.codes, found.messages) == (codes, messages)
    assert found.message == (messages[-1] if messages else "")


def nested(levels: int) -> bytes:
    content: Any = INNER
    for _ in range(levels):
        content = {"error": content}
    return encoded(content)


def test_documents_are_opened_to_a_depth() -> None:
    assert read_error(nested(6)).codes == ("InvalidCredentials",)
    assert read_error(nested(60)).codes == ()


def test_of_many_codes_a_few_are_taken() -> None:
    assert (
        len(
            read_error(
                encoded([{"details": [{"code": f"{a}{b}"} for b in range(9)]} for a in range(9)])
            ).codes
        )
        == 8
    )


def test_the_request_id_is_taken_only_when_it_is_one() -> None:
    assert read_error(encoded(graph_error("A"))).request_id == REQUEST_ID
    assert read_error(encoded({"trace_id": "a b"})).request_id is None


@pytest.mark.parametrize("body", [b"", b"<html>", b"{", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 20_000])
def test_what_is_no_json_says_nothing(body: bytes) -> None:
    assert read_error(body) == ErrorText()


@given(st.binary())
def test_no_bytes_make_the_reading_fail(body: bytes) -> None:
    read_error(body)


NESTED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "code", "message", "innerError", "details", "request-id", "x"]),
            inner,
            max_size=4,
        )
        | inner.map(json.dumps)
    ),
    max_leaves=12,
)


@given(NESTED)
def test_no_json_makes_the_reading_fail_or_its_codes_many(content: Any) -> None:
    found = read_error(encoded(content))
    assert len(found.codes) <= 8
    assert all(len(code) <= 128 for code in found.codes)


@pytest.mark.parametrize(
    "form",
    [SECRET, quote(SECRET, safe=""), json.dumps(SECRET), base64.b64encode(SECRET.encode()).decode()],
    ids=["plain", "in a URL", "in JSON", "in base64"],
)
def test_a_secret_is_cut_out_in_every_form_it_may_come_back_in(form: str) -> None:
    told = quoted(f"before {form} after", [SECRET])
    assert "very" not in told
    assert "[hidden]" in told
    assert told.startswith("before ")
    assert told.endswith(" after")


@pytest.mark.parametrize("kind", ["BearerToken", "ClientSecret", "AccessToken"])
def test_what_looks_like_one_of_our_tokens_is_cut_out(kind: tokens.TokenKind) -> None:
    assert quoted(f"a {tokens.new_token(kind)} b") == "a [hidden] b"


def test_a_jwt_is_cut_out() -> None:
    assert quoted("a eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ4In0.c2lnbmF0dXJl b") == "a [hidden] b"


def test_words_stay_as_they_are_in_one_line() -> None:
    assert quoted("two\r\n lines\x00and\ud800 more ") == "two lines and more"


@given(
    st.text(alphabet=st.characters(exclude_categories=()), min_size=8),
    st.text(),
    st.text(),
    st.integers(0, 400),
)
def test_what_is_repeated_is_bounded_and_never_has_the_secret_in_it(
    secret: str, before: str, after: str, padding: int
) -> None:
    told = quoted(f"{before}{'x' * padding}{secret}{after}", [secret])
    assert len(told) <= MESSAGE_LIMIT
    assert told.isprintable()
    assert secret not in told or secret in "[hidden]"

"""Which assertions are taken apart, and which are refused before anything of them is believed."""

import json
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_api.http.oauth.assertion import AssertionRefused
from scim_api.http.oauth.jwt_form import MAX_ASSERTION, decode_claims, short_word, take_apart
from support.federation import Issuer, claims, encoded

ISSUER: Final = Issuer()
ASSERTION: Final = ISSUER.assertion()
HEADER: Final = b'{"alg":"RS256","typ":"JWT","kid":"key-1"}'


def refusal(assertion: str) -> AssertionRefused:
    with pytest.raises(AssertionRefused) as refused:
        take_apart(assertion)
    return refused.value


def with_header(**changes: Any) -> str:
    return ISSUER.assertion(header=changes)


def test_an_assertion_of_entras_is_taken_apart() -> None:
    jwt = take_apart(ASSERTION)
    assert jwt.kid == "key-1"
    assert jwt.signing_input.decode() == ASSERTION.rpartition(".")[0]
    assert encoded(jwt.signature) == ASSERTION.rpartition(".")[2]
    assert decode_claims(jwt.payload) == claims()


@pytest.mark.parametrize("header", [{"typ": ...}, {"x5t": "a-thumbprint", "nonce": "1"}])
def test_what_the_header_may_lack_or_have_besides(header: dict[str, Any]) -> None:
    assert take_apart(ISSUER.assertion(header=header)).kid == "key-1"


def test_a_long_one_is_refused_before_it_is_looked_at() -> None:
    assert take_apart(ISSUER.assertion(padding="x" * (MAX_ASSERTION // 2))).kid == "key-1"
    refused = refusal("." * (MAX_ASSERTION + 1))
    assert (refused.check, refused.received) == ("size", "16385")


@pytest.mark.parametrize(
    "assertion",
    [
        "", ".", "..", "a.b", "a.b.c.d", "a.b.c.d.e", "....", f" {ASSERTION}", f"{ASSERTION}\n", f"{ASSERTION}=",
        ASSERTION.replace(".", ".+", 1), f"{ASSERTION}\x00", f"{ASSERTION}é", "\ud800.a.a",
    ],
)  # fmt: skip
def test_what_is_not_three_parts_in_base64url_is_refused(assertion: str) -> None:
    assert refusal(assertion).check == "form"


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_part_has_one_spelling(part: int) -> None:
    """Base64 has bits to spare at the end of most texts: with them, one assertion would have several spellings."""
    parts = with_header(pad="x" * part).split(".")
    last = ISSUER.sign(HEADER, b'{"a":"1234"}').split(".")
    spare = {0: encoded(HEADER + b" "), 1: last[1], 2: parts[2]}[part]
    following = {"A": "B", "Q": "R", "g": "h", "w": "x"}
    if spare[-1] not in following:
        spare = encoded(b"{}  ")
    parts[part] = spare[:-1] + following[spare[-1]]
    assert refusal(".".join(parts)).check == "form"


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"null", b'"x"', b"{", b"\xff", b'{"alg":"RS256","alg":"RS256"}']
)
def test_a_header_that_is_no_object_with_each_member_once_is_refused(text: bytes) -> None:
    assert refusal(ISSUER.sign(text, b"{}")).check == "form"


@pytest.mark.parametrize(
    ("alg", "received"),
    [
        ("none", "none"), ("None", "None"), ("HS256", "HS256"), ("RS384", "RS384"), ("PS256", "PS256"), ("ES256", "ES256"),
        ("rs256", "rs256"), ("RS256 ", ""), (..., ""), (None, ""), (256, ""), (["RS256"], ""), ("<b>", ""), ("x" * 65, ""),
    ],
)  # fmt: skip
def test_rs256_and_nothing_else_is_an_algorithm(alg: object, received: str) -> None:
    refused = refusal(with_header(alg=alg))
    assert (refused.check, refused.expected, refused.received) == ("alg", "RS256", received)


def test_an_unsigned_one_is_refused_for_its_algorithm() -> None:
    header, payload, _ = with_header(alg="none").split(".")
    assert refusal(f"{header}.{payload}.").check == "alg"


@pytest.mark.parametrize("typ", ["at+jwt", "jwt", "JWE", None, 1, "logout+jwt"])
def test_a_token_of_another_type_is_refused(typ: object) -> None:
    assert refusal(with_header(typ=typ)).check == "typ"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("crit", ["exp"]), ("crit", []), ("cty", "JWT"), ("jku", "https://evil.example/keys"), ("x5c", ["MIIC"]),
        ("x5u", "https://evil.example/cert"), ("jwk", {"kty": "RSA"}), ("jwk", None), ("b64", False),
    ],
)  # fmt: skip
def test_a_header_that_says_where_its_key_is_or_changes_the_meaning_is_refused(
    name: str, value: object
) -> None:
    refused = refusal(with_header(**{name: value}))
    assert (refused.check, refused.received) == ("header", name)


@pytest.mark.parametrize("kid", [..., None, "", 1, ["key-1"], {"a": 1}, "x" * 129, "a b", "é", "a\n"])
def test_without_the_name_of_a_key_it_is_refused(kid: object) -> None:
    refused = refusal(with_header(kid=kid))
    assert (refused.check, refused.received) == ("kid", "")


def test_a_kid_of_128_printable_characters_is_one() -> None:
    assert take_apart(with_header(kid="~" * 128)).kid == "~" * 128


@pytest.mark.parametrize(
    "text",
    [
        b'{"exp":1,"exp":2}', b'{"a":{"b":1,"b":1}}', b'{"exp":1,"e\\u0078p":2}', b'{"exp":NaN}', b'{"exp":Infinity}',
        b'{"exp":-Infinity}', b'{"exp":1e999}', b'{"exp":01}', b'{"exp":+1}', b'{"a":' * 17 + b"1" + b"}" * 17,
        b"[" * 5000 + b"]" * 5000, b'{"a":' * 2500, b'{"sub":"\\ud800"}', b'{"sub":"\\u0000"}', b"{'a':1}", b'{"a":1,}',
        b"\xef\xbb\xbf{}", b'{"a":1}x', '{"ä":1}'.encode("latin-1"),
    ],
)  # fmt: skip
def test_claims_that_could_be_read_in_two_ways_or_not_at_all_are_refused(text: bytes) -> None:
    with pytest.raises(AssertionRefused) as refused:
        decode_claims(text)
    assert refused.value.check == "form"


@given(st.text(max_size=200) | st.binary(max_size=200).map(encoded).map(lambda part: f"{part}.{part}.{part}"))
def test_whatever_is_sent_is_taken_apart_or_refused(assertion: str) -> None:
    try:
        take_apart(assertion)
    except AssertionRefused as refused:
        assert len(refused.received) <= 64
        assert refused.received.isprintable()
        assert refused.received.isascii()


@given(st.dictionaries(st.sampled_from(("alg", "typ", "kid", "cty", "x")), st.text() | st.integers()))
def test_no_refusal_repeats_more_of_a_header_than_a_short_word(header: dict[str, Any]) -> None:
    try:
        take_apart(ISSUER.sign(json.dumps(header).encode(), b"{}"))
    except AssertionRefused as refused:
        assert refused.received == short_word(refused.received)

"""Which keys of a published set are used, and which sets are refused."""

import json
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from hypothesis import given
from hypothesis import strategies as st

from scim_api.http.oauth.key_set import (
    MAX_KEY_SET,
    MAX_KEYS,
    KeySetInvalid,
    dump_key_set,
    has_signed,
    parse_key_set,
)
from support.federation import Issuer, encoded, jwk, private_key

NUMBERS: Final = private_key().public_key().public_numbers()


def published(*keys: Any) -> bytes:
    return json.dumps({"keys": keys}).encode()


def test_keys_are_found_by_their_names() -> None:
    issuer = Issuer(("a", "b"))
    keys = parse_key_set(issuer.key_set())
    assert {kid: keys[kid] for kid in keys} == {
        kid: issuer.key(kid).public_key().public_numbers() for kid in ("a", "b")
    }


@pytest.mark.parametrize(
    "changes",
    [{"use": ...}, {"alg": "RS256"}, {"key_ops": ["verify"]}, {"x5c": ...}, {"n": "AA" + encoded(b"")}],
)
def test_what_a_key_may_lack_or_have_besides(changes: dict[str, Any]) -> None:
    if "n" in changes:
        changes = {"n": encoded(b"\0" + NUMBERS.n.to_bytes(256))}
    assert parse_key_set(published(jwk("k", **changes))) == {"k": NUMBERS}


@pytest.mark.parametrize(
    "changes",
    [
        {"kty": "EC"}, {"kty": "oct", "k": "AAAA"}, {"kty": ...}, {"use": "enc"}, {"alg": "RS512"}, {"alg": "HS256"},
        {"key_ops": ["sign"]}, {"key_ops": "verify"}, {"kid": ...}, {"kid": 1}, {"kid": ""}, {"kid": "x" * 129},
        {"n": ...}, {"n": 5}, {"n": "ü"}, {"n": "A"}, {"n": "AQAB"}, {"e": ...}, {"e": "AA"}, {"e": "Aw"}, {"e": "AQ"},
        {"e": "AQAA"}, {"e": encoded(b"\1" + bytes(3) + b"\1")}, {"e": encoded(b"\xff" * 256)},
        {"n": encoded((1 << 2046 | 1).to_bytes(256))}, {"n": encoded((1 << 8192 | 1).to_bytes(1025))}, {"n": "B" * 99_999},
    ],
)  # fmt: skip
def test_a_key_of_another_kind_or_size_is_left_out(changes: dict[str, Any]) -> None:
    assert parse_key_set(published(jwk("good"), jwk("bad", **changes))) == {"good": NUMBERS}
    with pytest.raises(KeySetInvalid, match="no RSA key of 2048 to 8192 bits"):
        parse_key_set(published(jwk("bad", **changes)))


@pytest.mark.parametrize("key", [None, 1, "key", [], [jwk("k")]])
def test_what_is_no_key_is_left_out(key: Any) -> None:
    assert parse_key_set(published(key, jwk("good"))) == {"good": NUMBERS}


def test_keys_from_2048_to_8192_bits_are_used() -> None:
    small, large = RSAPublicNumbers(65537, 1 << 2047 | 1), RSAPublicNumbers(65537, 1 << 8191 | 1)
    assert parse_key_set(published(jwk("s", small), jwk("l", large))) == {"s": small, "l": large}


@pytest.mark.parametrize(
    "text",
    [
        b"", b"null", b"[]", b"{}", b'{"keys":null}', b'{"keys":{}}', b'{"keys":[]}', b"<html>", b"\xff", b'{"keys":[]',
        b'{"keys":[],"keys":[]}', b"[" * 9999,
    ],
)  # fmt: skip
def test_what_is_no_set_with_keys_is_refused(text: bytes) -> None:
    with pytest.raises(KeySetInvalid):
        parse_key_set(text)


def test_a_set_is_bounded_in_bytes_and_keys() -> None:
    whole = published(*(jwk(f"k{number}", x5c=...) for number in range(MAX_KEYS)))
    assert len(parse_key_set(whole)) == MAX_KEYS
    assert len(parse_key_set(whole + b" " * (MAX_KEY_SET - len(whole)))) == MAX_KEYS
    with pytest.raises(KeySetInvalid, match="more than 262144 bytes"):
        parse_key_set(whole + b" " * (MAX_KEY_SET - len(whole) + 1))
    with pytest.raises(KeySetInvalid, match="more than 100 keys"):
        parse_key_set(published(*({} for _ in range(MAX_KEYS + 1))))


def test_two_keys_of_one_name_are_refused_and_one_that_comes_twice_is_not() -> None:
    assert parse_key_set(published(jwk("k"), jwk("k", x5c=...))) == {"k": NUMBERS}
    with pytest.raises(KeySetInvalid, match="two of its keys have the same kid"):
        parse_key_set(published(jwk("k"), jwk("k", private_key("2").public_key().public_numbers())))


def test_what_is_kept_is_read_again() -> None:
    keys = parse_key_set(Issuer(("a", "b~!", "c")).key_set())
    assert parse_key_set(dump_key_set(keys).encode()) == keys


@given(st.binary(max_size=300) | st.recursive(st.text() | st.none(), st.lists).map(published))
def test_whatever_is_published_is_a_set_or_refused(text: bytes) -> None:
    with pytest.raises(KeySetInvalid) as refused:
        parse_key_set(text)
    assert str(refused.value).isascii()


def test_a_signature_is_one_keys_over_one_content_with_sha_256() -> None:
    signature = private_key().sign(b"content", PKCS1v15(), SHA256())
    assert has_signed(NUMBERS, b"content", signature)
    assert not has_signed(NUMBERS, b"contents", signature)
    assert not has_signed(private_key("2").public_key().public_numbers(), b"content", signature)
    assert not has_signed(NUMBERS, b"content", private_key().sign(b"content", PKCS1v15(), SHA384()))
    for wrong in (b"", signature[:-1], signature + b"\0", b"\0" + signature, b"\xff" * 256, b"x" * 99_999):
        assert not has_signed(NUMBERS, b"content", wrong)

"""The token's format."""

import re

from hypothesis import given
from hypothesis import strategies as st

from scim_api.contract.tokens import (
    ALPHABET,
    BODY_LENGTH,
    PATTERN,
    PREFIXES,
    digest,
    kind_of,
    new_token,
    new_token_id,
)

TOKEN = "sct_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg37cCQ0"
"""In the format of those that have been issued; nothing accepts it."""


def test_a_new_token_kind_of_short_and_unlike_any_other() -> None:
    tokens = {new_token() for _ in range(1000)}
    assert len(tokens) == 1000
    assert all(kind_of(token) and PATTERN.fullmatch(token) and len(token) < 64 for token in tokens)


def test_a_token_carries_at_least_256_bits() -> None:
    assert len(ALPHABET) ** BODY_LENGTH >= 2**256


def test_a_token_in_the_format_of_those_issued_before_is_recognised() -> None:
    assert kind_of(TOKEN) == "BearerToken"


@given(st.integers(min_value=0, max_value=52), st.sampled_from(ALPHABET))
def test_one_mistyped_character_is_recognised(position: int, character: str) -> None:
    token = new_token()
    mistyped = token[:position] + character + token[position + 1 :]
    assert (kind_of(mistyped) is not None) == (
        mistyped[4:] == token[4:] and mistyped[:4] in PREFIXES.values()
    )


@given(st.text())
def test_any_text_has_a_digest_and_is_judged_without_an_error(text: str) -> None:
    assert len(digest(text)) == 32
    assert kind_of(text) in {None, *PREFIXES}


def test_a_tokens_public_name_is_sixteen_digits_unlike_any_other() -> None:
    names = {new_token_id() for _ in range(1000)}
    assert len(names) == 1000
    assert all(re.fullmatch("[0-9a-f]{16}", name) for name in names)

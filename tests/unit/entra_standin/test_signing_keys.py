"""Keys rotate, are published by ``kid``, and what they sign can be verified with what is published."""

import pytest

from entra_standin.signing_keys import SigningKeys
from unit.entra_standin.token_service import verified


def test_what_is_signed_is_verified_with_the_published_key() -> None:
    keys = SigningKeys()
    assert verified(keys.sign({"sub": "s"}), keys.jwks()) == {"sub": "s"}


def test_after_a_rotation_another_key_signs_and_the_one_before_is_still_published() -> None:
    keys = SigningKeys()
    before, early = keys.kid, keys.sign({"n": 1})
    assert keys.rotate() == keys.kid != before
    assert [key["kid"] for key in keys.jwks()["keys"]] == [before, keys.kid]
    assert verified(early, keys.jwks()) == {"n": 1}
    assert verified(keys.sign({"n": 2}), keys.jwks()) == {"n": 2}


def test_keys_that_are_not_kept_are_published_no_more() -> None:
    keys = SigningKeys()
    early = keys.sign({"n": 1})
    keys.rotate(keep=0)
    assert verified(early, keys.jwks()) is None
    assert len(keys.jwks()["keys"]) == 1


def test_many_rotations_keep_as_many_as_they_are_told() -> None:
    keys = SigningKeys()
    kids = [keys.kid, *(keys.rotate(keep=2) for _ in range(3))]
    assert [key["kid"] for key in keys.jwks()["keys"]] == kids[1:]


def test_a_forged_signature_is_none() -> None:
    keys, others = SigningKeys(), SigningKeys()
    assert verified(others.sign({"n": 1}, kid=keys.kid), keys.jwks()) is None


def test_the_header_is_entras_and_can_be_another() -> None:
    keys = SigningKeys()
    with pytest.raises(AssertionError):
        verified(keys.sign({}, alg="HS256"), keys.jwks())
    assert verified(keys.sign({"n": 1}, x5t=keys.kid), keys.jwks()) == {"n": 1}

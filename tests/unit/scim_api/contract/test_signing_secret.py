"""Signing secrets are made, read and named, and never shown."""

import base64

import pytest

from scim_api.contract.signing_secret import is_signing_secret, key_of, new_secret, secret_id


def test_a_secret_is_32_random_bytes_in_the_form_of_the_specification() -> None:
    secret = new_secret()
    assert secret.startswith("whsec_")
    assert len(key_of(secret)) == 32
    assert new_secret() != secret


@pytest.mark.parametrize("text", ["", "whsk_AAAA", "whsec_&&", "c2VjcmV0"])
def test_what_is_no_secret_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ValueError, match=r"^this is no signing secret$"):
        key_of(text)


@pytest.mark.parametrize(("length", "taken"), [(23, False), (24, True), (64, True), (65, False)])
def test_a_key_has_the_length_that_the_specification_allows(length: int, taken: bool) -> None:
    assert is_signing_secret("whsec_" + base64.b64encode(bytes(length)).decode()) is taken


def test_what_is_no_secret_at_all_is_none() -> None:
    assert not is_signing_secret("whsec_%%")


def test_an_id_names_one_secret_and_has_nothing_of_it() -> None:
    secret = new_secret()
    assert secret_id(secret) == secret_id(secret) != secret_id(new_secret())
    assert len(secret_id(secret)) == 16
    assert secret_id(secret) not in key_of(secret).hex()

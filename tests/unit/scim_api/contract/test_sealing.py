"""A sealed secret opens for the dispatcher and the webhook that it was sealed for, and for nobody else."""

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from scim_api.contract.sealing import (
    DispatcherKeys,
    SealError,
    new_private_key,
    public_pem,
    read_public_key,
    seal,
)
from scim_api.contract.signing_secret import new_secret

PEM = new_private_key()
KEY = read_public_key(PEM)


def test_what_is_sealed_with_the_public_half_opens_with_the_private_one() -> None:
    secret = new_secret()
    sealed = seal(secret, read_public_key(public_pem(KEY).encode()), "demo/app")
    assert secret not in sealed
    assert DispatcherKeys(PEM).open(sealed, "demo/app") == secret
    assert seal(secret, KEY, "demo/app") != sealed


def test_an_earlier_key_still_opens_what_was_sealed_to_it() -> None:
    sealed = seal("whsec_x", KEY, "demo/app")
    successor = new_private_key()
    assert DispatcherKeys(successor + PEM).open(sealed, "demo/app") == "whsec_x"
    with pytest.raises(SealError, match="another key"):
        DispatcherKeys(successor).open(sealed, "demo/app")


def test_it_opens_for_no_other_webhook_and_not_when_a_byte_is_another() -> None:
    sealed, keys = seal("whsec_x", KEY, "demo/app"), DispatcherKeys(PEM)
    with pytest.raises(SealError, match="another webhook's"):
        keys.open(sealed, "demo/other")
    for place in range(sealed.rindex(".") + 1, len(sealed), 7):
        other = "A" if sealed[place] != "A" else "B"
        with pytest.raises(SealError):
            keys.open(sealed[:place] + other + sealed[place + 1 :], "demo/app")


@pytest.mark.parametrize("sealed", ["", "v1", "v1..", "v2.kid.AAAA", "v1.{kid}.AAAA", "v1.{kid}.&"])
def test_what_was_never_sealed_does_not_open(sealed: str) -> None:
    kid = seal("x", KEY, "demo/app").split(".")[1]
    with pytest.raises(SealError):
        DispatcherKeys(PEM).open(sealed.format(kid=kid), "demo/app")


def test_another_kind_of_key_is_refused() -> None:
    other = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for pem in (other, b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"):
        with pytest.raises(SealError, match="no X25519"):
            read_public_key(pem)
        with pytest.raises(SealError, match="no X25519"):
            DispatcherKeys(pem)
    with pytest.raises(SealError, match="private key"):
        DispatcherKeys(public_pem(KEY).encode())

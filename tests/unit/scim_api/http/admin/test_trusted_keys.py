"""The operator's public keys, as they are mounted and renewed."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from scim_api.contract.signing import key_id, public_pem
from scim_api.http.admin.trusted_keys import INSTALLATION_FILE, REREAD_SECONDS, TrustedKeys


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def publish(directory: Path, name: str | None = None) -> str:
    """A new key, mounted; its id."""
    key = Ed25519PrivateKey.generate()
    kid = key_id(key.public_key())
    (directory / f"{name or kid}.pem").write_text(public_pem(key))
    return kid


def found(keys: TrustedKeys, kid: str) -> bool:
    key = keys.find(kid)
    assert key is None or key_id(key) == kid
    return key is not None


def test_a_key_is_found_by_its_own_id_whatever_its_file_is_called(tmp_path: Path) -> None:
    kid = publish(tmp_path, "another-name")
    keys = TrustedKeys(tmp_path)
    assert found(keys, kid)
    assert not found(keys, "another-name")


def test_a_renewed_key_is_found_once_one_may_look_again(tmp_path: Path, clock: Clock) -> None:
    keys = TrustedKeys(tmp_path, clock)
    assert not found(keys, "unknown")
    kid = publish(tmp_path)
    clock.now += REREAD_SECONDS - 0.001
    assert not found(keys, kid)
    clock.now += 0.001
    assert found(keys, kid)


def test_a_key_that_is_gone_is_trusted_no_longer_than_the_directory_goes_unread(
    tmp_path: Path, clock: Clock
) -> None:
    leaked, other = publish(tmp_path), publish(tmp_path)
    keys = TrustedKeys(tmp_path, clock)
    assert found(keys, leaked)
    (tmp_path / f"{leaked}.pem").unlink()
    clock.now += REREAD_SECONDS
    assert not found(keys, leaked)
    assert found(keys, other)


def test_files_that_hold_no_key_of_ours_are_passed_over(tmp_path: Path) -> None:
    other = generate_private_key(SECP256R1()).public_key()
    form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "a.pem").write_bytes(other.public_bytes(*form))
    (tmp_path / "b.pem").write_text("no key")
    (tmp_path / "c.pem").mkdir()
    kid = publish(tmp_path, "d")
    (tmp_path / "e.txt").write_text("no key")
    assert found(TrustedKeys(tmp_path), kid)


def test_the_installation_is_read_once_it_is_published(tmp_path: Path, clock: Clock) -> None:
    keys = TrustedKeys(tmp_path, clock)
    for content in (None, "", " \n"):
        if content is not None:
            (tmp_path / INSTALLATION_FILE).write_text(content)
        assert keys.installation is None
        clock.now += REREAD_SECONDS
    (tmp_path / INSTALLATION_FILE).write_text("id-1\n")
    assert keys.installation == "id-1"


def test_without_a_directory_nobody_is_trusted() -> None:
    keys = TrustedKeys(None)
    assert not found(keys, "unknown")
    assert keys.installation is None

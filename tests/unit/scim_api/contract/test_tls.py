"""An authority that kubectl and libpq take is taken under every Python; what is wrong is refused all the same."""

import ssl
from pathlib import Path

import pytest

from scim_api.contract.tls import without_strict_profile
from support.handshake import plain_authority, shake_hands, strict


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    return plain_authority(tmp_path)


def test_an_authority_without_key_identifiers_is_taken(authority: Path) -> None:
    as_of_python_3_13 = strict(ssl.create_default_context(cafile=authority))
    with pytest.raises(ssl.SSLCertVerificationError, match="Missing Authority Key Identifier"):
        shake_hands(as_of_python_3_13, authority.parent)
    shake_hands(without_strict_profile(as_of_python_3_13), authority.parent)


def test_another_name_is_refused(authority: Path) -> None:
    context = without_strict_profile(ssl.create_default_context(cafile=authority))
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake_hands(context, authority.parent, "other.test")


def test_another_authority_is_refused(authority: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    context = without_strict_profile(ssl.create_default_context(cafile=plain_authority(other)))
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(context, authority.parent)

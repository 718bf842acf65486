"""An authority that kubectl takes is taken by its plugin, under every Python."""

import ssl
from pathlib import Path

import pytest

from kubectl_scim.tls import without_strict_profile
from support.handshake import plain_authority, shake_hands, strict


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    return plain_authority(tmp_path)


def test_an_authority_without_key_identifiers_is_taken(authority: Path) -> None:
    as_of_python_3_13 = strict(ssl.create_default_context(cafile=authority))
    with pytest.raises(ssl.SSLCertVerificationError, match="Missing Authority Key Identifier"):
        shake_hands(as_of_python_3_13, authority.parent)
    shake_hands(without_strict_profile(as_of_python_3_13), authority.parent)

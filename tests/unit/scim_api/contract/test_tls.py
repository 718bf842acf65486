"""An authority that kubectl and libpq take is taken under every Python; what is wrong is refused all the same."""

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from kubectl_scim import tls as of_the_plugin
from scim_api.contract import tls
from support.handshake import plain_authority, shake_hands, strict

Change = Callable[[ssl.SSLContext], ssl.SSLContext]


@pytest.fixture(params=[tls, of_the_plugin], ids=["operator and API", "plugin"])
def without_strict_profile(request: pytest.FixtureRequest) -> Change:
    """Of both, since the plugin may not import the contract."""
    change: Change = request.param.without_strict_profile
    return change


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    return plain_authority(tmp_path)


def test_an_authority_without_key_identifiers_is_taken(
    authority: Path, without_strict_profile: Change
) -> None:
    as_of_python_3_13 = strict(ssl.create_default_context(cafile=authority))
    with pytest.raises(ssl.SSLCertVerificationError, match="Missing Authority Key Identifier"):
        shake_hands(as_of_python_3_13, authority.parent)
    shake_hands(without_strict_profile(as_of_python_3_13), authority.parent)


def test_another_name_is_refused(authority: Path, without_strict_profile: Change) -> None:
    context = without_strict_profile(ssl.create_default_context(cafile=authority))
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake_hands(context, authority.parent, "other.test")


def test_another_authority_is_refused(
    authority: Path, tmp_path: Path, without_strict_profile: Change
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    context = without_strict_profile(ssl.create_default_context(cafile=plain_authority(other)))
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(context, authority.parent)

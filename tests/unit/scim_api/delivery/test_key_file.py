"""A private key that others may read is not used."""

from pathlib import Path

import pytest

from scim_api.contract.sealing import SealError, seal
from scim_api.delivery.key_file import KeyFile, read_private_keys, read_sealing_key, write_key


def test_a_new_key_is_its_owners_alone_and_never_replaces_another(tmp_path: Path) -> None:
    path = tmp_path / "webhook.key"
    public = write_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert "PUBLIC KEY" in public
    with pytest.raises(SealError, match="File exists"):
        write_key(path)
    sealed = seal("whsec_x", read_sealing_key(path), "demo/app")
    assert read_private_keys(path).open(sealed, "demo/app") == "whsec_x"


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o660, 0o601])
def test_a_private_key_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "webhook.key"
    write_key(path)
    path.chmod(mode)
    for read in (read_private_keys, read_sealing_key):
        with pytest.raises(SealError, match=f"mode {mode:o}"):
            read(path)


def test_a_group_may_read_it_and_anybody_the_public_half(tmp_path: Path) -> None:
    path, public = tmp_path / "webhook.key", tmp_path / "webhook.pub"
    public.write_text(write_key(path))
    public.chmod(0o644)
    path.chmod(0o440)
    assert read_private_keys(path)
    assert read_sealing_key(public)
    with pytest.raises(SealError, match="private key"):
        path.chmod(0o600)
        path.write_text(public.read_text())
        read_private_keys(path)


def test_a_file_that_is_not_there_is_told_with_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(SealError, match="scim-api webhook key"):
        read_sealing_key(tmp_path / "none")


def test_a_key_that_is_replaced_is_read_without_a_restart(tmp_path: Path) -> None:
    path, other = tmp_path / "webhook.key", tmp_path / "other.key"
    write_key(path)
    write_key(other)
    keys = KeyFile(path)
    sealed, sealed_anew = (seal("whsec_x", read_sealing_key(one), "demo/app") for one in (path, other))
    assert keys.open(sealed, "demo/app") == "whsec_x"
    with pytest.raises(SealError, match="another key"):
        keys.open(sealed_anew, "demo/app")
    other.replace(path)
    assert keys.open(sealed_anew, "demo/app") == "whsec_x"
    with pytest.raises(SealError, match="another key"):
        keys.open(sealed, "demo/app")


def test_while_the_file_is_gone_or_broken_the_keys_of_before_open_what_they_opened(tmp_path: Path) -> None:
    path = tmp_path / "webhook.key"
    write_key(path)
    keys, sealed = KeyFile(path), seal("whsec_x", read_sealing_key(path), "demo/app")
    path.unlink()
    with pytest.raises(SealError):
        keys.open("v1.0.x", "demo/app")
    path.touch(0o600)
    with pytest.raises(SealError, match="no X25519 private key"):
        keys.open("v1.0.x", "demo/app")
    assert keys.open(sealed, "demo/app") == "whsec_x"


def test_without_a_key_there_are_no_keys(tmp_path: Path) -> None:
    with pytest.raises(SealError, match="scim-api webhook key"):
        KeyFile(tmp_path / "none")

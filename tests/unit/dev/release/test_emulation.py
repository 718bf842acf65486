"""How programs of another architecture are registered."""

import platform

import pytest

from release.emulation import native, registration
from release.errors import ReleaseError


def test_the_registration_is_the_kernels_with_the_interpreter_held_open() -> None:
    # As qemu-binfmt-conf.sh of QEMU has it for aarch64.
    magic = r"\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
    mask = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
    expected = f":scim-operator-arm64:M::{magic}:{mask}:/usr/bin/qemu-aarch64-static:F"
    assert registration("arm64", "/usr/bin/qemu-aarch64-static").decode() == expected


def test_a_machine_that_no_image_is_for_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(ReleaseError, match="riscv64"):
        native()

"""What is read of an ELF file."""

import pytest

from release.elf import Linked, linked, machine
from support.elf_files import elf


@pytest.mark.parametrize(("architecture", "number"), [("amd64", 62), ("arm64", 183)])
def test_the_machine_is_told_by_the_first_bytes(architecture: str, number: int) -> None:
    assert machine(elf(architecture)[:20]) == number


@pytest.mark.parametrize("content", [b"#!/bin/sh\n" * 4, b"\x7fELF", b""])
def test_what_is_no_elf_file_has_no_machine(content: bytes) -> None:
    assert machine(content) is None


def test_a_program_names_its_loader_its_libraries_and_their_folders() -> None:
    content = elf(
        "arm64",
        interpreter="/lib/ld.so",
        needed=("libz.so.1", "libc.so.6"),
        folders="$ORIGIN/../x.libs:/opt/lib",
    )
    assert linked(content) == Linked(
        "/lib/ld.so", ("libz.so.1", "libc.so.6"), ("$ORIGIN/../x.libs", "/opt/lib")
    )


def test_a_library_has_no_loader() -> None:
    assert linked(elf("arm64", needed=("libc.so.6",))) == Linked(None, ("libc.so.6",), ())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"text", "no ELF file"),
        (elf("arm64")[:40], "damaged"),
        (elf("arm64", needed=("libc.so.6",))[:240], "no text|damaged"),
        (elf("arm64", needed=("libc.so.6",), base=0), "no segment"),
    ],
)
def test_what_is_cut_or_of_another_form_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        linked(content)

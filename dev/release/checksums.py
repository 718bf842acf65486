"""``SHA256SUMS``: the digest of every file of a release, as ``sha256sum --check`` reads it."""

import hashlib
from pathlib import Path
from typing import Final

NAME: Final = "SHA256SUMS"


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checksums(directory: Path) -> dict[str, str]:
    """Path below the directory -> SHA-256, in order of the paths; without the list itself."""
    files = sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file())
    return {name: digest(directory / name) for name in files if name != NAME}


def as_text(sums: dict[str, str]) -> str:
    """As ``sha256sum`` writes it."""
    return "".join(f"{value}  {name}\n" for name, value in sums.items())


def parse(text: str) -> dict[str, str]:
    """What ``as_text`` wrote."""
    return {name: value for value, _, name in (line.partition("  ") for line in text.splitlines())}


def differences(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """Files that two builds do not have alike, by name."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))

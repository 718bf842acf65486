"""ELF files of 64 bits, little-endian, as those of amd64 and arm64 are: for which machine, and what they are linked with.

System V ABI, chapters 4 and 5; ld.so(8).
"""

import dataclasses
import struct
from collections.abc import Iterator
from typing import Final

HEAD: Final = 20
"""Bytes that tell the machine."""
_MAGIC: Final = b"\x7fELF\x02\x01"
_LOAD, _DYNAMIC, _INTERP = 1, 2, 3
_NULL, _NEEDED, _STRTAB, _RPATH, _RUNPATH = 0, 1, 5, 15, 29


@dataclasses.dataclass(frozen=True, slots=True)
class Linked:
    """What a program or a library has to find where it is started."""

    interpreter: str | None
    """The loader's path; a library has none."""
    needed: tuple[str, ...]
    """Names of libraries."""
    folders: tuple[str, ...]
    """Where they are looked for besides the system's own folders; may have ``$ORIGIN``."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Segment:
    kind: int
    offset: int
    address: int
    size: int


def machine(head: bytes) -> int | None:
    """For which machine an ELF file is (``e_machine``), by its first bytes; None when it is no ELF file."""
    if len(head) < HEAD or head[:4] != b"\x7fELF":
        return None
    (number,) = struct.unpack("<H" if head[5] == 1 else ">H", head[18:HEAD])
    return int(number)


def linked(content: bytes) -> Linked:
    """What a whole ELF file is linked with. Raises ``ValueError`` when it is damaged, or of another form."""
    if not content.startswith(_MAGIC):
        raise ValueError("no ELF file of 64 bits, little-endian")
    try:
        segments = list(_segments(content))
        entries = [entry for one in segments if one.kind == _DYNAMIC for entry in _entries(content, one)]
        strings = next((_offset(segments, value) for tag, value in entries if tag == _STRTAB), 0)

        def named(*tags: int) -> tuple[str, ...]:
            return tuple(_text(content, strings + value) for tag, value in entries if tag in tags)

        interpreters = [_text(content, one.offset) for one in segments if one.kind == _INTERP]
        folders = [folder for one in named(_RPATH, _RUNPATH) for folder in one.split(":") if folder]
        return Linked(interpreters[0] if interpreters else None, named(_NEEDED), tuple(folders))
    except struct.error as error:
        raise ValueError(f"a damaged ELF file: {error}") from error


def _segments(content: bytes) -> Iterator[_Segment]:
    (start,) = struct.unpack_from("<Q", content, 32)
    size, count = struct.unpack_from("<HH", content, 54)
    for number in range(count):
        kind, _, offset, address, _, length = struct.unpack_from("<IIQQQQ", content, start + number * size)
        yield _Segment(kind, offset, address, length)


def _entries(content: bytes, segment: _Segment) -> Iterator[tuple[int, int]]:
    for place in range(segment.offset, segment.offset + segment.size, 16):
        tag, value = struct.unpack_from("<QQ", content, place)
        if tag == _NULL:
            return
        yield tag, value


def _offset(segments: list[_Segment], address: int) -> int:
    """Where in the file that is which is loaded at an address."""
    for one in segments:
        if one.kind == _LOAD and one.address <= address < one.address + one.size:
            return address - one.address + one.offset
    raise ValueError(f"no segment of the file is loaded at {address:#x}")


def _text(content: bytes, place: int) -> str:
    end = content.find(b"\0", place)
    if end < 0:
        raise ValueError(f"no text at {place:#x}")
    return content[place:end].decode()

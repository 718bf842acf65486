"""ELF files as small as they can be: a head, a list of segments, and what the loader reads."""

import struct
from typing import Final

MACHINES: Final = {"amd64": 62, "arm64": 183}
ADDRESS: Final = 0x400000
"""Where the file is loaded: what is found by address is not found by offset."""
_HEAD, _SEGMENT, _ENTRY = 64, 56, 16
_LOAD, _DYNAMIC, _INTERP = 1, 2, 3
_NULL, _NEEDED, _STRTAB, _RUNPATH = 0, 1, 5, 29


def elf(
    architecture: str,
    *,
    interpreter: str = "",
    needed: tuple[str, ...] = (),
    folders: str = "",
    base: int = ADDRESS,
) -> bytes:
    """A program, or a library when it has no interpreter."""
    strings = b"\0"
    entries: list[tuple[int, int]] = []
    for tag, text in [*((_NEEDED, one) for one in needed), *([(_RUNPATH, folders)] if folders else [])]:
        entries.append((tag, len(strings)))
        strings += text.encode() + b"\0"
    loader = len(strings)
    strings += interpreter.encode() + b"\0"
    start = _HEAD + 3 * _SEGMENT
    dynamic = start + len(strings)
    entries += [(_STRTAB, ADDRESS + start), (_NULL, 0)]
    content = strings + b"".join(struct.pack("<QQ", *entry) for entry in entries)
    segments = [
        (_LOAD, 0, base, start + len(content)),
        (_DYNAMIC, dynamic, base + dynamic, len(entries) * _ENTRY),
        (_INTERP if interpreter else _NULL, start + loader, base + start + loader, len(interpreter) + 1),
    ]
    listed = b"".join(
        struct.pack("<IIQQQQQQ", kind, 4, offset, address, address, size, size, 1)
        for kind, offset, address, size in segments
    )
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    head = struct.pack(
        "<HHIQQQIHHHHHH", 3, MACHINES[architecture], 1, 0, _HEAD, 0, 0, _HEAD, _SEGMENT, 3, 0, 0, 0
    )
    return ident + head + listed + content

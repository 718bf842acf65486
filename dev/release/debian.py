"""Debian that an emulator installs: without what would take it most of its time."""

from typing import Final

LIBRARY: Final = "/usr/lib/python3.13"
"""Python's, in the suite that images are built on."""
COMPILER: Final = f"{LIBRARY}/py_compile.py"
_ASIDE: Final = f"{COMPILER}.aside"
_STAND_IN: Final = "import sys; sys.stdin.read() if sys.argv[1:] == ['-'] else None"
"""Takes the names of files as the compiler does, and compiles none."""


def without_byte_code() -> tuple[str, ...]:
    """Options of mmdebstrap with which Python's library is installed as it is.

    Debian compiles it while it is configured. That takes an emulator minutes, and strip.sh takes the byte code out. So
    the compiler is diverted (dpkg-divert(1)) until everything is configured.
    """
    divert = f'dpkg-divert --quiet --root "$1" --local --divert {_ASIDE}'
    return (
        f"--essential-hook={divert} --no-rename --add {COMPILER}",
        f'--essential-hook=mkdir -p "$1{LIBRARY}" && echo "{_STAND_IN}" > "$1{COMPILER}"',
        f'--customize-hook=rm "$1{COMPILER}" && {divert} --rename --remove {COMPILER}',
        '--customize-hook=rm -f "$1/var/lib/dpkg/diversions-old"',
    )

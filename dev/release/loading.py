"""Whether an image has what its programs and libraries load: their loader, and each library that they are linked with.

Nothing is run, so that it holds for every architecture, and for modules that no trial imports.
"""

import posixpath
from collections.abc import Iterator, Mapping
from typing import Final

from release.elf import Linked

TRIPLETS: Final[Mapping[str, str]] = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}
"""Architecture -> its name in Debian's folders."""
_LINKS: Final = 40
"""More symbolic links than these in one path are a circle, as Linux has it."""


class Tree:
    """Paths of an image, all absolute."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._links: dict[str, str] = {}

    def add_file(self, path: str) -> None:
        """There is a file."""
        self._files.add(path)

    def add_link(self, path: str, target: str) -> None:
        """There is a symbolic link."""
        self._links[path] = target

    def has_file(self, path: str) -> bool:
        """Whether a path leads to a file, over links or not."""
        for _ in range(_LINKS):
            path = posixpath.normpath(path)
            link = next((one for one in _and_folders(path) if one in self._links), None)
            if link is None:
                return path in self._files
            path = posixpath.join(posixpath.dirname(link), self._links[link]) + path[len(link) :]
        return False


def missing(tree: Tree, programs: Mapping[str, Linked], architecture: str) -> Iterator[str]:
    """What ELF files of an image can't load, as sentences.

    Args:
        tree: every file of the image.
        programs: path -> what it is linked with.
        architecture: ``amd64`` or ``arm64``.
    """
    triplet = TRIPLETS[architecture]
    system = (f"/lib/{triplet}", f"/usr/lib/{triplet}", "/lib", "/usr/lib", "/usr/local/lib")
    for path, one in sorted(programs.items()):
        if one.interpreter is not None and not tree.has_file(one.interpreter):
            yield f"{path} is started by {one.interpreter}, which is not in it"
        origin = posixpath.dirname(path)
        folders = [_expanded(folder, origin) for folder in one.folders] + list(system)
        for name in one.needed:
            if not any(tree.has_file(posixpath.join(folder, name)) for folder in folders):
                yield f"{path} needs {name}, which is not in it"


def _and_folders(path: str) -> Iterator[str]:
    """The folders that a path leads through, from the root on, and the path."""
    place = path.find("/", 1)
    while place > 0:
        yield path[:place]
        place = path.find("/", place + 1)
    yield path


def _expanded(folder: str, origin: str) -> str:
    return folder.replace("${ORIGIN}", origin).replace("$ORIGIN", origin)

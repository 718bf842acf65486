"""Versions as Semantic Versioning 2.0.0 orders them, and which of them may follow which."""

import dataclasses
import re
from collections.abc import Iterable, Sequence
from typing import Final, Self

from release.errors import ReleaseError

_NUMBER: Final = r"(0|[1-9]\d*)"
_FORM: Final = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?")


@dataclasses.dataclass(frozen=True, slots=True)
class Version:
    """A version without build metadata, which no tag of an image can hold."""

    major: int
    minor: int
    patch: int
    pre: tuple[str, ...] = ()
    """What comes after the hyphen, such as ``("rc", "1")``; empty for a release."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """From ``1.2.3`` or ``1.2.3-rc.1``. Raises ``ReleaseError``."""
        found = _FORM.fullmatch(text)
        pre = tuple(found[4].split(".")) if found and found[4] else ()
        if found is None or any(part.isdecimal() and part != str(int(part)) for part in pre):
            raise ReleaseError(
                f"{text!r} is no version: write three numbers, such as VERSION=0.2.0 or VERSION=0.2.0-rc.1 "
                "(https://semver.org), without a v"
            )
        return cls(int(found[1]), int(found[2]), int(found[3]), pre)

    def __str__(self) -> str:
        core = f"{self.major}.{self.minor}.{self.patch}"
        return f"{core}-{'.'.join(self.pre)}" if self.pre else core

    @property
    def tag(self) -> str:
        """Its name in git."""
        return f"v{self}"

    @property
    def compatibility(self) -> tuple[int, ...]:
        """What counts as the major version: while the first number is 0, the second one (docs/stability.md)."""
        return (self.major,) if self.major else (0, self.minor)

    @property
    def order(self) -> tuple[object, ...]:
        """By what versions are compared (Semantic Versioning section 11)."""
        parts = tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in self.pre)
        return (self.major, self.minor, self.patch, not self.pre, parts)


def newest(tags: Iterable[str]) -> Version | None:
    """The highest version among git's tags; those that are no version do not count."""
    versions = [Version.parse(tag[1:]) for tag in tags if tag.startswith("v") and _FORM.fullmatch(tag[1:])]
    return max(versions, key=lambda version: version.order, default=None)


def previous(version: Version, tags: Sequence[str], *, is_tagged_elsewhere: bool) -> Version | None:
    """The release before this one.

    Args:
        version: what is to be released.
        tags: of git, in the history of the commit that is released.
        is_tagged_elsewhere: whether this version's own tag is on another commit.

    Raises:
        ReleaseError: the version would go back, or was released from another commit.
    """
    if is_tagged_elsewhere:
        raise ReleaseError(
            f"{version} is out already: its tag {version.tag} is on another commit. A tag is never moved: "
            "release the next version"
        )
    last = newest(tag for tag in tags if tag != version.tag)
    if last is not None and version.order <= last.order:
        raise ReleaseError(
            f"{version} would go back: {last} is out already ({last.tag}). Give a higher VERSION, such as "
            f"{Version(last.major, last.minor, last.patch + 1)}"
        )
    return last


def is_major_step(last: Version, version: Version) -> bool:
    """Whether what is stable may change between the two (docs/stability.md)."""
    return last.compatibility != version.compatibility

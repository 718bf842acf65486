"""Whether this commit may be released as this version: everything that is refused is refused before anything is built."""

import dataclasses
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from release import notes
from release.errors import ReleaseError
from release.git import Git
from release.promises.check import compare, refuse
from release.stated import check_stated, stated
from release.version import Version, is_major_step, previous


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """A release that may be made."""

    version: Version
    commit: str
    seconds: int
    """Since the epoch: when it was committed, and the time of everything in the release."""
    last: Version | None
    """The release before it."""
    changelog: str
    """What the changelog says of it."""
    broken: tuple[str, ...]
    """What a new major version does not keep of the last one's promises."""
    policy: Mapping[str, Any]
    """policy.toml."""


def plan(checkout: Path, text: str) -> Plan:
    """What is to be released.

    Args:
        checkout: of the commit.
        text: the version as it was given.

    Raises:
        ReleaseError: it may not be; the message says why, and what to do.
    """
    git, version = Git(checkout), Version.parse(text)
    if changes := git.changes():
        raise ReleaseError(
            "the checkout has changes that no commit has, and a release is a commit:\n  "
            + "\n  ".join(changes)
            + "\nCommit them, or take them away (git stash --include-untracked)"
        )
    commit, tagged = git.commit(), git.commit_of(version.tag)
    last = previous(version, git.tags(), is_tagged_elsewhere=tagged not in (None, commit))

    def read(path: str) -> str | None:
        return git.file("HEAD", path)

    check_stated(str(version), stated(lambda path: read(path) or ""))
    policy = tomllib.loads((checkout / "dev/release/policy.toml").read_text(encoding="utf-8"))
    broken: list[str] = []
    if last is not None:
        tag = last.tag
        broken = refuse(
            compare(lambda path: git.file(tag, path), read),
            policy["promises"]["reviewed"],
            str(last),
            is_major_step=is_major_step(last, version),
        )
    changelog = notes.section(read("CHANGELOG.md") or "", str(version), is_prerelease=bool(version.pre))
    return Plan(version, commit, git.seconds(), last, changelog, tuple(broken), policy)

"""What git knows of the commit that is released."""

import subprocess
from pathlib import Path

from release.errors import ReleaseError


class Git:
    """One checkout."""

    def __init__(self, checkout: Path) -> None:
        self._checkout = checkout

    def changes(self) -> list[str]:
        """Files that differ from the commit, and those that git does not know, as ``git status --short`` has them."""
        return self._run("status", "--porcelain", "--untracked-files=normal").splitlines()

    def commit(self) -> str:
        """The commit in full."""
        return self._run("rev-parse", "HEAD").strip()

    def seconds(self) -> int:
        """When it was committed, since the epoch."""
        return int(self._run("show", "--no-patch", "--format=%ct", "HEAD"))

    def tags(self) -> list[str]:
        """All tags in the commit's history."""
        return self._run("tag", "--merged", "HEAD").split()

    def commit_of(self, tag: str) -> str | None:
        """The commit that a tag is on, or None when there is no such tag."""
        found = self._run("rev-parse", "--quiet", "--verify", f"refs/tags/{tag}^{{commit}}", check=False)
        return found.strip() or None

    def file(self, revision: str, path: str) -> str | None:
        """A file's text as a revision had it, or None when it had none."""
        done = subprocess.run(
            ["git", "show", f"{revision}:{path}"],
            cwd=self._checkout,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout if done.returncode == 0 else None

    def export(self, target: Path) -> None:
        """Write the commit's files into an empty directory: nothing that git does not know comes into a release."""
        archive = subprocess.run(
            ["git", "-c", "tar.umask=0022", "archive", "HEAD"],
            cwd=self._checkout,
            capture_output=True,
            check=True,
        )
        subprocess.run(["tar", "--extract", "--directory", str(target)], input=archive.stdout, check=True)

    def _run(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self._checkout, capture_output=True, text=True, check=False
        )
        if check and done.returncode != 0:
            raise ReleaseError(f"`git {' '.join(arguments)}` failed: {done.stderr.strip()}")
        return done.stdout

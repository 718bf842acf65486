"""The documentation as a site: ``python -m docs_site`` builds ``site/`` from ``docs/``. `make docs` runs it.

The pages stay plain files whose relative links work in the repository. For the site they are copied, and links that
leave ``docs/`` are rewritten: to another page where the file is one, else to the repository where its address is given,
else to a copy of the file. So the site is whole without a network, and no link is dead.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
MORE_PAGES: Final = {
    "charts/scim-operator/README.md": "chart.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "README.md": "readme.md",
}
"""Pages of the site that are not in docs/, by their path in the repository."""

SOURCES: Final = "source"
"""Folder of the site with copies of files that pages link to."""

REPOSITORY: Final = "DOCS_REPOSITORY_URL"
"""Environment variable: where files of the repository can be read, such as https://github.com/me/it/blob/main."""

_LINK: Final = re.compile(r"(?<=\]\()([^)\s]+)(?=\))")
_EXTERNAL: Final = re.compile(r"[a-z]+:")
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
_FENCE: Final = re.compile(r"^( *```.*?^ *```)$", re.MULTILINE | re.DOTALL)


class DocsError(Exception):
    """The site can't be built; the message says why."""


def repository_url(environment: Mapping[str, str]) -> str:
    """Where files of the repository can be read, without a slash at the end; empty when nobody says.

    GitHub's own variables count where ``DOCS_REPOSITORY_URL`` is not set, so that a build there needs no setting.
    """
    if given := environment.get(REPOSITORY):
        return given.rstrip("/")
    server, name, commit = (environment.get(f"GITHUB_{word}") for word in ("SERVER_URL", "REPOSITORY", "SHA"))
    return f"{server}/{name}/blob/{commit}" if server and name and commit else ""


def place(path: PurePosixPath) -> PurePosixPath | None:
    """Where a file of the repository is in the site's sources, or None when it is no part of them."""
    if path.parts[0] == "docs":
        return path.relative_to("docs")
    return PurePosixPath(MORE_PAGES[str(path)]) if str(path) in MORE_PAGES else None


def rewritten(text: str, page: PurePosixPath, repository: str, copied: set[PurePosixPath]) -> str:
    """A page's text with its relative links as the site needs them.

    Args:
        text: Markdown; code blocks stay as they are.
        page: path of the page in the repository.
        repository: address of the repository's files, or empty.
        copied: takes the paths of files that have to be copied into the site.

    Raises:
        DocsError: a link leads out of the repository.
    """
    here = place(page)
    assert here is not None

    def link(found: re.Match[str]) -> str:
        name, hash_, anchor = found[1].partition("#")
        if not name or _EXTERNAL.match(name):
            return found[1]
        target = PurePosixPath(os.path.normpath(page.parent / name))
        if target.parts[0] == "..":
            raise DocsError(f"{page}: {name} leads out of the repository")
        there = place(target)
        if there is None and repository:
            return f"{repository}/{target}{hash_}{anchor}"
        if there is None:
            copied.add(target)
            there = copy_of(target)
        return f"{os.path.relpath(there, here.parent)}{hash_}{anchor}"

    parts = _FENCE.split(text)
    return "".join(part if part.lstrip().startswith("```") else _LINK.sub(link, part) for part in parts)


def copy_of(path: PurePosixPath) -> PurePosixPath:
    """Where the copy of a file is, by a name that every web server shows as text, and not hidden: that is left out."""
    return PurePosixPath(
        SOURCES, *(part.lstrip(".") for part in path.parent.parts), f"{path.name.lstrip('.')}.txt"
    )


def write_sources(root: Path, directory: Path, repository: str) -> None:
    """Write the sources of the site, which are Markdown still, into an empty directory."""
    copied: set[PurePosixPath] = set()
    for source in sorted((*(root / "docs").rglob("*"), *(root / name for name in MORE_PAGES))):
        path = PurePosixPath(source.relative_to(root).as_posix())
        if source.is_dir():
            continue
        target = directory / str(place(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".md":
            target.write_text(
                rewritten(source.read_text(encoding="utf-8"), path, repository, copied), encoding="utf-8"
            )
        else:
            shutil.copy(source, target)
    for path in sorted(copied):
        target = directory / copy_of(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_content(root / path), encoding="utf-8")


def _content(path: Path) -> str:
    """A file's text; of a folder, the names in it."""
    if path.is_dir():
        return "".join(f"{one.name}{'/' * one.is_dir()}\n" for one in sorted(path.iterdir()))
    return path.read_text(encoding="utf-8")


def build(root: Path, work: Path, repository: str = "") -> Path:
    """Build the site strictly, without a network: whatever is doubtful ends it.

    Args:
        root: the repository.
        work: a directory to build in; what is in it goes.
        repository: address of the repository's files, or empty.

    Returns:
        The directory with the built site.

    Raises:
        DocsError: the builder is not installed, or has found something wrong.
    """
    shutil.rmtree(work, ignore_errors=True)
    (work / "docs").mkdir(parents=True)
    shutil.copy(root / "mkdocs.yml", work)
    write_sources(root, work / "docs", repository)
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DocsError(f"{' '.join(command[1:])} failed:\n{_COLOUR.sub('', done.stdout + done.stderr)}")
    return work / "site"


def main() -> int:
    """Build ``site/`` anew; the exit code."""
    parser = argparse.ArgumentParser(
        "python -m docs_site",
        description="The documentation as a site: builds site/ from docs/, strictly and without a network.",
        epilog=f"{REPOSITORY} in the environment is where files of the repository can be read; without it the site has copies.",
    )
    parser.parse_args()
    try:
        built = build(ROOT, ROOT / "build/docs", repository_url(os.environ))
    except DocsError as error:
        print(error, file=sys.stderr)
        return 1
    site = ROOT / "site"
    shutil.rmtree(site, ignore_errors=True)
    shutil.move(built, site)
    print(f"{site}: {sum(1 for _ in site.rglob('*.html'))} pages")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The release's notes: what the changelog says of the version, how to install it, and how to verify it."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Final

from release.errors import ReleaseError

NO_REGISTRY: Final = "REGISTRY"
NO_REPOSITORY: Final = "OWNER/REPOSITORY"
"""What stands in the notes where the environment does not say it."""
_HEADING: Final = re.compile(r"^## \[([^\]]+)\](?: - (\d{4}-\d\d-\d\d))?.*$", re.MULTILINE)


@dataclasses.dataclass(frozen=True, slots=True)
class Image:
    """An image as the notes name it."""

    name: str
    digest: str
    """``sha256:…`` of its index, which is the same in every registry."""


def section(changelog: str, version: str, *, is_prerelease: bool) -> str:
    """What the changelog says of a version; of a prerelease without a section, what it says of what is not released.

    Raises:
        ReleaseError: there is no section, it has no date, or nothing stands in it.
    """
    found = {heading[1]: heading for heading in _HEADING.finditer(changelog)}
    name = "Unreleased" if is_prerelease and version not in found else version
    heading = found.get(name)
    if heading is None:
        raise ReleaseError(
            f"CHANGELOG.md has no section of {version}: write `## [{version}] - YYYY-MM-DD` below a new, empty "
            "`## [Unreleased]`"
        )
    if name == version and heading[2] is None:
        raise ReleaseError(
            f"CHANGELOG.md has no date beside [{version}]: write `## [{version}] - YYYY-MM-DD`"
        )
    following = _HEADING.search(changelog, heading.end())
    text = changelog[heading.end() : following.start() if following else None].strip()
    if not text:
        raise ReleaseError(f"CHANGELOG.md says nothing below [{name}]: what is released?")
    return text


def notes(
    text: str,
    version: str,
    images: Sequence[Image],
    environment: Mapping[str, str],
    broken: Sequence[str] = (),
) -> str:
    """The notes as Markdown.

    Args:
        text: the changelog's section; its links to files become links to the tag's.
        version: without a v.
        images: none when they were left out.
        environment: ``REGISTRY``, ``GITHUB_REPOSITORY`` and ``GITHUB_SERVER_URL``, as far as they are set.
        broken: what this major version does not keep of the last one's promises.
    """
    registry = environment.get("REGISTRY") or NO_REGISTRY
    repository = environment.get("GITHUB_REPOSITORY") or NO_REPOSITORY
    files = f"{environment.get('GITHUB_SERVER_URL') or 'https://github.com'}/{repository}/blob/v{version}"
    parts = [_linked(text, files)]
    if broken:
        parts.append("## Not as before\n\n" + "\n".join(f"- {one}" for one in broken))
    if images:
        rows = "\n".join(f"| `{registry}/{one.name}:{version}` | `{one.digest}` |" for one in images)
        parts.append(f"## Images\n\nFor amd64 and arm64.\n\n| image | digest |\n|---|---|\n{rows}")
    parts += [_install(registry, version, files), _verify(registry, repository, version, files)]
    return "\n\n".join(parts) + "\n"


def _linked(text: str, files: str) -> str:
    return re.sub(r"(?<=\]\()(?![a-z]+:|#)([^)\s]+)(?=\))", lambda found: f"{files}/{found[1]}", text)


def _install(registry: str, version: str, files: str) -> str:
    return f"""## Install

The chart names its images by their digests. What it needs, and how to upgrade: [docs/install.md]({files}/docs/install.md).

```sh
helm upgrade --install scim oci://{registry}/charts/scim-operator --version {version} \\
  --namespace scim-system --create-namespace --values values.yaml
```"""


def _verify(registry: str, repository: str, version: str, files: str) -> str:
    return f"""## Verify

Images and chart are signed by the repository's workflow, and `SHA256SUMS` with them. All steps: \
[SECURITY.md]({files}/SECURITY.md#verifying-a-release), with

```sh
REGISTRY={registry} REPOSITORY={repository} VERSION={version}
```"""

"""All promises of the last release that files can show: the CRDs, the admin API and the token endpoint."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

import yaml

from release.errors import ReleaseError
from release.promises.broken import Broken
from release.promises.crd import broken_by_crd
from release.promises.openapi import broken_by_api

CRDS: Final = ("crds/scimtoken.yaml", "crds/scimwebhook.yaml")
ADMIN_API: Final = "docs/admin-openapi.json"
TOKEN_API: Final = "docs/token-openapi.json"
ALWAYS_KEPT: Final = (ADMIN_API,)
"""A major version may not break it either: each release of the operator works with the service before and after."""

Read = Callable[[str], str | None]
"""The text of a file of a release, or None when it had none."""


def compare(old: Read, new: Read) -> list[Broken]:
    """What the new files do not have, take or answer any more. A file that the old release lacked promised nothing."""
    broken: list[Broken] = []
    for name in (*CRDS, ADMIN_API, TOKEN_API):
        before, after = old(name), new(name)
        if before is None:
            continue
        if after is None:
            broken.append(Broken(name, "is gone"))
        elif name in CRDS:
            broken += broken_by_crd(yaml.safe_load(before), yaml.safe_load(after), name)
        else:
            broken += broken_by_api(_json(before), _json(after), name)
    return broken


def refuse(
    broken: Sequence[Broken], reviewed: Collection[str], last: str, *, is_major_step: bool
) -> list[str]:
    """What a release with broken promises has to say in its notes: those that a major version may break.

    Args:
        broken: what ``compare`` found.
        reviewed: those, as text, that a person has looked at: `reviewed` of policy.toml.
        last: the version of the release that promised.
        is_major_step: whether what is stable may change.

    Raises:
        ReleaseError: a promise is broken that may not be, or a review is of nothing.
    """
    found = {str(one): one for one in broken}
    if unused := sorted(set(reviewed) - found.keys()):
        raise ReleaseError(
            f"dev/release/policy.toml reviews what is not broken since {last}; take it out:\n  "
            + "\n  ".join(unused)
        )
    left = [text for text in found if text not in reviewed]
    kept = [text for text in left if not is_major_step or text.startswith(ALWAYS_KEPT)]
    if kept:
        raise ReleaseError(
            f"{last} promised what this commit does not keep:\n  "
            + "\n  ".join(kept)
            + "\nBring it back beside the new one. What is stable changes with a new major version alone, and the "
            "admin API by a new path (docs/stability.md). If nothing that was taken is refused now, list it in "
            "dev/release/policy.toml, [promises.reviewed], with the reason"
        )
    return left


def _json(text: str) -> Mapping[str, Any]:
    document: Mapping[str, Any] = json.loads(text)
    return document

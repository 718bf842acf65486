"""Where the checkout states its version: pyproject.toml, and the chart's Chart.yaml, which `make chart` writes after it."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from release.errors import ReleaseError

PLACES: Final[Mapping[str, Mapping[str, str]]] = {
    "pyproject.toml": {"version": r'^version = "(.*)"$'},
    "charts/scim-operator/Chart.yaml": {"version": r"^version: (\S+)$", "appVersion": r"^appVersion: (\S+)$"},
}
"""File -> what is stated there -> how it is found; each occurrence counts."""


def stated(read: Callable[[str], str]) -> dict[str, set[str]]:
    """What each place says, by a name such as ``pyproject.toml: version``.

    Args:
        read: gives the text of a file of the checkout.
    """
    return {
        f"{name}: {what}": set(re.findall(pattern, read(name), re.MULTILINE))
        for name, whats in PLACES.items()
        for what, pattern in whats.items()
    }


def check_stated(version: str, said: Mapping[str, set[str]]) -> None:
    """Raises ``ReleaseError`` when a place says another version than the one that is released."""
    others = [
        f"{place} is {', '.join(sorted(found)) or 'missing'}"
        for place, found in said.items()
        if found != {version}
    ]
    if others:
        raise ReleaseError(
            f"the checkout does not say that it is {version}: {'; '.join(others)}. Write {version} into "
            "pyproject.toml and the changelog, run `uv lock` and `make chart`, and commit it: RELEASE.md, Each time"
        )

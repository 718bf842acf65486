"""Licences of all parts, checked against the list in ``policy.toml``."""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import Any, Self

from release import sbom
from release.errors import ReleaseError


@dataclasses.dataclass(frozen=True, slots=True)
class Exemption:
    """A part whose licence a person has read."""

    found: frozenset[str]
    """The names of licences that it may have beside those that are allowed; none where it names none."""
    reason: str
    """Its licence, and why it is not found by its name."""


@dataclasses.dataclass(frozen=True, slots=True)
class Policy:
    """What may be in an image."""

    allowed: frozenset[str]
    """Licences for every part, by SPDX id."""
    debian: frozenset[str]
    """Further ones, as Debian's copyright files name them, for programs and libraries of the system alone."""
    exceptions: Mapping[str, Exemption]
    """By name of the component."""

    @classmethod
    def from_toml(cls, document: Mapping[str, Any]) -> Self:
        """Of the table ``licences``."""
        table = document["licences"]
        exceptions = {
            name: Exemption(frozenset(one["found"]), one["reason"])
            for name, one in table["exceptions"].items()
        }
        return cls(frozenset(table["allowed"]), frozenset(table["debian"]), exceptions)


def allows(expression: str, allowed: frozenset[str]) -> bool:
    """Whether an SPDX expression can be met by allowed licences alone: all of ``AND``, one of ``OR``.

    An exception that a licence grants (``WITH``) takes nothing away, so that the licence decides.
    """
    if expression in allowed:
        return True
    tokens = re.findall(r"[()]|[^\s()]+", expression)
    if not any(token in {"AND", "OR", "WITH"} for token in tokens):
        return False
    value, left = _any_of(tokens, allowed)
    return value and not left


def _any_of(tokens: list[str], allowed: frozenset[str]) -> tuple[bool, list[str]]:
    value, tokens = _all_of(tokens, allowed)
    while tokens[:1] == ["OR"]:
        other, tokens = _all_of(tokens[1:], allowed)
        value = value or other
    return value, tokens


def _all_of(tokens: list[str], allowed: frozenset[str]) -> tuple[bool, list[str]]:
    value, tokens = _single(tokens, allowed)
    while tokens[:1] == ["AND"]:
        other, tokens = _single(tokens[1:], allowed)
        value = value and other
    return value, tokens


def _single(tokens: list[str], allowed: frozenset[str]) -> tuple[bool, list[str]]:
    if tokens[:1] == ["("]:
        value, left = _any_of(tokens[1:], allowed)
        return value, left[1:]
    left = tokens[3:] if tokens[1:2] == ["WITH"] else tokens[1:]
    return tokens[:1] != [] and tokens[0] in allowed, left


def refused(components: Iterable[Mapping[str, Any]], policy: Policy) -> list[str]:
    """What each component has that the policy does not allow, as sentences; empty when all is allowed."""
    found = set()
    for component in components:
        name = component["name"]
        exemption = policy.exceptions.get(name)
        allowed = policy.allowed | (policy.debian if sbom.ecosystem(component) == "deb" else frozenset())
        licences = sbom.named_licences(component)
        bad = [licence for licence in licences if not allows(licence, allowed)]
        if exemption is not None and exemption.found.issuperset(bad):
            continue
        shown = f"{name} {component.get('version', '')}".strip()
        if not licences:
            found.add(f"{shown} names no licence")
        elif bad:
            found.add(f"{shown} has {', '.join(bad)}")
    return sorted(found)


def check(boms: Mapping[str, sbom.Bom], policy: Policy) -> None:
    """Raises ``ReleaseError`` when a part of an image has a licence that is not allowed, or an exception is of nothing.

    Args:
        boms: name of each image, and its bill of materials.
        policy: what is allowed.
    """
    sentences = [
        f"{image}: {sentence}"
        for image, bom in boms.items()
        for sentence in refused(sbom.packages(bom), policy)
    ]
    if sentences:
        raise ReleaseError(
            "parts with licences that are not on the list:\n  "
            + "\n  ".join(sentences)
            + "\nLeave the part out, or read its licence and add it to dev/release/policy.toml, [licences]"
        )
    names = {component["name"] for bom in boms.values() for component in sbom.packages(bom)}
    if unused := sorted(policy.exceptions.keys() - names):
        raise ReleaseError(
            f"dev/release/policy.toml has exceptions for what no image holds; take them out: {', '.join(unused)}"
        )

"""Licences of all parts against the list."""

import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

from release.errors import ReleaseError
from release.licences import Exemption, Policy, allows, check, refused

ROOT: Final = Path(__file__).resolve().parents[4]
ALLOWED: Final = frozenset({"MIT", "Apache-2.0", "BSD-3-Clause"})
EXEMPT: Final = Exemption(frozenset({"sha256:1"}), "MIT, in words of its own")
POLICY: Final = Policy(ALLOWED, frozenset({"GPL-2.0-or-later"}), {"odd": EXEMPT})


def _component(name: str, *licences: str, ecosystem: str = "pypi") -> dict[str, Any]:
    listed = [{"license": {"id": licence}} for licence in licences]
    return {
        "type": "library", "bom-ref": name, "name": name, "version": "1",
        "purl": f"pkg:{ecosystem}/{name}@1", "licenses": listed,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("MIT OR GPL-3.0-only", True),
        ("MIT AND GPL-3.0-only", False),
        ("GPL-3.0-only OR MIT AND Apache-2.0", True),
        ("(GPL-3.0-only OR MIT) AND (Apache-2.0)", True),
        ("(GPL-3.0-only OR MIT) AND ISC", False),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("GPL-2.0-only WITH Classpath-exception-2.0", False),
        ("Apache-2.0 WITH LLVM-exception AND MIT", True),
        ("MIT License", False),
        ("MIT GPL-3.0-only OR MIT", False),
        ("", False),
    ],
)
def test_an_expression_is_allowed_when_listed_licences_meet_it(expression: str, *, expected: bool) -> None:
    assert allows(expression, ALLOWED) is expected


def test_a_part_needs_a_licence_and_all_of_them_are_on_the_list() -> None:
    parts = [_component("good", "MIT"), _component("bad", "MIT", "AGPL-3.0-only"), _component("none")]
    assert refused(parts, POLICY) == ["bad 1 has AGPL-3.0-only", "none 1 names no licence"]


def test_what_debian_may_have_nothing_else_may() -> None:
    assert refused([_component("libc", "GPL-2.0-or-later", ecosystem="deb")], POLICY) == []
    assert refused([_component("lib", "GPL-2.0-or-later")], POLICY) == ["lib 1 has GPL-2.0-or-later"]


@pytest.mark.parametrize("licences", [(), ("MIT",), ("sha256:1",), ("MIT", "sha256:1")])
def test_an_exception_is_for_what_was_read(licences: tuple[str, ...]) -> None:
    assert refused([_component("odd", *licences)], POLICY) == []


@pytest.mark.parametrize("licence", ["AGPL-3.0-only", "sha256:2"])
def test_an_exception_ends_when_the_part_has_another_licence(licence: str) -> None:
    [sentence] = refused([_component("odd", "sha256:1", licence)], POLICY)
    assert sentence.startswith("odd 1 has ")
    assert licence in sentence


def test_a_release_with_another_licence_is_refused_with_the_image_and_what_to_do() -> None:
    boms = {"scim-api": {"components": [_component("bad", "AGPL-3.0-only")]}}
    with pytest.raises(ReleaseError, match=r"(?s)scim-api: bad 1 has AGPL-3\.0-only.*policy\.toml"):
        check(boms, POLICY)


def test_an_exception_for_what_is_not_there_is_refused() -> None:
    with pytest.raises(ReleaseError, match="take them out: odd"):
        check({"scim-api": {"components": [_component("good", "MIT")]}}, POLICY)


def test_the_policy_of_this_checkout_can_be_read_and_each_exception_has_a_reason() -> None:
    document = tomllib.loads((ROOT / "dev/release/policy.toml").read_text(encoding="utf-8"))
    policy = Policy.from_toml(document)
    assert "Apache-2.0" in policy.allowed
    assert not policy.allowed & policy.debian
    reasons = [one.reason for one in policy.exceptions.values()]
    reasons += document["promises"]["reviewed"].values()
    assert all(len(reason) > 20 for reason in reasons)

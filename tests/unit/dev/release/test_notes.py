"""Release notes from the changelog."""

from typing import Final

import pytest

from release.errors import ReleaseError
from release.notes import Image, notes, section

CHANGELOG: Final = """# Changelog

## [Unreleased]

- coming

## [0.2.0] - 2027-01-02

### Added

- This, see [it](docs/it.md#there) and [RFC](https://example.com/rfc).

## [0.1.0]

- first
"""


def test_a_version_has_its_own_section() -> None:
    assert section(CHANGELOG, "0.2.0", is_prerelease=False).startswith("### Added\n\n- This")
    assert "first" not in section(CHANGELOG, "0.2.0", is_prerelease=False)


def test_a_prerelease_without_a_section_has_what_is_not_released() -> None:
    assert section(CHANGELOG, "0.3.0-rc.1", is_prerelease=True) == "- coming"


@pytest.mark.parametrize(
    ("changelog", "version", "told"),
    [
        (CHANGELOG, "0.3.0", r"no section of 0\.3\.0: write `## \[0\.3\.0\] - YYYY-MM-DD`"),
        (CHANGELOG, "0.1.0", r"no date beside \[0\.1\.0\]"),
        ("## [0.2.0] - 2027-01-02\n\n## [0.1.0]\n- a", "0.2.0", "says nothing"),
    ],
)
def test_a_changelog_that_does_not_have_it_is_refused(changelog: str, version: str, told: str) -> None:
    with pytest.raises(ReleaseError, match=told):
        section(changelog, version, is_prerelease=False)


def test_notes_name_registry_repository_and_digests() -> None:
    environment = {"REGISTRY": "registry.example.com/team", "GITHUB_REPOSITORY": "me/it"}
    text = notes("- new", "0.2.0", [Image("scim-api", "sha256:ab")], environment)
    assert "| `registry.example.com/team/scim-api:0.2.0` | `sha256:ab` |" in text
    assert "oci://registry.example.com/team/charts/scim-operator --version 0.2.0" in text
    assert "REGISTRY=registry.example.com/team REPOSITORY=me/it VERSION=0.2.0" in text


def test_links_of_the_changelog_lead_to_the_files_of_the_tag() -> None:
    text = notes(
        "[it](docs/it.md#there) [RFC](https://example.com/rfc)", "0.2.0", [], {"GITHUB_REPOSITORY": "me/it"}
    )
    assert "[it](https://github.com/me/it/blob/v0.2.0/docs/it.md#there)" in text
    assert "[RFC](https://example.com/rfc)" in text


def test_what_nobody_said_stands_as_a_placeholder() -> None:
    text = notes("- new", "0.2.0", [], {})
    assert "REGISTRY=REGISTRY REPOSITORY=OWNER/REPOSITORY VERSION=0.2.0" in text
    assert "## Images" not in text


def test_what_a_major_version_broke_is_in_the_notes() -> None:
    assert "## Not as before\n\n- spec.a: is gone" in notes("- new", "1.0.0", [], {}, ["spec.a: is gone"])

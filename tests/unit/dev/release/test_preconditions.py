"""What is refused before anything is built, in a real repository with files of this checkout."""

import json
import subprocess
import tomllib
from pathlib import Path
from typing import Final

import pytest

from release.errors import ReleaseError
from release.preconditions import plan
from release.promises.check import ADMIN_API, CRDS, TOKEN_API
from release.stated import PLACES

ROOT: Final = Path(__file__).resolve().parents[4]
VERSION: Final[str] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
    "version"
]
COPIED: Final = (*PLACES, *CRDS, ADMIN_API, TOKEN_API, "dev/release/policy.toml")


class Repository:
    """A repository that is about to release 0.2.0."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.git("init", "--quiet", "--initial-branch=main")
        for name in COPIED:
            self.write(name, (ROOT / name).read_text(encoding="utf-8").replace(VERSION, "0.2.0"))
        self.write("CHANGELOG.md", "# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - 2027-01-02\n\n- new\n")
        self.commit()

    def write(self, name: str, text: str) -> None:
        """A file of the checkout."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def git(self, *arguments: str) -> None:
        """With an identity of its own."""
        who = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *who, *arguments], cwd=self.root, check=True, capture_output=True)

    def commit(self) -> None:
        """Everything there is."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message=a")

    def without_an_api(self) -> None:
        """The next commit has taken a path from the admin API."""
        api = json.loads((self.root / ADMIN_API).read_text(encoding="utf-8"))
        api["paths"].popitem()
        self.write(ADMIN_API, json.dumps(api))
        self.commit()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def test_the_first_release_has_nothing_to_be_compared_with(repository: Repository) -> None:
    found = plan(repository.root, "0.2.0")
    assert (str(found.version), found.last, found.broken) == ("0.2.0", None, ())
    assert found.changelog == "- new"
    assert len(found.commit) == 40
    assert found.seconds > 1_700_000_000


@pytest.mark.parametrize("name", ["CHANGELOG.md", "new.txt"])
def test_a_checkout_with_changes_is_refused(repository: Repository, name: str) -> None:
    repository.write(name, "changed")
    with pytest.raises(ReleaseError, match=rf"(?s)changes that no commit has.*{name}.*git stash"):
        plan(repository.root, "0.2.0")


def test_a_version_that_the_checkout_does_not_state_is_refused(repository: Repository) -> None:
    with pytest.raises(
        ReleaseError, match=r"does not say that it is 0\.3\.0: pyproject\.toml: version is 0\.2\.0"
    ):
        plan(repository.root, "0.3.0")


def test_a_version_below_a_tag_of_the_history_is_refused(repository: Repository) -> None:
    repository.git("tag", "v0.2.1")
    with pytest.raises(ReleaseError, match=r"would go back: 0\.2\.1 is out"):
        plan(repository.root, "0.2.0")


def test_a_tag_of_the_version_is_taken_on_the_commit_itself_alone(repository: Repository) -> None:
    repository.git("tag", "v0.2.0")
    assert plan(repository.root, "0.2.0").last is None
    repository.commit()
    with pytest.raises(ReleaseError, match="never moved"):
        plan(repository.root, "0.2.0")


def test_an_api_that_broke_what_the_last_tag_promised_is_refused(repository: Repository) -> None:
    repository.git("tag", "v0.1.9")
    assert str(plan(repository.root, "0.2.0").last) == "0.1.9"
    repository.without_an_api()
    with pytest.raises(ReleaseError, match=r"(?s)0\.1\.9 promised .*admin-openapi\.json: .* is gone"):
        plan(repository.root, "0.2.0")


def test_what_major_versions_may_change_is_in_the_plan(repository: Repository) -> None:
    repository.git("tag", "v0.1.9")
    text = (repository.root / CRDS[0]).read_text(encoding="utf-8")
    repository.write(CRDS[0], text.replace("    - name: Ready\n", "    - name: Prepared\n"))
    repository.commit()
    assert plan(repository.root, "0.2.0").broken == (
        f"{CRDS[0]}: v1alpha1: the printer column Ready is gone",
    )


def test_a_changelog_without_the_version_is_refused(repository: Repository) -> None:
    repository.write("CHANGELOG.md", "## [Unreleased]\n\n- new\n")
    repository.commit()
    with pytest.raises(ReleaseError, match=r"CHANGELOG\.md has no section of 0\.2\.0"):
        plan(repository.root, "0.2.0")

"""`make release` without images, from a copy of this checkout: what it makes, and that it makes it the same again."""

import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path
from typing import Final

import pytest
import yaml

from localcluster.build import build_project
from localcluster.projects import HELM, SYFT

ROOT: Final = Path(__file__).resolve().parents[2]
VERSION: Final[str] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
    "version"
]
WHEEL: Final = f"scim_operator-{VERSION}-py3-none-any.whl"
CHART: Final = f"scim-operator-{VERSION}.tgz"


class Checkout:
    """A copy of this checkout as it is now, in a repository of its own, whose changelog has the version."""

    def __init__(self, root: Path) -> None:
        self.root = root
        names = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        listed = subprocess.run(["git", *names], cwd=ROOT, check=True, capture_output=True, text=True).stdout
        for name in filter(None, listed.split("\0")):
            source, target = ROOT / name, root / name
            if source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(source.read_bytes())
                target.chmod(source.stat().st_mode)
        changelog = root / "CHANGELOG.md"
        text = changelog.read_text(encoding="utf-8")
        if f"## [{VERSION}]" not in text:
            heading = f"## [Unreleased]\n\n## [{VERSION}] - 2027-01-02"
            changelog.write_text(text.replace("## [Unreleased]", heading, 1), encoding="utf-8")
        self._git("init", "--quiet")
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message=the release")

    def _git(self, *arguments: str) -> None:
        who = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *who, *arguments], cwd=self.root, check=True, capture_output=True)

    def release(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run it as `make release` does."""
        return subprocess.run(
            [sys.executable, "-m", "release", *arguments],
            cwd=self.root,
            env={**_environment(), "PYTHONPATH": str(self.root / "dev"), **environment},
            capture_output=True,
            text=True,
        )


def _environment() -> dict[str, str]:
    left_out = ("REGISTRY", "GITHUB_", "RELEASE_BUILDER")
    return {name: value for name, value in os.environ.items() if not name.startswith(left_out)}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return Checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="module")
def dist(checkout: Checkout) -> Path:
    done = checkout.release(
        VERSION, "--architectures", "--check-reproducible", REGISTRY="registry.example.com/team"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "both builds have the same digests" in done.stdout
    assert "images for amd64 and arm64 are left out, so this is a trial and no release" in done.stdout
    return checkout.root / "dist"


def test_it_makes_chart_python_packages_notes_provenance_and_checksums(dist: Path) -> None:
    made = {path.name for path in dist.iterdir()}
    assert made == {
        CHART,
        WHEEL,
        f"scim_operator-{VERSION}.tar.gz",
        "release-notes.md",
        "provenance.intoto.json",
        "SHA256SUMS",
    }
    check = ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"]
    assert subprocess.run(check, cwd=dist).returncode == 0


def test_helm_takes_the_packed_chart_and_renders_it_with_the_registry(dist: Path) -> None:
    helm = str(build_project(HELM) / "helm")
    values = str(ROOT / "charts/scim-operator/ci/sqlite-values.yaml")
    done = subprocess.run(
        [helm, "template", "scim", str(dist / CHART), "--values", values], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    images = {
        container["image"]
        for one in yaml.safe_load_all(done.stdout)
        if one and one["kind"] == "Deployment"
        for container in one["spec"]["template"]["spec"]["containers"]
    }
    assert images == {f"registry.example.com/team/{name}:{VERSION}" for name in ("scim-operator", "scim-api")}


def test_the_provenance_has_the_digest_of_each_file(dist: Path) -> None:
    statement = json.loads((dist / "provenance.intoto.json").read_text())
    subjects = {one["name"]: one["digest"]["sha256"] for one in statement["subject"]}
    for name in (CHART, WHEEL):
        assert subjects[name] == hashlib.sha256((dist / name).read_bytes()).hexdigest()


def test_the_notes_are_the_changelogs(dist: Path) -> None:
    text = (dist / "release-notes.md").read_text(encoding="utf-8")
    assert "ScimToken" in text
    assert f"oci://registry.example.com/team/charts/scim-operator --version {VERSION}" in text


def test_nothing_that_git_does_not_know_comes_into_it(checkout: Checkout, dist: Path) -> None:
    with tarfile.open(dist / f"scim_operator-{VERSION}.tar.gz") as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    known = {
        path.relative_to(checkout.root).as_posix() for path in checkout.root.rglob("*") if path.is_file()
    }
    assert names - {"PKG-INFO"} <= known
    assert not any(name.startswith(("dist/", "build/")) for name in names)


def test_a_checkout_with_changes_is_refused_in_one_sentence(checkout: Checkout, dist: Path) -> None:
    assert dist.exists()
    extra = checkout.root / "extra.txt"
    extra.write_text("")
    try:
        done = checkout.release(VERSION, "--architectures")
    finally:
        extra.unlink()
    assert done.returncode == 1
    assert done.stderr.startswith("make release: the checkout has changes that no commit has")
    assert "Traceback" not in done.stderr


def test_what_lists_the_parts_can_be_built_as_it_is_locked() -> None:
    """Only a release builds Syft. Go refuses a go.mod that asks for less than the modules in it."""
    package = SYFT.packages["syft"]
    done = subprocess.run(
        ["go", "list", "-mod=readonly", package], cwd=SYFT.directory, capture_output=True, text=True
    )
    assert done.stdout.strip() == package, done.stderr


def test_its_help_says_what_a_release_holds(checkout: Checkout) -> None:
    done = checkout.release("--help")
    assert done.returncode == 0
    assert all(word in done.stdout for word in ("SHA256SUMS", "REGISTRY", "provenance", "RELEASE.md"))

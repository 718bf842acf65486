"""What release.yml pushes and signs, with the real script and commands that only write down how they were called."""

import hashlib
import os
import subprocess
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[3]
DIGEST: Final = "sha256:" + "ab" * 32
CHART_DIGEST: Final = "sha256:" + "cd" * 32
SKOPEO: Final = f"""
while [ "$1" != --digestfile ]; do shift; done
printf %s {DIGEST} >"$2"
"""
HELM: Final = f"echo 'Pushed: {{}}' >&2; echo 'Digest: {CHART_DIGEST}' >&2"


class Release:
    """A copy of the script beside a dist/ of two images, and the commands that it finds."""

    def __init__(self, root: Path) -> None:
        self.root, self.dist, self._log = root, root / "dist", root / "calls"
        script = root / "dev/images/push.sh"
        script.parent.mkdir(parents=True)
        script.write_bytes((ROOT / "dev/images/push.sh").read_bytes())
        for name in ("scim-operator", "scim-api"):
            (self.dist / f"images/{name}-1.2.3.oci").mkdir(parents=True)
            (self.dist / f"{name}-1.2.3.cdx.json").write_text("{}")
        (self.dist / "scim-operator-1.2.3.tgz").write_text("chart")
        digest = hashlib.sha256(b"chart").hexdigest()
        (self.dist / "SHA256SUMS").write_text(f"{digest}  scim-operator-1.2.3.tgz\n")
        (root / "bin").mkdir()
        for name, body in (("skopeo", SKOPEO), ("cosign", ""), ("helm", HELM)):
            self.command(name, body)

    def command(self, name: str, body: str) -> None:
        """A program that notes its arguments, and then does this."""
        program = self.root / "bin" / name
        program.write_text(f'#!/bin/bash\necho "{name} $*" >>{self._log}\n{body}\n')
        program.chmod(0o755)

    def push(self, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the script."""
        return subprocess.run(
            ["bash", "dev/images/push.sh", "1.2.3"],
            cwd=self.root,
            env={
                "PATH": f"{self.root / 'bin'}:{os.environ['PATH']}",
                "HOME": str(self.root),
                "REGISTRY": "registry.example.com/team",
                **environment,
            },
            capture_output=True,
            text=True,
        )

    def calls(self) -> list[str]:
        """What was called, in order."""
        return self._log.read_text().splitlines() if self._log.exists() else []


@pytest.fixture
def release(tmp_path: Path) -> Release:
    return Release(tmp_path)


def test_what_was_pushed_is_signed_by_its_digest_and_images_carry_their_sbom(release: Release) -> None:
    done = release.push()
    assert done.returncode == 0, done.stderr
    signed = [call for call in release.calls() if call.startswith("cosign")]
    place = "registry.example.com/team"
    assert signed == [
        f"cosign sign --yes {place}/scim-api@{DIGEST}",
        f"cosign attest --yes --type cyclonedx --predicate scim-api-1.2.3.cdx.json {place}/scim-api@{DIGEST}",
        f"cosign sign --yes {place}/scim-operator@{DIGEST}",
        f"cosign attest --yes --type cyclonedx --predicate scim-operator-1.2.3.cdx.json {place}/scim-operator@{DIGEST}",
        f"cosign sign --yes {place}/charts/scim-operator@{CHART_DIGEST}",
    ]
    pushed = [call.split()[-1] for call in release.calls() if call.startswith("skopeo")]
    assert pushed == [f"docker://{place}/scim-api:1.2.3", f"docker://{place}/scim-operator:1.2.3"]
    assert all("--preserve-digests" in call for call in release.calls() if call.startswith("skopeo"))


def test_the_subjects_of_the_provenance_are_files_images_and_chart(release: Release) -> None:
    release.push()
    subjects = (release.dist / "subjects.txt").read_text()
    assert subjects.startswith((release.dist / "SHA256SUMS").read_text())
    assert subjects.splitlines()[1:] == [
        f"{'ab' * 32}  registry.example.com/team/scim-api",
        f"{'ab' * 32}  registry.example.com/team/scim-operator",
        f"{'cd' * 32}  registry.example.com/team/charts/scim-operator",
    ]


def test_a_layout_in_one_file_is_pushed_as_an_archive(release: Release) -> None:
    (release.dist / "images/scim-api-1.2.3.oci").rmdir()
    (release.dist / "images/scim-api-1.2.3.oci").write_text("tar")
    assert release.push().returncode == 0
    assert "oci-archive:images/scim-api-1.2.3.oci docker://" in release.calls()[0]


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ("scim-api-1.2.3.cdx.json", "image scim-api has no SBOM"),
        ("scim-operator-1.2.3.tgz", "scim-operator-1.2.3.tgz"),
        ("SHA256SUMS", "SHA256SUMS"),
    ],
)
def test_nothing_is_pushed_when_something_is_missing(release: Release, missing: str, told: str) -> None:
    (release.dist / missing).unlink()
    done = release.push()
    assert done.returncode != 0
    assert told in done.stderr
    assert release.calls() == []


def test_nothing_is_pushed_when_a_file_is_another_than_was_built(release: Release) -> None:
    (release.dist / "scim-operator-1.2.3.tgz").write_text("another")
    assert release.push().returncode != 0
    assert release.calls() == []


def test_nothing_is_pushed_without_an_image(release: Release) -> None:
    for layout in (release.dist / "images").iterdir():
        layout.rmdir()
    assert "no dist/images" in release.push().stderr
    assert release.calls() == []


def test_nothing_is_pushed_without_a_registry(release: Release) -> None:
    assert release.push(REGISTRY="").returncode != 0
    assert release.calls() == []


def test_a_push_without_a_digest_signs_nothing(release: Release) -> None:
    release.command("helm", "echo Pushed >&2")
    done = release.push()
    assert done.returncode != 0
    assert "named no digest" in done.stderr
    assert not any("charts/" in call for call in release.calls() if call.startswith("cosign"))

"""What the images are built on."""

import re
import subprocess
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[3]


def test_what_images_are_built_on_is_named_by_its_digest() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    defaults = dict(re.findall(r"^ARG (\w+)=(\S+)", text, re.MULTILINE))
    stages = set(re.findall(r"^FROM .* AS (\S+)$", text, re.MULTILINE))
    bases = {
        re.sub(r"\$\{(\w+)\}", lambda name: defaults[name[1]], image)
        for image in re.findall(r"^FROM (?:--\S+ )?(\S+)", text, re.MULTILINE)
    } - {*stages, "scratch"}
    assert bases
    assert all(re.fullmatch(r"\S+@sha256:[0-9a-f]{64}", image) for image in bases), bases


def test_dependencies_are_installed_by_the_machine_that_builds_and_the_rest_is_the_images() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    # Each says it: buildah 1.28 would go on with the platform of the stage before.
    assert dict(
        re.findall(r"^FROM (?:--platform=(\S+) )?\$\{BASE_IMAGE\} AS (\S+)$", text, re.MULTILINE)
    ) == {
        "$BUILDPLATFORM": "build",
        "$TARGETPLATFORM": "bare",
    }


def test_an_architecture_that_no_wheels_are_chosen_for_is_refused() -> None:
    done = subprocess.run(
        ["sh", ROOT / "dev/images/sync.sh"], env={"TARGETARCH": "s390x"}, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "images are for amd64 and arm64, and this one is for s390x" in done.stderr

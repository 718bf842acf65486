"""Makes what a release holds, step by step, in a directory of its own."""

import dataclasses
import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from release import chart, checksums, images, notes, provenance, sbom, scan, tools
from release.commands import Say, Steps, run
from release.emulation import emulated, native
from release.git import Git
from release.licences import Policy, check
from release.preconditions import Plan

LOCKS: Final = ("uv.lock", "dev/tools/*/go.mod", "dev/tools/*/go.sum")
"""What decides which parts are in a release."""
NOTES: Final = "release-notes.md"
PROVENANCE: Final = "provenance.intoto.json"
EMULATED: Final = ": an emulator installs their Debian, which takes some minutes"
"""What is said of images for another architecture."""
TRIAL_VALUES: Final = "charts/scim-operator/ci/sqlite-values.yaml"
"""What the packed chart is rendered with."""


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """What may be left out, to try the rest."""

    architectures: tuple[str, ...] = images.ARCHITECTURES
    """None: no images, so that the chart names none by digest."""
    uv: str = "uv"
    """The program."""


class Assembly:
    """One release, of one commit."""

    def __init__(
        self, checkout: Path, plan: Plan, options: Options, environment: Mapping[str, str], say: Say
    ) -> None:
        self._checkout, self._plan, self._options = checkout, plan, options
        self._environment, self._say = environment, say
        self._version = str(plan.version)

    def make(self, work: Path) -> Path:
        """Everything, below ``work``; the directory with what is to be published.

        Raises:
            ReleaseError: something failed, or is not as it has to be.
            ClusterError: a tool could not be built.
        """
        shutil.rmtree(work, ignore_errors=True)
        dist, context = work / "dist", work / "source"
        for directory in (dist / "images", context / "build"):
            directory.mkdir(parents=True)
        Git(self._checkout).export(context)
        steps = Steps(self._say)
        steps.begin("wheel and source distribution")
        self._python(context, dist)
        built: list[notes.Image] = []
        if self._options.architectures:
            built = self._images(work, context, dist, steps)
        else:
            (dist / "images").rmdir()
        steps.begin("chart, notes, checksums and provenance")
        self._chart(context, dist, built)
        self._papers(context, dist, built)
        steps.end()
        self._say(f"== made in {steps.seconds:.0f} s")
        return dist

    def _python(self, context: Path, dist: Path) -> None:
        seconds = str(self._plan.seconds)
        run(
            [
                self._options.uv,
                "build",
                "--quiet",
                "--no-build-isolation",
                "--python",
                sys.executable,
                "--out-dir",
                str(dist),
                str(context),
            ],
            env={"SOURCE_DATE_EPOCH": seconds, "PYTHONPATH": ""},
        )
        (dist / ".gitignore").unlink(missing_ok=True)

    def _images(self, work: Path, context: Path, dist: Path, steps: Steps) -> list[notes.Image]:
        plan, architectures = self._plan, self._options.architectures
        steps.begin("kubectl and Syft from their Go modules")
        kubectl = {one: tools.kubectl(one, self._say) for one in architectures}
        syft = tools.syft(self._say)
        source = images.Source(context, self._version, plan.commit, plan.seconds, kubectl)
        place = work / "images"
        place.mkdir()
        builder = images.Builder(place, source, self._say)
        layouts: dict[str, dict[str, Path]] = {name: {} for name in images.TARGETS}
        try:
            for architecture in architectures:
                steps.begin(f"images for {architecture}{'' if architecture == native() else EMULATED}")
                with emulated(architecture):
                    for name, layout in builder.build(architecture, list(images.TARGETS)).items():
                        layouts[name][architecture] = layout
            steps.begin("bills of materials and licences")
            self._boms(syft, layouts, dist)
            digests = {
                name: images.join(made, dist / f"images/{name}.oci", self._version)
                for name, made in layouts.items()
            }
        finally:
            builder.remove()
        return [notes.Image(name, digest) for name, digest in digests.items()]

    def _boms(self, syft: Path, layouts: Mapping[str, Mapping[str, Path]], dist: Path) -> None:
        boms: dict[str, Any] = {}
        for name, made in layouts.items():
            found = [scan.scan(syft, layout, one, name, self._version) for one, layout in made.items()]
            boms[name] = sbom.joined(found, name, self._version, self._plan.seconds)
            (dist / f"{name}.cdx.json").write_text(json.dumps(boms[name], indent=1) + "\n", encoding="utf-8")
        check(boms, Policy.from_toml(self._plan.policy))

    def _chart(self, context: Path, dist: Path, built: list[notes.Image]) -> None:
        digests = {image.name: image.digest for image in built}
        values = {
            "image.registry": self._environment.get("REGISTRY", ""),
            "operator.image.digest": digests.get("scim-operator", ""),
            "api.image.digest": digests.get("scim-api", ""),
        }
        values = {way: value for way, value in values.items() if value}
        target = dist / f"{chart.NAME}-{self._version}.tgz"
        target.write_bytes(
            chart.package(context / "charts/scim-operator", self._version, values, self._plan.seconds)
        )
        helm = str(tools.helm(self._say))
        run([helm, "template", "scim", str(target), "--values", str(context / TRIAL_VALUES)])

    def _papers(self, context: Path, dist: Path, built: list[notes.Image]) -> None:
        plan = self._plan
        text = notes.notes(plan.changelog, self._version, built, self._environment, plan.broken)
        (dist / NOTES).write_text(text, encoding="utf-8")
        locks = sorted(path for pattern in LOCKS for path in context.glob(pattern))
        inputs = {path.relative_to(context).as_posix(): checksums.digest(path) for path in locks}
        subjects = checksums.checksums(dist) | {
            f"images/{image.name}": image.digest.removeprefix("sha256:") for image in built
        }
        (dist / PROVENANCE).write_text(
            provenance.statement(subjects, self._version, plan.commit, inputs, self._environment),
            encoding="utf-8",
        )
        (dist / checksums.NAME).write_text(checksums.as_text(checksums.checksums(dist)), encoding="utf-8")


def uv() -> str:
    """The uv that runs this, which says so, or else the one of the PATH."""
    return os.environ.get("UV") or "uv"

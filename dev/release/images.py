"""Images of every architecture, built from the one Dockerfile by buildah, on a Debian made by mmdebstrap.

Debian's own programs run while it is installed, and strip it: for another architecture an emulator runs them. All else
is made by this machine's Python, for the architecture of the image.

No image registry is asked: packages come from Debian, from PyPI and as Go modules, as this machine is configured to
get them. What a build needs for that (certificates, pip's configuration) is mounted, and no image keeps it.
"""

import contextlib
import dataclasses
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from localcluster.node.images import MOUNTED, SUITE, debian_base
from release import layout as oci
from release.commands import Say, missing, run
from release.debian import without_byte_code
from release.emulation import native
from release.errors import ReleaseError
from release.inspection import Wanted, findings

TARGETS: Final[Mapping[str, str]] = {
    "scim-operator": "operator",
    "scim-api": "api",
    "kubectl-scim": "kubectl-scim",
}
"""Name of each image, and its stage of the Dockerfile."""
ARCHITECTURES: Final = ("amd64", "arm64")
PROGRAMS: Final = ("buildah", "mmdebstrap")
BASE: Final = "localhost/base"
"""Name of what images are built on, in the builder's store."""
SECONDS: Final = 3600.0
TRIAL: Final[Mapping[str, tuple[str, ...]]] = {
    "scim-operator": ("scim-operator", "--help"),
    "scim-api": ("scim-api", "--help"),
    "kubectl-scim": ("kubectl", "scim", "--help"),
}
"""What is run in each image, as its user."""


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """What images are made of."""

    context: Path
    """The commit's files; ``build/kubectl`` is written into it."""
    version: str
    commit: str
    seconds: int
    """Since the epoch: the time of all files."""
    kubectl: Mapping[str, Path]
    """Architecture -> the program."""


def refuse_without_programs() -> None:
    """Raises ``ReleaseError`` when a program is missing that images are built with."""
    if lacking := missing(PROGRAMS):
        raise ReleaseError(
            f"images are built by {' and '.join(lacking)}: apt-get install {' '.join(lacking)}. See RELEASE.md, "
            "What make release needs"
        )


class Builder:
    """buildah with a store of its own, which goes with its directory."""

    def __init__(self, directory: Path, source: Source, say: Say) -> None:
        self._directory, self._source, self._say = directory, source, say
        self._bases: set[str] = set()
        self._policy = directory / "policy.json"
        self._policy.write_text(json.dumps({"default": [{"type": "insecureAcceptAnything"}]}))
        self._store = (
            "--root", str(directory / "store"), "--runroot", str(directory / "run"), "--storage-driver", "overlay",
        )  # fmt: skip

    def build(self, architecture: str, names: Sequence[str]) -> dict[str, Path]:
        """The images for one architecture, whose programs run here: name -> layout with that one image, inspected and run.

        Raises:
            ReleaseError: a build failed, or an image is not as it has to be.
        """
        for one in dict.fromkeys((native(), architecture)):
            if one not in self._bases:
                self._base(one)
                self._bases.add(one)
        shutil.copyfile(self._source.kubectl[architecture], self._source.context / "build/kubectl")
        (self._source.context / "build/kubectl").chmod(0o755)
        layouts = {name: self._image(name, architecture) for name in names}
        wanted = Wanted(architecture, self._source.version, self._source.commit)
        for name, layout in layouts.items():
            if found := findings(layout, wanted):
                raise ReleaseError(f"the image {name} for {architecture}:\n  " + "\n  ".join(found))
            self._try(name, architecture)
        return layouts

    def _try(self, name: str, architecture: str) -> None:
        """Run what the image is for. Raises ``ReleaseError`` when it fails."""
        container = self._buildah(
            "from", "--pull-never", "--arch", architecture, *self._signatures, _tag(name, architecture)
        ).strip()
        try:
            self._buildah("run", "--isolation", "chroot", container, "--", *TRIAL[name])
        finally:
            self._buildah("rm", container)

    def remove(self) -> None:
        """Take the store away. What is still mounted in it stays, for it may be a directory of this machine."""
        with contextlib.suppress(ReleaseError):
            self._buildah("rm", "--all")
            self._buildah("rmi", "--all", "--force")
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        if left := [mount for mount in mounts if Path(mount).is_relative_to(self._directory)]:
            self._say(f"   still mounted, so {self._directory} stays: {', '.join(left)}")
        else:
            shutil.rmtree(self._directory, ignore_errors=True)

    def _base(self, architecture: str) -> None:
        context = self._directory / f"base-{architecture}"
        context.mkdir()
        shutil.copy(self._source.context / "dev/node/images/base/Containerfile", context)
        self._say(f"   Debian {SUITE} for {architecture}")
        faster = () if architecture == native() else without_byte_code()
        run(
            [
                # Programs of another architecture run already: see emulation.py.
                *debian_base(SUITE, "--skip=check/qemu", f"--architectures={architecture}", *faster),
                str(context / "rootfs.tar"),
            ],
            env={"SOURCE_DATE_EPOCH": str(self._source.seconds)},
            seconds=SECONDS,
        )
        # One name for all architectures, from which each stage takes that of its platform.
        self._bud(context, context / "Containerfile", architecture, "--manifest", BASE)
        shutil.rmtree(context)

    def _image(self, name: str, architecture: str) -> Path:
        self._say(f"   {name} for {architecture}")
        context = self._source.context
        self._bud(
            context, context / "Dockerfile", architecture,
            "--tag", _tag(name, architecture),
            "--target", TARGETS[name],
            "--build-arg", f"BASE_IMAGE={BASE}",
            # buildah 1.28 has no value of its own for it.
            "--build-arg", f"BUILDPLATFORM=linux/{native()}",
            "--build-arg", f"VERSION={self._source.version}",
            "--build-arg", f"REVISION={self._source.commit}",
        )  # fmt: skip
        layout = self._directory / f"{name}-{architecture}.oci"
        self._buildah("push", *self._signatures, _tag(name, architecture), f"oci:{layout}")
        return layout

    def _bud(self, context: Path, file: Path, architecture: str, *more: str) -> None:
        command = [
            "bud", "--isolation", "chroot", "--layers", "--pull-never", "--platform", f"linux/{architecture}",
            "--timestamp", str(self._source.seconds), *self._signatures,
            "--file", str(file), *more,
        ]  # fmt: skip
        for path, fallback in MOUNTED.items():
            if Path(path).exists():
                command += ["--volume", f"{path}:{path}:ro"]
            elif fallback is not None:
                command += ["--volume", f"{self._source.context}/dev/node/images/{fallback}:{path}:ro"]
        self._buildah(*command, str(context))

    @property
    def _signatures(self) -> tuple[str, str]:
        return "--signature-policy", str(self._policy)

    def _buildah(self, command: str, *arguments: str) -> str:
        return run(["buildah", *self._store, command, *arguments], seconds=SECONDS)


def _tag(name: str, architecture: str) -> str:
    return f"localhost/{name}:{architecture}"


def join(layouts: Mapping[str, Path], target: Path, version: str) -> str:
    """One layout for all architectures in ``dist/``; its digest."""
    return oci.join(layouts, target, version)

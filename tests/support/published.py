"""What `make release` made, pushed to a registry by the very commands of release.yml."""

import dataclasses
import os
import re
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

import yaml

from release import layout as oci
from support.debian import debian_program
from support.registry import Registry

ROOT: Final = Path(__file__).resolve().parents[2]
_COSIGN: Final = '#!/bin/sh\necho "$*" >>"$HOME/cosign.calls"\n'
"""In the place of cosign: a signature without a key needs the workflow's identity, which only GitHub gives it."""
_PUBLISHES: Final = re.compile(r"skopeo login |bash dev/images/push\.sh ")
_SECONDS: Final = 400


@dataclasses.dataclass(frozen=True)
class Dist:
    """A folder `dist`, and what the chart in it says.

    Attributes:
        directory: the folder.
        version: of chart and images.
        registry: host and path below which the chart says that images are; empty when the release named none.
        images: each image's name and the digest of its index.
    """

    directory: Path
    version: str
    registry: str
    images: Mapping[str, str]

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Read it from its files."""
        [chart] = directory.glob("scim-operator-*.tgz")
        with tarfile.open(chart) as tar:
            about, values = (_yaml(tar, name) for name in ("Chart.yaml", "values.yaml"))
        images = {
            layout.stem: oci.only_manifest(layout)["digest"] for layout in directory.glob("images/*.oci")
        }
        return cls(directory.resolve(), about["version"], values["image"]["registry"], images)

    @property
    def host(self) -> str:
        """The registry's name."""
        return self.registry.partition("/")[0]

    @property
    def chart(self) -> Path:
        """The packed chart."""
        return self.directory / f"scim-operator-{self.version}.tgz"

    def blobs(self, name: str) -> set[str]:
        """The digests of all that an image consists of, of every architecture."""
        found = (self.directory / f"images/{name}.oci/blobs/sha256").iterdir()
        return {f"sha256:{path.name}" for path in found}

    def layers(self, name: str, architecture: str) -> set[str]:
        """The digests of an image's layers for one architecture."""
        layout = self.directory / f"images/{name}.oci"
        index = oci.read(layout, self.images[name])
        [manifest] = (
            oci.read(layout, one["digest"])
            for one in index["manifests"]
            if one["platform"]["architecture"] == architecture
        )
        return {layer["digest"] for layer in manifest["layers"]}


def _yaml(tar: tarfile.TarFile, name: str) -> dict[str, Any]:
    file = tar.extractfile(f"scim-operator/{name}")
    assert file is not None
    content: dict[str, Any] = yaml.safe_load(file)
    return content


class Publication:
    """The job of release.yml that may write, on this machine.

    Args:
        dist: what is pushed.
        registry: where to.
        directory: empty; the job's checkout and home.
        helm: the program.
    """

    def __init__(self, dist: Dist, registry: Registry, directory: Path, helm: Path) -> None:
        self.dist, self._registry, self.directory = dist, registry, directory
        script = directory / "dev/images/push.sh"
        script.parent.mkdir(parents=True)
        script.symlink_to(ROOT / "dev/images/push.sh")
        # The script writes beside these what GitHub attests; a trial leaves dist as it was.
        (directory / "dist").mkdir()
        for path in dist.directory.iterdir():
            (directory / "dist" / path.name).symlink_to(path)
        programs = directory / "bin"
        programs.mkdir()
        (programs / "helm").symlink_to(helm)
        (programs / "cosign").write_text(_COSIGN, encoding="utf-8")
        (programs / "cosign").chmod(0o755)
        debian_program("skopeo").link(programs)
        # Debian's skopeo wants to be told which signatures it asks for.
        policy = directory / ".config/containers/policy.json"
        policy.parent.mkdir(parents=True)
        policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}', encoding="utf-8")

    def run(self) -> None:
        """Sign in and push, as the job does. Raises ``AssertionError`` with what a command said."""
        workflow = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8"))
        steps = [step.get("run", "") for step in workflow["jobs"]["publish"]["steps"]]
        commands = [command for command in steps if _PUBLISHES.match(command)]
        assert len(commands) == 2, commands
        for command in commands:
            self.command(
                command, GITHUB_ACTOR="trial", GITHUB_REF_NAME=f"v{self.dist.version}", TOKEN="trial"
            )

    def command(self, command: str, **environment: str) -> str:
        """What a command of the shell said, with the job's programs and its way to the registry.

        Raises:
            AssertionError: with that, when it failed.
        """
        return typed(
            command, self.directory, self.directory / "bin", self.dist, self._registry, **environment
        )

    @property
    def signed(self) -> set[str]:
        """What cosign was told to sign, by its digest."""
        calls = (self.directory / "cosign.calls").read_text(encoding="utf-8")
        return set(re.findall(r"^sign --yes (\S+)$", calls, re.MULTILINE))

    def digest(self, name: str) -> str:
        """The digest of what the registry has for the version of an image or chart, counted here."""
        counted = self.command(f"skopeo inspect --raw docker://$REGISTRY/{name}:$VERSION | sha256sum")
        return f"sha256:{counted.split()[0]}"


def typed(
    command: str, directory: Path, programs: Path, dist: Dist, registry: Registry, **environment: str
) -> str:
    """What a command of the shell says, on a machine from which the registry is reached by its name.

    Args:
        command: may say ``$REGISTRY`` and ``$VERSION``, which are the release's.
        directory: where it is typed, and who types it has their home.
        programs: the directory of those that it needs besides the machine's.
        dist: the release.
        registry: where that is.
        environment: what is set besides.

    Raises:
        AssertionError: with what it said, when it failed.
    """
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=directory,
        env={
            **registry.environment,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "HOME": str(directory),
            "REGISTRY": dist.registry,
            "VERSION": dist.version,
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def documented(beginning: str) -> str:
    """The one command of docs/install.md that begins so, on one line."""
    text = (ROOT / "docs/install.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    [found] = [line for line in lines if line.startswith(beginning)]
    return found

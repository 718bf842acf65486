"""Images: built by buildah and given to containerd, or pulled from a registry that a test has."""

import contextlib
import fcntl
import hashlib
import json
import shutil
import tarfile
import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final

from localcluster.cache import Say
from localcluster.errors import ClusterError
from localcluster.node.commands import run
from localcluster.node.layout import SOURCE, Layout
from localcluster.node.runtime import ctr
from localcluster.projects import NODE, NodeTools

BUILD_SECONDS: Final = 1800.0
LOAD_SECONDS: Final = 300.0
BASE_SECONDS: Final = 900.0
SUITE: Final = "trixie"
"""Of Debian: that of the images that are released, whose Python is newer than this machine's may be."""
BASE_PACKAGES: Final = ("ca-certificates", "netbase", "python3", "python3-venv", "tzdata")
MOUNTED: Final = {
    "/etc/pip.conf": "pip.conf",
    "/etc/uv/uv.toml": "uv.toml",
    "/etc/ssl/certs/ca-certificates.crt": None,
}
"""The machine's way to the package index, which a build borrows and no image keeps: path -> what is mounted
where the machine has none."""
PROGRAMS: Final = {
    "coredns": "coredns",
    "traefik": "traefik",
    "local-path-provisioner": "local-path-provisioner",
}
"""The cluster's own pods: name of the binary -> name in ``NODE``."""


def debian_base(suite: str, *options: str) -> tuple[str, ...]:
    """What makes the root file system that images are built on: Debian with its own Python. A file's name follows.

    Args:
        suite: Debian's.
        options: more of mmdebstrap's.
    """
    return (
        "mmdebstrap",
        "--variant=minbase",
        f"--include={','.join(BASE_PACKAGES)}",
        "--dpkgopt=path-exclude=/usr/share/man/*",
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        "--dpkgopt=path-exclude=/usr/share/locale/*",
        "--aptopt=APT::Install-Recommends false",
        # mmdebstrap copies the last two from the machine.
        '--customize-hook=cd "$1" && rm -rf var/lib/apt/lists var/cache/apt var/log/* etc/resolv.conf etc/hostname',
        *options,
        suite,
    )


def program_image(name: str, tools: NodeTools) -> str:
    """The image of one of our own binaries; its tag changes with whatever the binary is made of."""
    project = "node" if name == "pause" else PROGRAMS[name]
    version = NODE[project].version.removeprefix("v")
    return f"localhost/{name}:{version}-{tools.projects[project].name[:8]}"


def base_image() -> str:
    """Debian with its own Python: what images are built from here. Its tag changes with its recipe."""
    recipe = repr(debian_base(SUITE)).encode() + (SOURCE / "images" / "base" / "Containerfile").read_bytes()
    return f"localhost/python-base:{SUITE}-{hashlib.sha256(recipe).hexdigest()[:8]}"


class Builder:
    """buildah with a store of its own, and containerd's store that the kubelet takes images from."""

    def __init__(self, layout: Layout, tools: NodeTools) -> None:
        self._layout, self._tools = layout, tools
        self._store = (
            "--root",
            str(layout.builder),
            "--runroot",
            str(layout.run / "buildah"),
            "--storage-driver",
            "overlay",
        )

    def build(
        self,
        context: Path,
        image: str,
        *,
        target: str | None = None,
        build_args: Mapping[str, str] | None = None,
        file: Path | None = None,
    ) -> Path:
        """Build ``context`` into ``image``, which containerd holds then; the image's OCI archive.

        The build has the machine's network and, where they exist, its configuration of pip and uv and its
        certificates. The same input gives the same image: times in it are those of the epoch.

        Raises:
            ClusterError: with the end of what the build said.
        """
        command = [
            "buildah", *self._store, "bud",
            "--isolation", "chroot", "--layers", "--pull-never", "--timestamp", "0",
            "--signature-policy", str(self._policy()), "--tag", image,
            "--file", str(file or _containerfile(context)),
        ]  # fmt: skip
        if target is not None:
            command += ["--target", target]
        for path, fallback in MOUNTED.items():
            if Path(path).exists():
                command += ["--volume", f"{path}:{path}:ro"]
            elif fallback is not None:
                command += ["--volume", f"{SOURCE}/images/{fallback}:{path}:ro"]
        for key, value in {"BASE_IMAGE": base_image(), **(build_args or {})}.items():
            command += ["--build-arg", f"{key}={value}"]
        archive = self._layout.archives / f"{image.replace('/', '_').replace(':', '_')}.tar"
        with _locked(archive.with_suffix(".lock")):
            run([*command, str(context)], seconds=BUILD_SECONDS)
            self._export(image, archive)
        self.load(archive)
        return archive

    def _export(self, image: str, archive: Path) -> None:
        scratch = archive.with_suffix(".new")
        scratch.unlink(missing_ok=True)
        # The archive goes no further than this disk: a better one would cost seconds and save little.
        run(
            ["buildah", *self._store, "push", "--compression-level", "1", "--signature-policy", str(self._policy()),
             image, f"oci-archive:{scratch}:{image}"],
            seconds=BUILD_SECONDS,
        )  # fmt: skip
        scratch.replace(archive)

    def load(self, archive: Path, *options: str) -> None:
        """Give an archive's images to containerd."""
        ctr(self._layout, self._tools, "images", "import", *options, str(archive), seconds=LOAD_SECONDS)

    def load_layout(self, directory: Path, name: str, tag: str) -> None:
        """Give the image of an OCI layout to containerd, as it would come from a registry: by its tag and by its digest.

        Args:
            directory: the layout.
            name: of the image, without a tag.
            tag: besides the one that the layout says.
        """
        index = json.loads((directory / "index.json").read_text(encoding="utf-8"))
        [manifest] = index["manifests"]
        said = manifest["annotations"]["org.opencontainers.image.ref.name"]
        with tempfile.NamedTemporaryFile(dir=self._layout.state, suffix=".tar") as archive:
            with tarfile.open(fileobj=archive, mode="w") as tar:
                tar.add(directory, arcname=".")
            archive.flush()
            self.load(Path(archive.name), "--base-name", name, "--digests")
        for other in (f"{name}:{tag}", f"{name}@{manifest['digest']}"):
            ctr(self._layout, self._tools, "images", "tag", "--force", f"{name}:{said}", other)

    def remove(self, names: Collection[str]) -> None:
        """Take images of these names, from whichever registry, out of containerd's store, with all that only they have.

        Args:
            names: without registry and tag, such as ``scim-api``.
        """
        listed = (ctr(self._layout, self._tools, "images", "ls") or "").splitlines()[1:]
        held = {words[0]: words[2] for words in map(str.split, listed)}
        digests = {digest for name, digest in held.items() if _short(name) in names}
        # The kubelet's runtime keeps one more name for each, which has no name in it.
        if found := [name for name, digest in held.items() if digest in digests]:
            ctr(self._layout, self._tools, "images", "rm", "--sync", *found)

    def blobs(self) -> frozenset[str]:
        """The digests of everything that containerd's store holds."""
        return frozenset((ctr(self._layout, self._tools, "content", "ls", "--quiet") or "").split())

    @contextlib.contextmanager
    def registry(self, host: str, url: str) -> Iterator[None]:
        """Have containerd ask ``url``, and nobody else, for images of a registry, for the length of the block."""
        folder = self._layout.registries / host
        folder.mkdir(parents=True, exist_ok=True)  # Of a run that was killed.
        (folder / "hosts.toml").write_text(f"server = {json.dumps(url)}\n", encoding="utf-8")
        try:
            yield
        finally:
            shutil.rmtree(folder)

    def ensure_own(self, say: Say) -> None:
        """Have the images that the node itself needs, building those that lack."""
        held = (ctr(self._layout, self._tools, "images", "ls", "-q") or "").split()
        for name in ("pause", *PROGRAMS):
            image = program_image(name, self._tools)
            if image not in held:
                say(f"  image {image}")
                self._build_program(name, image)
        image = base_image()
        if image not in held or not self._has(image):
            say(f"  image {image}: Debian {SUITE} with {', '.join(BASE_PACKAGES)}")
            self._build_base(image)

    def _build_program(self, name: str, image: str) -> None:
        with self._context("program") as context:
            shutil.copy2(self._tools.path(name), context / "program")
            self.build(context, image)

    def _build_base(self, image: str) -> None:
        with self._context("base") as context:
            run(
                [*debian_base(SUITE), str(context / "rootfs.tar")],
                seconds=BASE_SECONDS,
                env={"SOURCE_DATE_EPOCH": "0"},
            )
            self.build(context, image)

    @contextlib.contextmanager
    def _context(self, name: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(dir=self._layout.state, prefix="build-") as directory:
            shutil.copy2(SOURCE / "images" / name / "Containerfile", directory)
            yield Path(directory)

    def _has(self, image: str) -> bool:
        return (
            run(["buildah", *self._store, "inspect", "--type", "image", image], check=False).returncode == 0
        )

    def _policy(self) -> Path:
        self._layout.archives.mkdir(parents=True, exist_ok=True)
        policy = self._layout.archives / "policy.json"
        if not policy.exists():
            policy.write_text(json.dumps({"default": [{"type": "insecureAcceptAnything"}]}))
        return policy


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Two builds of one image would write one archive: one after the other."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _short(image: str) -> str:
    """The last part of an image's name: ``scim-api`` of ``localhost/scim-api:dev@sha256:…``."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0]


def _containerfile(context: Path) -> Path:
    for name in ("Containerfile", "Dockerfile"):
        if (context / name).exists():
            return context / name
    raise ClusterError(f"{context} has neither Containerfile nor Dockerfile")

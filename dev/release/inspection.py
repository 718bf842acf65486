"""What an image of a release has to be, read from its layout: nothing of it is run."""

import dataclasses
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

from release import elf, loading
from release import layout as oci

USER: Final = "65532:65532"
MACHINES: Final[Mapping[str, int]] = {"amd64": 62, "arm64": 183}
"""Architecture -> the number that ELF files have for it (e_machine)."""
FORBIDDEN: Final = frozenset(
    {"pip", "pip3", "uv", "apt", "apt-get", "dpkg", "gcc", "cc", "perl", "wget", "curl"}
)
"""Commands that no image holds: package managers, compilers, and what fetches."""
_FOLDERS: Final = ("bin", "sbin")


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of an image."""

    architecture: str
    version: str
    revision: str


def findings(layout: Path, wanted: Wanted) -> list[str]:
    """What is wrong with the one image of a layout; empty when nothing is."""
    manifest = oci.read(layout, oci.only_manifest(layout)["digest"])
    config = oci.read(layout, manifest["config"]["digest"])
    found = list(_of_config(config, wanted))
    tree, programs = loading.Tree(), dict[str, elf.Linked]()
    for descriptor in manifest["layers"]:
        with tarfile.open(oci.blob(layout, descriptor["digest"])) as layer:
            found += _of_layer(layer, wanted.architecture, tree, programs)
    return found + list(loading.missing(tree, programs, wanted.architecture))


def _of_config(config: Mapping[str, Any], wanted: Wanted) -> Iterator[str]:
    settings = config["config"]
    if (config["os"], config["architecture"]) != ("linux", wanted.architecture):
        yield f"is for {config['os']}/{config['architecture']} and not for linux/{wanted.architecture}"
    if settings.get("User") != USER:
        yield f"runs as {settings.get('User') or 'root'} and not as {USER}"
    labels = settings.get("Labels") or {}
    said = {"version": wanted.version, "revision": wanted.revision, "licenses": "Apache-2.0"}
    for name, value in said.items():
        if labels.get(f"org.opencontainers.image.{name}") != value:
            yield f"the label org.opencontainers.image.{name} is not {value}"


def _of_layer(
    layer: tarfile.TarFile, architecture: str, tree: loading.Tree, programs: dict[str, elf.Linked]
) -> Iterator[str]:
    """What is wrong with single files; ``tree`` and ``programs`` are given what is in the layer."""
    for entry in layer:
        path = PurePosixPath("/", entry.name)
        if entry.issym():
            tree.add_link(str(path), entry.linkname)
        if entry.isfile() or entry.islnk():
            tree.add_file(str(path))
        if not entry.isfile():
            continue
        if entry.mode & 0o6000:
            yield f"{path} has the bits {entry.mode:o}: it runs as somebody else"
        if path.name in FORBIDDEN and path.parent.name in _FOLDERS:
            yield f"{path} is in it"
        file = layer.extractfile(entry)
        assert file is not None
        head = file.read(elf.HEAD)
        machine = elf.machine(head)
        if machine is None:
            continue
        if machine != MACHINES[architecture]:
            yield f"{path} is a program for another machine ({machine})"
            continue
        try:
            programs[str(path)] = elf.linked(head + file.read())
        except ValueError as error:
            yield f"{path}: {error}"

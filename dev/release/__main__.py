"""``python -m release VERSION``: `make release` runs it."""

import argparse
import os
import shutil
import sys
from pathlib import Path
from typing import Final

from localcluster.errors import ClusterError
from release import checksums, images
from release.assembly import Assembly, Options, uv
from release.emulation import refuse_without
from release.errors import ReleaseError
from release.preconditions import Plan, plan

ROOT: Final = Path(__file__).resolve().parents[2]
HELP: Final = """\
Makes everything that a release holds in dist/, from the commit that is checked out. Nothing is pushed or signed, and no
network is used but the package registries (Debian's by apt, PyPI, Go modules). RELEASE.md has the steps around it.

  images/NAME.oci             OCI layouts of scim-operator, scim-api and kubectl-scim, for amd64 and arm64
  NAME.cdx.json               the bill of materials of each (CycloneDX): Debian, Python and Go
  scim-operator-VERSION.tgz   the chart, with the digests of the images
  *.whl, *.tar.gz             wheel and source distribution
  release-notes.md            from CHANGELOG.md
  provenance.intoto.json      what it was made of (in-toto, SLSA), unsigned
  SHA256SUMS                  of all files

It refuses a checkout with changes, a version that goes back, one that the checkout does not state, one without a
section in CHANGELOG.md, and CRDs or APIs that broke what the last tag promised (docs/stability.md).

environment:
  REGISTRY            host and path below which images and chart will be; the chart's image.registry and the notes have
                      it. Without it the chart's stays empty, and the notes say REGISTRY
  GITHUB_REPOSITORY   owner and name of the repository, for the notes and the provenance
  RELEASE_BUILDER     URI of who builds, for the provenance
"""


def main(arguments: list[str] | None = None) -> int:
    """The exit code: 0, 1 when it was refused or failed, 2 when two builds differ."""
    given = _parser().parse_args(arguments)
    options = Options(tuple(given.architectures), uv())
    try:
        _refuse_what_cannot_be_built(options)
        found = plan(ROOT, given.version)
        _say(_introduced(found))
        made = Assembly(ROOT, found, options, os.environ, _say).make(ROOT / "build/release")
        if given.check_reproducible:
            _say("== the same once more")
            again = Assembly(ROOT, found, options, os.environ, _say).make(ROOT / "build/release-again")
            if other := checksums.differences(checksums.checksums(made), checksums.checksums(again)):
                print("two builds differ in:", *other, sep="\n  ", file=sys.stderr)
                return 2
            _say("== both builds have the same digests")
            shutil.rmtree(again.parent)
    except (ReleaseError, ClusterError) as error:
        print(f"make release: {error}", file=sys.stderr)
        return 1
    target = ROOT / "dist"
    shutil.rmtree(target, ignore_errors=True)
    shutil.move(made, target)
    shutil.rmtree(made.parent)
    _say(_concluded(target, found, options))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m release", description=HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("version", help="such as 0.2.0 or 0.2.0-rc.1, without a v")
    parser.add_argument(
        "--check-reproducible", action="store_true", help="build everything twice and compare the digests"
    )
    parser.add_argument(
        "--architectures",
        nargs="*",
        choices=images.ARCHITECTURES,
        default=images.ARCHITECTURES,
        help="of the images, to try a part; none at all leaves images and their bills of materials out",
    )
    return parser


def _refuse_what_cannot_be_built(options: Options) -> None:
    if options.architectures:
        if os.geteuid() != 0:
            raise ReleaseError("images are built by root, who may change roots: sudo make release …")
        images.refuse_without_programs()
    for architecture in options.architectures:
        refuse_without(architecture)


def _introduced(found: Plan) -> str:
    before = (
        f"after {found.last}, whose promises hold"
        if found.last
        else "the first: there is no tag to compare with"
    )
    lines = [f"== {found.version} of commit {found.commit[:12]}, {before}"]
    lines += [f"   changed since {found.last}: {one}" for one in found.broken]
    return "\n".join(lines)


def _concluded(dist: Path, found: Plan, options: Options) -> str:
    files = [path for path in dist.rglob("*") if path.is_file()]
    lines = [f"dist/: {len(files)} files, {sum(path.stat().st_size for path in files) / 1e6:.0f} MB"]
    if not os.environ.get("REGISTRY"):
        lines.append(
            "REGISTRY is not set: the chart's image.registry is empty, the notes name no registry, and "
            "make try-release has none to install from"
        )
    if lacking := [one for one in images.ARCHITECTURES if one not in options.architectures]:
        lines.append(f"images for {' and '.join(lacking)} are left out, so this is a trial and no release")
    lines.append(
        f"Next: make try-release, and read dist/release-notes.md; then RELEASE.md, Each time: the tag "
        f"{found.version.tag} makes GitHub build the same, push and sign it"
    )
    return "\n".join(lines)


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())

"""The chart as a package that names its images by digest, made the same each time.

Helm's own packing writes the time into it; so it is packed here, in the form that Helm has: a tar of the chart's folder,
Chart.yaml first, compressed by gzip.
"""

import gzip
import io
import re
import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Final

import chart_files
from release.errors import ReleaseError

NAME: Final = "scim-operator"
VALUES: Final = "values.yaml"
LEFT_OUT: Final = ("ci", "README.md.tmpl")
"""Of the folder: what only tests and `make chart` read."""


def with_values(text: str, values: Mapping[str, str]) -> str:
    """values.yaml with other defaults, and its comments as they were.

    Args:
        text: of values.yaml.
        values: way to each string, such as ``api.image.digest``, and what it is to be.

    Raises:
        ReleaseError: there is no such value, or its default is not the empty string.
    """
    lines, left = text.splitlines(), dict(values)
    path: list[str] = []
    for number, line in enumerate(lines):
        found = re.match(r"( *)([A-Za-z]\w*):", line)
        if found is None:
            continue
        path = [*path[: len(found[1]) // 2], found[2]]
        value = left.get(".".join(path))
        if value is not None and line == f'{found[1]}{found[2]}: ""':
            lines[number] = f'{found[1]}{found[2]}: "{value}"'
            del left[".".join(path)]
    if left:
        raise ReleaseError(f'the chart\'s {VALUES} has no {", ".join(left)} that is ""')
    return "\n".join(lines) + "\n"


def package(chart: Path, version: str, values: Mapping[str, str], seconds: int) -> bytes:
    """The chart's package.

    Args:
        chart: its folder.
        version: of chart and images.
        values: as for ``with_values``.
        seconds: since the epoch: the time of all files in it.

    Raises:
        ReleaseError: as for ``with_values``.
    """
    files = {
        path.relative_to(chart).as_posix(): path.read_bytes()
        for path in sorted(chart.rglob("*"))
        if path.is_file() and path.relative_to(chart).parts[0] not in LEFT_OUT
    }
    text = with_values(files[VALUES].decode(), values)
    template = (chart / "README.md.tmpl").read_text(encoding="utf-8")
    files |= {
        VALUES: text.encode(),
        "README.md": chart_files.readme(template, text).encode(),
        "Chart.yaml": chart_files.with_version(files["Chart.yaml"].decode(), version).encode(),
    }
    return _packed(files, seconds)


def _packed(files: Mapping[str, bytes], seconds: int) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        # Helm looks for Chart.yaml first.
        for name in sorted(files, key=lambda name: (name != "Chart.yaml", name)):
            entry = tarfile.TarInfo(str(PurePosixPath(NAME, name)))
            entry.size, entry.mtime, entry.mode = len(files[name]), seconds, 0o644
            tar.addfile(entry, io.BytesIO(files[name]))
    return gzip.compress(archive.getvalue(), mtime=seconds)

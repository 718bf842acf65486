"""The support archive as bytes: texts, cleaned and searched, as tar.gz. Pure."""

import gzip
import io
import tarfile
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from kubectl_scim.bundle.redaction import Redactor, Suspicion

FOLDER: Final = "kubectl-scim-bundle"
_SHOWN: Final = 5


class Refused(Exception):
    """Something suspicious is left; nothing was written.

    Args:
        suspicions: where.
    """

    def __init__(self, suspicions: Sequence[Suspicion]) -> None:
        self.suspicions = suspicions
        places = [f"{one.file} line {one.line}: {one.what}" for one in suspicions[:_SHOWN]]
        more = f"; and {len(suspicions) - _SHOWN} more" if len(suspicions) > _SHOWN else ""
        super().__init__(
            f"no archive is written, for it may hold what it must not: {'; '.join(places)}{more}"
        )


def build(files: Mapping[str, str], values: Collection[bytes]) -> tuple[bytes, Redactor]:
    """The archive, the same for the same texts; and what was taken out of them.

    Args:
        files: texts by their names.
        values: of Secrets, which must not come out.

    Raises:
        Refused: something suspicious is left.
    """
    redactor = Redactor(values)
    cleaned = redactor.cleaned(files)
    found = list(redactor.suspicions({**cleaned, **{f"the name {name}": name for name in cleaned}}))
    if found:
        raise Refused(found)
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0, filename="") as zipped,
        tarfile.open(fileobj=zipped, mode="w") as tar,
    ):
        for name, text in cleaned.items():
            content = text.encode("utf-8", "replace")
            entry = tarfile.TarInfo(f"{FOLDER}/{name}")
            entry.size, entry.mode = len(content), 0o600
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue(), redactor

"""What is in an image, found by Syft: Debian's packages, Python's, and Go's modules with the licences of their sources."""

import json
from pathlib import Path
from typing import Any, Final

from release.commands import run

LEFT_OUT: Final = "-binary-classifier-cataloger,-elf-binary-package-cataloger"
"""What finds programs by their bytes: all of them are of Debian's packages, which are listed already."""
ENVIRONMENT: Final = {
    "SYFT_CHECK_FOR_APP_UPDATE": "false",
    "SYFT_FILE_METADATA_SELECTION": "none",
    "SYFT_GOLANG_SEARCH_LOCAL_MOD_CACHE_LICENSES": "true",
    "SYFT_GOLANG_SEARCH_REMOTE_LICENSES": "false",
    "SYFT_PYTHON_SEARCH_REMOTE_LICENSES": "false",
}


def scan(syft: Path, layout: Path, architecture: str, name: str, version: str) -> dict[str, Any]:
    """The bill of materials of the one image of a layout (CycloneDX). Raises ``ReleaseError``."""
    text = run(
        [str(syft), "scan", f"oci-dir:{layout}", "--quiet", "--platform", f"linux/{architecture}",
         "--select-catalogers", LEFT_OUT, "--source-name", name, "--source-version", version,
         "--output", "cyclonedx-json@1.6"],
        env=ENVIRONMENT,
    )  # fmt: skip
    document: dict[str, Any] = json.loads(text)
    return document

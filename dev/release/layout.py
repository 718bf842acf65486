"""OCI image layouts: several platforms joined into one, the same each time (image-spec, image-layout.md)."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

INDEX_TYPE: Final = "application/vnd.oci.image.index.v1+json"
_REF: Final = "org.opencontainers.image.ref.name"


def blob(layout: Path, digest: str) -> Path:
    """Where a blob of this digest (``sha256:…``) is."""
    algorithm, _, value = digest.partition(":")
    return layout / "blobs" / algorithm / value


def read(layout: Path, digest: str) -> dict[str, Any]:
    """A blob that is JSON."""
    document: dict[str, Any] = json.loads(blob(layout, digest).read_bytes())
    return document


def only_manifest(layout: Path) -> dict[str, Any]:
    """The descriptor of the one manifest of a layout."""
    index = json.loads((layout / "index.json").read_bytes())
    [descriptor] = index["manifests"]
    found: dict[str, Any] = descriptor
    return found


def join(layouts: Mapping[str, Path], target: Path, tag: str) -> str:
    """One layout with an index of all platforms; the index's digest, as a registry will have it.

    Args:
        layouts: architecture -> layout with the one image for it.
        target: the new layout's folder.
        tag: the name of the index within the layout.
    """
    shutil.rmtree(target, ignore_errors=True)
    (target / "blobs/sha256").mkdir(parents=True)
    manifests = []
    for architecture, layout in sorted(layouts.items()):
        for path in sorted((layout / "blobs/sha256").iterdir()):
            if not (target / "blobs/sha256" / path.name).exists():
                os.link(path, target / "blobs/sha256" / path.name)
        descriptor = only_manifest(layout)
        manifests.append(
            {key: descriptor[key] for key in ("mediaType", "digest", "size")}
            | {"platform": {"architecture": architecture, "os": "linux"}}
        )
    index = _json({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": manifests})
    digest = f"sha256:{hashlib.sha256(index).hexdigest()}"
    blob(target, digest).write_bytes(index)
    descriptor = {
        "mediaType": INDEX_TYPE,
        "digest": digest,
        "size": len(index),
        "annotations": {_REF: tag},
    }
    (target / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))
    (target / "index.json").write_bytes(_json({"schemaVersion": 2, "manifests": [descriptor]}))
    return digest


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()

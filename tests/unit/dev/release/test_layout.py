"""OCI layouts of several architectures."""

import hashlib
import json
from pathlib import Path

from release.layout import blob, join, only_manifest, read


def _layout(root: Path, architecture: str, *contents: bytes) -> Path:
    (root / "blobs/sha256").mkdir(parents=True)
    for content in contents:
        (root / "blobs/sha256" / hashlib.sha256(content).hexdigest()).write_bytes(content)
    manifest = json.dumps({"of": architecture}).encode()
    digest = hashlib.sha256(manifest).hexdigest()
    (root / "blobs/sha256" / digest).write_bytes(manifest)
    descriptor = {
        "mediaType": "m",
        "digest": f"sha256:{digest}",
        "size": len(manifest),
        "annotations": {"x": "y"},
    }
    (root / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [descriptor]}))
    return root


def test_one_index_leads_to_the_image_of_each_architecture(tmp_path: Path) -> None:
    layouts = {
        "arm64": _layout(tmp_path / "b", "arm64", b"both", b"arm"),
        "amd64": _layout(tmp_path / "a", "amd64", b"both", b"amd"),
    }
    digest = join(layouts, tmp_path / "joined", "0.2.0")
    descriptor = only_manifest(tmp_path / "joined")
    assert descriptor["digest"] == digest
    assert descriptor["annotations"] == {"org.opencontainers.image.ref.name": "0.2.0"}
    index = blob(tmp_path / "joined", digest).read_bytes()
    assert f"sha256:{hashlib.sha256(index).hexdigest()}" == digest
    assert descriptor["size"] == len(index)
    manifests = json.loads(index)["manifests"]
    assert [one["platform"] for one in manifests] == [
        {"architecture": "amd64", "os": "linux"},
        {"architecture": "arm64", "os": "linux"},
    ]
    assert [read(tmp_path / "joined", one["digest"])["of"] for one in manifests] == ["amd64", "arm64"]
    names = {path.name for path in (tmp_path / "joined/blobs/sha256").iterdir()}
    assert all(
        path.name in names for layout in layouts.values() for path in (layout / "blobs/sha256").iterdir()
    )


def test_the_same_images_make_the_same_index(tmp_path: Path) -> None:
    one = _layout(tmp_path / "a", "amd64", b"x")
    assert join({"amd64": one}, tmp_path / "j1", "1") == join({"amd64": one}, tmp_path / "j2", "1")
    first, second = (
        sorted(
            (path.relative_to(tmp_path / name), path.read_bytes())
            for path in (tmp_path / name).rglob("*")
            if path.is_file()
        )
        for name in ("j1", "j2")
    )
    assert first == second

"""What is asked of an image before it is released."""

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from release.inspection import Wanted, findings
from support.elf_files import elf

WANTED = Wanted("arm64", "0.2.0", "c0ffee")


def _config(**settings: Any) -> dict[str, Any]:
    labels = {"version": "0.2.0", "revision": "c0ffee", "licenses": "Apache-2.0"}
    labelled = {f"org.opencontainers.image.{name}": value for name, value in labels.items()}
    return {
        "os": "linux",
        "architecture": "arm64",
        "config": {"User": "65532:65532", "Labels": labelled, **settings},
    }


def _image(root: Path, config: dict[str, Any], *layers: dict[str, tuple[bytes, int]]) -> Path:
    (root / "blobs/sha256").mkdir(parents=True)

    def put(content: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        (root / "blobs/sha256" / digest).write_bytes(content)
        return {"digest": f"sha256:{digest}", "size": len(content)}

    packed = [put(_layer(files)) for files in layers]
    manifest = {"config": put(json.dumps(config).encode()), "layers": packed}
    index = {"manifests": [put(json.dumps(manifest).encode())]}
    (root / "index.json").write_text(json.dumps(index))
    return root


def _layer(files: dict[str, tuple[bytes, int]]) -> bytes:
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w:gz") as tar:
        for name, (content, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return layer.getvalue()


GOOD = {"usr/bin/python3.13": (elf("arm64"), 0o755), "app/x.py": (b"x", 0o644)}


def test_an_image_as_it_has_to_be_has_no_findings(tmp_path: Path) -> None:
    assert findings(_image(tmp_path, _config(), GOOD), WANTED) == []


@pytest.mark.parametrize(
    ("config", "files", "told"),
    [
        (_config() | {"architecture": "amd64"}, {}, "is for linux/amd64 and not for linux/arm64"),
        (_config(User=""), {}, "runs as root"),
        (_config(Labels={}), {}, "the label org.opencontainers.image.version is not 0.2.0"),
        (
            _config(),
            {"usr/lib/x.so": (elf("amd64"), 0o644)},
            "/usr/lib/x.so is a program for another machine (62)",
        ),
        (_config(), {"usr/bin/su": (elf("arm64"), 0o4755)}, "/usr/bin/su has the bits 4755"),
        (_config(), {"usr/lib/x.so": (elf("arm64")[:40], 0o644)}, "/usr/lib/x.so: a damaged ELF file"),
        (_config(), {"usr/bin/apt-get": (b"", 0o755)}, "/usr/bin/apt-get is in it"),
        (_config(), {"app/bin/pip": (b"", 0o755)}, "/app/bin/pip is in it"),
    ],
)
def test_what_is_wrong_is_found(
    tmp_path: Path, config: dict[str, Any], files: dict[str, tuple[bytes, int]], told: str
) -> None:
    found = findings(_image(tmp_path, config, GOOD | files), WANTED)
    assert found
    assert found[0].startswith(told)


def test_a_layer_may_load_what_another_one_has(tmp_path: Path) -> None:
    wheel = {"app/lib/x.so": (elf("arm64", needed=("libz.so.1",)), 0o644)}
    system = {"usr/lib/aarch64-linux-gnu/libz.so.1": (elf("arm64"), 0o644)}
    assert findings(_image(tmp_path / "with", _config(), wheel, system), WANTED) == []
    assert findings(_image(tmp_path / "without", _config(), wheel), WANTED) == [
        "/app/lib/x.so needs libz.so.1, which is not in it"
    ]

"""What the images are built on."""

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[3]


def test_what_images_are_built_on_is_named_by_its_digest() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    defaults = dict(re.findall(r"^ARG (\w+)=(\S+)", text, re.MULTILINE))
    stages = set(re.findall(r"^FROM \S+ AS (\S+)", text, re.MULTILINE))
    bases = {
        re.sub(r"\$\{(\w+)\}", lambda name: defaults[name[1]], image)
        for image in re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    } - {*stages, "scratch"}
    assert bases
    assert all(re.fullmatch(r"\S+@sha256:[0-9a-f]{64}", image) for image in bases), bases

"""Checksums of a release."""

import subprocess
from pathlib import Path

from release.checksums import NAME, as_text, checksums, differences, parse


def test_the_list_is_one_that_sha256sum_checks(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images/blob").write_text("blob")
    (tmp_path / "chart.tgz").write_text("chart")
    text = as_text(checksums(tmp_path))
    (tmp_path / NAME).write_text(text)
    assert list(parse(text)) == ["chart.tgz", "images/blob"]
    check = ["sha256sum", "--check", "--strict", NAME]
    assert subprocess.run(check, cwd=tmp_path, capture_output=True).returncode == 0
    assert as_text(checksums(tmp_path)) == text, "the list is no part of itself"
    (tmp_path / "images/blob").write_text("other")
    assert subprocess.run(check, cwd=tmp_path, capture_output=True).returncode == 1


def test_files_that_two_builds_do_not_have_alike_are_named() -> None:
    assert differences({"a": "1", "b": "2"}, {"a": "1", "b": "3", "c": "4"}) == ["b", "c"]
    assert differences({"a": "1"}, {"a": "1"}) == []

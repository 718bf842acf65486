"""The packed chart."""

import io
import tarfile
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from release.chart import package, with_values
from release.errors import ReleaseError

CHART: Final = Path(__file__).resolve().parents[4] / "charts/scim-operator"
DIGEST: Final = "sha256:" + "ab" * 32
VALUES: Final = {"image.registry": "registry.example.com/team", "api.image.digest": DIGEST}


def _files(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        files = {entry.name: tar.extractfile(entry) for entry in tar}
        return {name: file.read() for name, file in files.items() if file is not None}


def test_it_has_the_version_and_the_digests_of_the_images() -> None:
    files = _files(package(CHART, "0.2.0", VALUES, 1_000_000_000))
    assert next(iter(files)) == "scim-operator/Chart.yaml"
    described = yaml.safe_load(files["scim-operator/Chart.yaml"])
    assert (described["version"], described["appVersion"]) == ("0.2.0", "0.2.0")
    values = yaml.safe_load(files["scim-operator/values.yaml"])
    assert values["image"]["registry"] == "registry.example.com/team"
    assert values["api"]["image"]["digest"] == DIGEST
    assert values["operator"]["image"]["digest"] == ""


def test_its_readme_says_the_same_defaults() -> None:
    readme = _files(package(CHART, "0.2.0", VALUES, 0))["scim-operator/README.md"].decode()
    assert f'| `api.image.digest` | `"{DIGEST}"` |' in readme


def test_nothing_else_of_the_values_changes() -> None:
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    before: Any = yaml.safe_load(text)
    after: Any = yaml.safe_load(with_values(text, VALUES))
    before["image"]["registry"] = "registry.example.com/team"
    before["api"]["image"]["digest"] = DIGEST
    assert after == before
    assert with_values(text, {}) == text


def test_the_same_files_make_the_same_package_whatever_their_times(tmp_path: Path) -> None:
    copy = tmp_path / "chart"
    for path in sorted(CHART.rglob("*"), reverse=True):
        if path.is_file():
            target = copy / path.relative_to(CHART)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
            target.chmod(0o600)
    assert package(copy, "0.2.0", VALUES, 5) == package(CHART, "0.2.0", VALUES, 5)


@pytest.mark.parametrize("way", ["image.other", "operator.logLevel"])
def test_a_value_that_is_not_there_or_has_a_default_is_refused(way: str) -> None:
    with pytest.raises(ReleaseError, match=way):
        with_values((CHART / "values.yaml").read_text(encoding="utf-8"), {way: "x"})


def test_all_files_have_the_time_of_the_commit() -> None:
    data = package(CHART, "0.2.0", VALUES, 1_700_000_000)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert {entry.mtime for entry in tar} == {1_700_000_000}

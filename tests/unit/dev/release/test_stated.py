"""Each place of the checkout says the same version."""

import tomllib
from pathlib import Path
from typing import Final

import pytest

from release.errors import ReleaseError
from release.stated import PLACES, check_stated, stated

ROOT: Final = Path(__file__).resolve().parents[4]
VERSION: Final[str] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
    "version"
]


def _read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_checkout_says_one_version_everywhere() -> None:
    said = stated(_read)
    assert len(said) == sum(map(len, PLACES.values()))
    check_stated(VERSION, said)


@pytest.mark.parametrize("name", PLACES)
def test_a_place_that_says_another_version_is_named(name: str) -> None:
    said = stated(lambda one: _read(one).replace(VERSION, "9.9.9") if one == name else _read(one))
    with pytest.raises(ReleaseError, match=f"{name}: .* is 9.9.9") as raised:
        check_stated(VERSION, said)
    blamed, _remedy = str(raised.value).split(". Write ")
    assert not any(other in blamed for other in PLACES if other != name)


def test_a_place_that_says_none_is_named() -> None:
    with pytest.raises(ReleaseError, match=r"Chart\.yaml: appVersion is missing"):
        check_stated(VERSION, stated(lambda one: "" if one.endswith("Chart.yaml") else _read(one)))

"""What is written from something else is as it would be written now."""

import re
from pathlib import Path

import pytest
import yaml

import chart_files
from support.chart import CHART, ROOT


@pytest.mark.parametrize("path", chart_files.generated(), ids=lambda path: path.name)
def test_a_generated_file_is_not_stale(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == chart_files.generated()[path], "run `make chart`"


@pytest.mark.parametrize("name", ["scimtoken.yaml", "scimwebhook.yaml"])
def test_the_chart_ships_each_kind_byte_by_byte(name: str) -> None:
    assert (CHART / "files" / name).read_bytes() == (ROOT / "crds" / name).read_bytes()


def test_a_value_without_a_description_is_refused() -> None:
    with pytest.raises(chart_files.ChartError, match=r"values.yaml:3: a\.c has no description"):
        chart_files.values("a:\n  b: {}\n  c: 1\n")


def test_a_comment_of_several_lines_is_one_description() -> None:
    text = '# @section First\n\n# -- One\n# and two.\n# @schema {"minimum": 1}\na: 2\n'
    (value,) = chart_files.values(text)
    assert (value.name, value.default, value.description) == ("a", 2, "One and two.")
    assert (value.narrowed, value.section) == ({"minimum": 1}, "First")


def test_a_map_with_a_description_is_one_value_and_one_without_a_group() -> None:
    text = "# -- Free.\na: {x: 1}\nb:\n  # -- Below.\n  c: []\n"
    assert [(value.name, value.default) for value in chart_files.values(text)] == [
        ("a", {"x": 1}),
        ("b.c", []),
    ]


def test_a_bar_does_not_break_the_table() -> None:
    rendered = chart_files.readme(f"# x\n{chart_files.PLACE}\n", '# -- a|b\na: "c|d"\n')
    assert '| `a` | `"c\\|d"` | a\\|b |' in rendered


def test_the_chart_has_the_version_of_the_programs() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    (version,) = (
        line.split('"')[1]
        for line in (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
        if line.startswith("version = ")
    )
    assert chart["appVersion"] == version


def test_every_link_of_the_readme_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#\s]+)", (CHART / "README.md").read_text(encoding="utf-8"))
    assert links
    for link in links:
        assert (CHART / link).resolve().exists(), link

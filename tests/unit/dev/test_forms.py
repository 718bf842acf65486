"""The forms of .github are as GitHub takes them, and ask for what helps."""

from pathlib import Path
from typing import Any, Final

import pytest
import yaml

ROOT: Final = Path(__file__).resolve().parents[3]
FOLDER: Final = ROOT / ".github/ISSUE_TEMPLATE"
FORMS: Final = sorted(set(FOLDER.glob("*.yml")) - {FOLDER / "config.yml"})


def _form(path: Path) -> dict[str, Any]:
    form: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return form


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_has_what_github_asks_for(path: Path) -> None:
    form = _form(path)
    assert set(form) == {"name", "description", "labels", "body"}
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    assert len({field["id"] for field in fields}) == len(fields) > 0
    for field in form["body"]:
        assert field["type"] in {"markdown", "textarea", "input", "dropdown", "checkboxes"}
        assert field["type"] == "markdown" or field["attributes"]["label"]
        assert field["type"] not in {"dropdown", "checkboxes"} or field["attributes"]["options"]


def test_the_form_for_bugs_sends_holes_away_and_asks_for_the_support_archive() -> None:
    text = (FOLDER / "bug.yml").read_text(encoding="utf-8")
    assert "SECURITY.md" in text
    assert "kubectl scim doctor NAME --bundle support.tar.gz" in text
    assert "scim-operator --version" in text


def test_no_report_comes_without_a_form_and_holes_have_their_way() -> None:
    config = _form(FOLDER / "config.yml")
    assert config["blank_issues_enabled"] is False
    urls = [link["url"] for link in config["contact_links"]]
    assert [url.rpartition("scim-operator/")[2] for url in urls] == ["security/advisories/new", "discussions"]
    assert all(url.startswith("https://github.com/") for url in urls)


def test_the_template_of_a_pull_request_has_five_lines() -> None:
    text = (ROOT / ".github/pull_request_template.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) == 5

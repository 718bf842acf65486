"""The glossary's names are the code's."""

import ast
import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
GLOSSARY: Final = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
RETIRED: Final = (
    "Known", "Agenda", "Turns", "Recent", "Creates", "Brake", "Holdings", "Reach", "Trouble", "Found", "Because",
    "Prepared", "Profile", "GroupOf", "Prover", "Watcher", "Scheduler", "condemned", "strays", "told_otherwise",
)  # fmt: skip
"""Names that the code once had for things with a name in the field."""


PROGRAMS: Final = ("scim_api", "operator/scim_operator")
OTHERS: Final = ("kubectl_scim", "scim_console")


def _sources(*packages: str) -> list[Path]:
    return [path for package in packages for path in (ROOT / package).rglob("*.py")]


def _names(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                found.add(name)
            case ast.Name(id=name) | ast.arg(arg=name) | ast.Attribute(attr=name):
                found.add(name)
    return found


def test_every_name_in_the_glossary_is_a_name_in_the_code() -> None:
    sources = _sources(*PROGRAMS, *OTHERS)
    names = set().union(*map(_names, sources)) | {path.stem for path in sources}
    terms = {
        part
        for term in re.findall(r"`([A-Za-z_.]+)`", GLOSSARY)
        for part in term.split(".")
        if re.fullmatch(r"[A-Z][a-z]+([A-Z][a-z]+)+|[a-z]+(_[a-z]+)+", part)
    }
    assert len(terms) >= 25
    assert terms <= names, terms - names


def test_no_retired_name_comes_back() -> None:
    for path in _sources(*PROGRAMS):
        assert not _names(path) & set(RETIRED), path

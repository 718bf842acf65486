"""The documentation as a site: whole, linked, and without a word to other hosts."""

import html.parser
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import yaml

from docs_site import MORE_PAGES, ROOT, DocsError, build

LOADING = {"src", "srcset", "poster", "data", "action", "formaction", "background"}
"""Attributes that make a browser ask for something."""
LINKED = {
    "stylesheet",
    "icon",
    "preload",
    "prefetch",
    "preconnect",
    "dns-prefetch",
    "modulepreload",
    "manifest",
}
"""Relations of a link element that do."""


class Html(html.parser.HTMLParser):
    """What a page has: ids, links, and what a browser loads."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.text = page.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.ids |= {found[name] for name in ("id", "name") if name in found}
        self.loaded += [found[name] for name in LOADING & found.keys()]
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag == "link" and set(found.get("rel", "").split()) & LINKED:
            self.loaded.append(found["href"])


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Html]:
    return {page.name: Html(page) for page in site.glob("*.html")}


def navigation() -> list[str]:
    """The pages of mkdocs.yml, in order."""

    def files(node: Any) -> list[str]:
        if isinstance(node, str):
            return [node]
        children = node.values() if isinstance(node, dict) else node
        return [file for child in children for file in files(child)]

    return files(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"])


def test_every_page_is_in_the_navigation_once() -> None:
    expected = [page.name for page in (ROOT / "docs").glob("*.md")] + list(MORE_PAGES.values())
    assert sorted(navigation()) == sorted(expected)


def test_every_page_of_the_navigation_is_built(pages: dict[str, Html]) -> None:
    expected = {name.removesuffix(".md") + ".html" for name in navigation()}
    assert pages.keys() - {"404.html"} == expected
    assert all(len(re.findall(r"<h1[ >]", page.text)) == 1 for page in pages.values())


def test_every_link_and_anchor_leads_somewhere(site: Path, pages: dict[str, Html]) -> None:
    broken = []
    links = [(name, link) for name, page in pages.items() if name != "404.html" for link in page.links]
    assert len(links) > 2000
    for name, link in links:
        address = urlsplit(link)
        if address.scheme or address.netloc:
            continue
        target = unquote(address.path).removeprefix("./") or name
        if target in {".", ""}:
            target = "index.html"
        if not (site / target).is_file() or (
            address.fragment and target in pages and unquote(address.fragment) not in pages[target].ids
        ):
            broken.append((name, link))
    assert broken == []


def test_every_picture_is_there(site: Path, pages: dict[str, Html]) -> None:
    pictures = [
        source for page in pages.values() for source in re.findall(r'<img[^>]* src="([^"]+)"', page.text)
    ]
    assert len(pictures) >= 6
    assert [source for source in pictures if not (site / source).is_file()] == []
    assert all(
        re.search(r'alt="[^"]{10}', tag)
        for page in pages.values()
        for tag in re.findall("<img[^>]*>", page.text)
    )


def test_nothing_is_loaded_from_another_host(site: Path, pages: dict[str, Html]) -> None:
    loaded = [(name, source) for name, page in pages.items() for source in page.loaded]
    assert len(loaded) > 100
    assert [(name, source) for name, source in loaded if urlsplit(source).netloc] == []
    inline = [(name, rule) for name, page in pages.items() for rule in _imports(page.text)]
    sheets = [(sheet.name, rule) for sheet in site.rglob("*.css") for rule in _imports(sheet.read_text())]
    assert inline + sheets == []


def _imports(text: str) -> list[str]:
    """Addresses of other hosts in a style sheet."""
    return re.findall(r"(?:@import|url\()\s*['\"]?((?:https?:)?//[^'\")]+)", text)


def test_tables_and_lists_are_what_they_look_like(pages: dict[str, Html]) -> None:
    """Python's Markdown needs an empty line before a table or list; what has none would be shown as it is typed."""
    shown = [
        (name, line)
        for name, page in pages.items()
        for paragraph in re.findall(r"<p>(.*?)</p>", page.text, re.DOTALL)
        for line in re.sub(r"<code.*?</code>", "", paragraph, flags=re.DOTALL).splitlines()
        if re.match(r"\s*(\|.*\||\|?-{3,}\|.*|[-*] \w.*|\d\. \w.*)$", line) or "```" in line
    ]
    assert shown == []


def test_numbered_steps_keep_their_numbers(pages: dict[str, Html]) -> None:
    """Commands stand between the steps, so each step is a list that begins with its number."""
    text = pages["backup.html"].text.partition('id="restore-into-a-new-cluster"')[2].partition("<h2")[0]
    assert re.findall(r"<ol(?: start=\"(\d)\")?>", text) == ["", "2", "4"]


def test_what_is_wrong_ends_the_build(site: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    for name in (*MORE_PAGES, "mkdocs.yml"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes((ROOT / name).read_bytes() if name == "mkdocs.yml" else b"# Page\n")
    (root / "docs").mkdir()
    for page in (ROOT / "docs").glob("*.md"):
        (root / "docs" / page.name).write_text("# Page\n", encoding="utf-8")
    build(root, tmp_path / "good")
    (root / "docs/index.md").write_text("# Page\n\n[no such place](install.md#nowhere)\n", encoding="utf-8")
    with pytest.raises(DocsError, match=r"nowhere"):
        build(root, tmp_path / "bad")

"""The documentation as readers see it: legible in light and dark, on a phone, searchable, and silent to other hosts."""

import functools
import http.server
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args

import pytest
from playwright.sync_api import Browser, Page, expect

from support.browser import running_browser, violations

SECONDS = 90
"""That anything may take on a busy machine."""
Scheme = Literal["light", "dark"]
LOOKED_AT = ("index", "tutorial", "rotation", "reference", "conditions", "chart")
"""The front page, what is learnt, a task, and the widest tables."""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Nothing is logged."""


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Where the site is served."""
    handler = functools.partial(_Quiet, directory=site)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as browser:
        yield browser


def opened(browser: Browser, scheme: Scheme, width: int, asked: list[str]) -> Page:
    """A window whose requests are noted, and go nowhere but to this machine."""
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
    context.route(re.compile(r"^(?!http://127\.0\.0\.1)http"), lambda route: route.abort())
    context.set_default_timeout(SECONDS * 1000)
    page = context.new_page()
    page.on("request", lambda request: asked.append(request.url))
    return page


def test_no_page_asks_another_host_for_anything(browser: Browser, address: str, site: Path) -> None:
    asked: list[str] = []
    page = opened(browser, "light", 1280, asked)
    for name in sorted(one.name for one in site.glob("*.html")):
        page.goto(f"{address}/{name}")
    assert len(asked) > 100
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []


@pytest.mark.parametrize("scheme", get_args(Scheme))
@pytest.mark.parametrize("width", [1280, 400])
def test_pages_are_accessible_and_as_wide_as_the_window(
    browser: Browser, address: str, scheme: Scheme, width: int
) -> None:
    page = opened(browser, scheme, width, [])
    for name in LOOKED_AT:
        page.goto(f"{address}/{name}.html")
        assert violations(page) == [], name
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name


def test_a_table_wider_than_a_phone_scrolls_with_the_keyboard(browser: Browser, address: str) -> None:
    page = opened(browser, "light", 400, [])
    page.goto(f"{address}/monitoring.html")
    table = page.locator(".md-typeset__scrollwrap").filter(
        has=page.get_by_text("scim_api_requests_in_flight")
    )
    table.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.activeElement.scrollLeft > 0")


def test_search_finds_a_reason(browser: Browser, address: str) -> None:
    page = opened(browser, "light", 1280, [])
    page.goto(f"{address}/index.html")
    page.keyboard.press("Control+k")
    page.keyboard.type("DeletionBlocked")
    expect(page.get_by_role("link", name=re.compile("Conditions and reasons|Reasons")).last).to_be_visible(
        timeout=SECONDS * 1000
    )


def test_the_reader_chooses_light_or_dark(browser: Browser, address: str) -> None:
    page = opened(browser, "light", 1280, [])
    page.goto(f"{address}/index.html")
    for scheme, title in (("default", "Switch to light mode"), ("slate", "Switch to dark mode")):
        page.locator(f"label[title='{title}']").click()
        expect(page.locator(f"body[data-md-color-scheme='{scheme}']")).to_be_visible(timeout=SECONDS * 1000)

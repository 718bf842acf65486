"""What a person waits for with 100,000 users: the console's pages in Chromium until something is painted, and searches.

``make bench-console`` starts ``scim-api console`` on each database and looks at each page several times.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from playwright.sync_api import BrowserContext, Page, expect

from bench.loading import connect_tenant, load
from bench.population import identity, user_name
from scim_api.store.factory import create_store
from support.browser import running_browser
from support.database_console import running_console
from support.postgres import execute, own_server

PEOPLE: Final = 100_000
TIMES: Final = 9
LIMIT_MS: Final = 500.0
"""What a person still takes for at once."""
HERE: Final = "/tokens/demo/contoso"
_PAINTED: Final = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
SEARCHES: Final = (user_name(77_777), "p0077777", "ada 777", "zzz")
"""A whole e-mail, a whole externalId, words of a name, and nobody."""


def _group(url: str, tenant: int) -> str:
    """A group of a thousand; its id."""
    from scim_api.contract.admin import TenantSettings
    from scim_api.core.resources.groups import create_group
    from scim_api.core.schema.tenant_schema import compile_tenant_schema
    from scim_api.store.change_log import Actor

    body = {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
        "displayName": "A thousand",
        "members": [{"value": identity(number)} for number in range(1000)],
    }

    async def create() -> str:
        store = create_store(url)
        await store.open()
        try:
            write = create_group(compile_tenant_schema(TenantSettings(), "console"), body)
            return (await store.create(tenant, "Group", write, actor=Actor("bench"))).id
        finally:
            await store.close()

    return asyncio.run(create())


def painted(context: BrowserContext, address: str) -> list[float]:
    """Milliseconds until the first contentful paint, each time in a window of its own."""
    found = []
    for _ in range(TIMES):
        page = context.new_page()
        page.goto(address)
        while (milliseconds := page.evaluate(_PAINTED)) is None:
            page.wait_for_timeout(20)
        found.append(float(milliseconds))
        page.close()
    return found


def searched(page: Page, text: str) -> list[float]:
    """Milliseconds from the last key to the answer on the page, the pause for typing included."""
    found = []
    for _ in range(TIMES):
        page.locator("#search").fill("")
        expect(page.get_by_text(f"1–50 of {PEOPLE:,} users")).to_be_visible()
        with page.expect_response(lambda answer: "/parts/users" in answer.url):
            began = time.perf_counter()
            page.locator("#search").fill(text)
        found.append((time.perf_counter() - began) * 1000)
    return found


def told(what: str, milliseconds: Sequence[float]) -> None:
    """One line."""
    print(
        f"  {what:<44} p50 {statistics.median(milliseconds):6.0f} ms   most {max(milliseconds):6.0f} ms",
        flush=True,
    )


def measure(url: str, directory: Path) -> list[float]:
    """Look at each page on one database; the paints' medians."""
    tenant, _ = asyncio.run(connect_tenant(url, "contoso"))
    asyncio.run(load(url, tenant, PEOPLE))
    group = _group(url, tenant)
    pages: dict[str, str] = {
        "tokens": "/",
        "users": f"{HERE}/users",
        "users, the last page": f"{HERE}/users?start={PEOPLE - 49}",
        "a search, by form": f"{HERE}/users?q=ada+777",
        "a user": f"{HERE}/users/{identity(77_777)}",
        "a group of 1,000": f"{HERE}/groups/{group}",
        "log": f"{HERE}/log",
    }
    medians = []
    with running_console(directory, url) as address, running_browser() as browser:
        context = browser.new_context()
        context.new_page().goto(address)
        root = address.partition("/open")[0]
        for what, path in pages.items():
            times = painted(context, root + path)
            medians.append(statistics.median(times))
            told(f"first contentful paint: {what}", times)
        page = context.new_page()
        page.goto(f"{root}{HERE}/users")
        for text in SEARCHES:
            told(f"search as you type: {text}", searched(page, text))
    return medians


def _on_sqlite(look: Callable[[str, Path], list[float]]) -> list[float]:
    with tempfile.TemporaryDirectory(prefix="bench-") as made:
        return look(f"sqlite:///{made}/scim.db", Path(made))


def _on_postgresql(look: Callable[[str, Path], list[float]]) -> list[float]:
    with tempfile.TemporaryDirectory(prefix="bench-") as made, own_server(on_disk=True) as server:
        asyncio.run(execute(server.url, "CREATE DATABASE bench"))
        return look(server.url_of("bench"), Path(made))


def main() -> None:
    """Measure on one database or on both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=["SQLite", "PostgreSQL"], help="one of them; default: both")
    wanted = parser.parse_args().database
    for name, database in (("SQLite", _on_sqlite), ("PostgreSQL", _on_postgresql)):
        if wanted in {None, name}:
            print(f"{name}, {PEOPLE:,} users", flush=True)
            slow = [one for one in database(measure) if one > LIMIT_MS]
            print(
                f"  {'each page under' if not slow else f'{len(slow)} pages not under'} {LIMIT_MS:.0f} ms",
                flush=True,
            )


if __name__ == "__main__":
    main()

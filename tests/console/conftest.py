"""A console of a real database with 10,000 people, whom a real API changes, in a real browser."""

import asyncio
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, expect

from bench.loading import connect_tenant, load
from demo.processes import Api, start_api
from support.browser import running_browser
from support.database_console import running_console

PEOPLE: Final = 10_000
SECONDS: Final = 20
"""That anything may take on a busy machine."""
ATTACK: Final = "<script>alert(1)</script>\u202egnp.\u001b[31m"
CORE: Final = "urn:ietf:params:scim:schemas:core:2.0"
_WATCH: Final = """
window.violated = [];
document.addEventListener("securitypolicyviolation", (event) => window.violated.push(event.violatedDirective));
"""


@dataclasses.dataclass
class World:
    """What a test works with."""

    api: Api
    token: str
    address: str
    """With the key, which was used."""
    browser: Browser
    session: Any
    """Cookies of the browser that opened it."""
    heard: list[str] = dataclasses.field(default_factory=list)
    """Errors in the console of the browser, dialogs, and violations of the policy."""

    @property
    def root(self) -> str:
        """The console's address, without a slash at the end."""
        return self.address.partition("/open")[0]

    @property
    def here(self) -> str:
        """The token's pages."""
        return f"{self.root}/tokens/demo/contoso"

    def context(self, **more: Any) -> BrowserContext:
        """A window in which the console is open."""
        context = self.browser.new_context(**{"storage_state": self.session, "locale": "en-GB", **more})
        context.set_default_timeout(SECONDS * 1000)
        context.add_init_script(_WATCH)
        return context

    def page(self, context: BrowserContext) -> Page:
        """A page, of which is heard whatever must not happen."""
        page = context.new_page()
        page.on(
            "console", lambda message: self.heard.append(message.text) if message.type == "error" else None
        )
        page.on("pageerror", lambda error: self.heard.append(str(error)))
        page.on("dialog", self._dismiss)
        return page

    def _dismiss(self, dialog: Dialog) -> None:
        self.heard.append(dialog.message)
        dialog.dismiss()

    def scim(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        """As Entra asks."""
        with httpx.Client(trust_env=False, timeout=30) as client:
            answer = client.request(
                method,
                f"{self.api.scim_url}{path}",
                json=body,
                headers={"authorization": f"Bearer {self.token}"},
            )
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json() if answer.content else {}
        return found

    def create_user(self, name: str, display: str) -> str:
        """A new user's id."""
        created = self.scim(
            "POST",
            "/Users",
            schemas=[f"{CORE}:User"],
            userName=name,
            displayName=display,
            externalId=f"x-{name}",
            title=ATTACK,
            name={"givenName": display, "familyName": "Lovelace"},
            emails=[{"type": "work", "primary": True, "value": f"{name}@contoso.example"}],
        )
        return str(created["id"])

    def create_group(self, display: str, *members: str) -> str:
        """A new group's id."""
        values = [{"value": one} for one in members]
        return str(
            self.scim("POST", "/Groups", schemas=[f"{CORE}:Group"], displayName=display, members=values)["id"]
        )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory: Path = tmp_path_factory.mktemp("console")
    url = f"sqlite:///{directory / 'scim.db'}"
    (directory / "keys").mkdir()
    tenant, token = asyncio.run(connect_tenant(url, "contoso"))
    asyncio.run(load(url, tenant, PEOPLE))
    api = start_api(directory, admin_keys_dir=directory / "keys", database_url=url)
    try:
        api.wait_ready()
        expect.set_options(SECONDS * 1000)
        with running_console(directory, url) as address, running_browser() as browser:
            opening = browser.new_context()
            opening.set_default_timeout(SECONDS * 1000)
            page = opening.new_page()
            page.goto(address)
            assert re.search("console", page.title())
            session = opening.storage_state()
            opening.close()
            yield World(api, token, address, browser, session)
    finally:
        api.stop()


@pytest.fixture
def page(world: World) -> Iterator[Page]:
    """A page in a window of its own, in which nothing may go wrong."""
    world.heard.clear()
    context = world.context(viewport={"width": 1280, "height": 800})
    page = world.page(context)
    yield page
    violated = page.evaluate("window.violated")
    context.close()
    assert world.heard == []
    assert violated == []

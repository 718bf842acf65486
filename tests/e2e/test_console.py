"""``kubectl scim console`` in a real Chromium, against operator, API and Kubernetes: with the caller's rights, and live."""

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from e2e.test_kubectl_scim_people import SERVICE, Forwarding, provisioned
from support.browser import running_browser
from support.stack import OPERATOR_NAMESPACE, Stack

SECONDS = 60


@pytest.fixture
def scim(stack: Stack, namespace: str) -> Iterator[httpx.Client]:
    """Who provisions with ScimToken ``entra``, which is Ready."""
    stack.apply(namespace, "entra")
    secret = stack.wait_ready(namespace, "entra")
    headers = {"authorization": f"Bearer {secret['token']}"}
    with httpx.Client(base_url=secret["endpoint"], headers=headers, trust_env=False, timeout=30) as client:
        yield client


@pytest.fixture
def admin(stack: Stack, namespace: str, tmp_path: Path) -> Iterator[Forwarding]:
    """Somebody whose kubectl finds the API, as the chart leads to it."""
    stack.kubectl("apply", "-f", "-", input=json.dumps(SERVICE))
    yield Forwarding(stack, namespace, tmp_path)
    stack.kubectl("delete", "service", "scim-api", "-n", OPERATOR_NAMESPACE)


@pytest.fixture
def page(admin: Forwarding) -> Iterator[Page]:
    """What the browser shows that opened the console, which ends by Ctrl-C and says nothing wrong."""
    console = admin.follows("console", "--no-browser")
    try:
        assert console.stdout is not None
        address = console.stdout.readline().strip()
        assert address, console.communicate(timeout=SECONDS)
        with running_browser() as browser:
            page = browser.new_page()
            page.set_default_timeout(SECONDS * 1000)
            expect.set_options(SECONDS * 1000)
            page.goto(address)
            yield page
        console.send_signal(signal.SIGINT)
        _, said = console.communicate(timeout=SECONDS)
        assert console.returncode == 0, said
        assert "Traceback" not in said
        left = subprocess.run(["pgrep", "-f", str(admin.played.program)], capture_output=True, check=False)
        assert left.stdout == b"", "its port-forward ends with it"
    finally:
        console.kill()
        console.wait()


def test_tokens_people_and_the_log_are_shown_and_live(
    stack: Stack, namespace: str, scim: httpx.Client, page: Page
) -> None:
    ada = provisioned(scim, "ada", displayName="Ada <script>alert(1)</script>")
    token = stack.secret(namespace, "entra-scim-token")
    page.get_by_role("link", name="entra", exact=False).first.click()
    expect(page.get_by_text(token["token-id"]).first).to_be_visible()
    assert token["token"] not in page.content()
    stack.apply(namespace, "other")
    page.goto(re.sub("/tokens/.*", "/", page.url))
    expect(page.get_by_role("link", name=re.compile("other"))).to_be_visible()

    page.goto(f"{page.url}tokens/{namespace}/entra/users")
    page.get_by_role("searchbox").fill("ada")
    page.get_by_role("link", name="Ada <script>").click()
    expect(page.get_by_role("heading", name="Ada <script>alert(1)</script>")).to_be_visible()
    expect(page.get_by_text("was created")).to_be_visible()
    page.get_by_role("link", name="In the log, live").click()
    expect(page.locator("#log .change")).to_have_count(1)
    patch = {"Operations": [{"op": "Replace", "path": "active", "value": False}]}
    scim.patch(f"/Users/{ada}", json=patch).raise_for_status()
    expect(page.locator("#coming .change")).to_contain_text("was disabled")
    expect(page.locator("#coming .change")).to_contain_text(token["token-id"])

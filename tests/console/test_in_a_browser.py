"""Every page in a real Chromium: readable, reachable by keyboard, live, and safe from what others wrote."""

import re
import time
from collections.abc import Sequence

import pytest
from playwright.sync_api import Page, Route, expect

from support.browser import violations

from .conftest import ATTACK, SECONDS, World


@pytest.fixture(scope="module")
def ada(world: World) -> str:
    identity = world.create_user("ada", ATTACK)
    world.create_user("grace", "Grace Hopper")
    return identity


@pytest.fixture(scope="module")
def addresses(world: World, ada: str) -> Sequence[str]:
    """Every page there is, most of them with what somebody wrote who means harm."""
    crew = world.create_group(f"Crew {ATTACK}", ada)
    return (
        world.root, f"{world.root}/health", world.here, f"{world.here}/users", f"{world.here}/users?q=nobody", f"{world.here}/users/{ada}",
        f"{world.here}/groups", f"{world.here}/groups/{crew}", f"{world.here}/log", f"{world.here}/users/gone",
    )  # fmt: skip


def ready(page: Page) -> None:
    """Wait until all parts that come later have come."""
    expect(page.locator("[aria-busy]")).to_have_count(0)


def too_wide(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_each_page_is_accessible_and_fits(
    world: World, page: Page, addresses: Sequence[str], scheme: str, width: int
) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
    found = {}
    for address in addresses:
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(address)
        ready(page)
        found[address] = violations(page)
        if too_wide(page):
            found[address].append("scrolls sideways")
        page.set_viewport_size(
            {"width": width // 2 if width > 1000 else width, "height": 400}
        )  # zoomed to 200 %
        if too_wide(page):
            found[address].append("scrolls sideways at 200 %")
    world.heard[:] = [one for one in world.heard if "404" not in one]  # the page of who is gone
    assert {address: all_of_it for address, all_of_it in found.items() if all_of_it} == {}


def test_what_others_wrote_is_text(page: Page, world: World, addresses: Sequence[str], ada: str) -> None:
    page.goto(f"{world.here}/users/{ada}")
    ready(page)
    shown = page.locator("h1").inner_text()
    assert shown == "<script>alert(1)</script>\\u202egnp.\\x1b[31m"
    assert page.locator("main script").count() == 0
    expect(page.get_by_role("link", name="Crew <script>").first).to_be_visible()
    page.goto(f"{world.here}/log")
    expect(page.get_by_role("link", name="<script>alert(1)</script>").first).to_be_visible()


@pytest.mark.parametrize("path", ["/users", "/log", "/users/{ada}"])
def test_everything_is_reached_by_keyboard(page: Page, world: World, ada: str, path: str) -> None:
    page.goto(world.here + path.format(ada=ada))
    ready(page)
    wanted = page.evaluate(
        """() => {
            const all = [...document.querySelectorAll("a[href], button, input, select, summary, [tabindex='0']")];
            const seen = all.filter((one) => one.checkVisibility({visibilityProperty: true}));
            seen.forEach((one, index) => { one.dataset.number = index; });
            return seen.length;
        }"""
    )
    assert wanted > 10
    reached, hidden = set(), []
    for _ in range(wanted):
        page.keyboard.press("Tab")
        number, is_shown = page.evaluate(
            """() => {
                const one = document.activeElement;
                const style = getComputedStyle(one);
                const box = one.getBoundingClientRect();
                const inside = box.bottom > 0 && box.top < innerHeight;
                return [one.dataset.number, inside && style.outlineStyle !== "none" && style.outlineWidth !== "0px"];
            }"""
        )
        reached.add(number)
        if not is_shown:
            hidden.append(page.evaluate("document.activeElement.outerHTML.slice(0, 120)"))
    assert len(reached - {None}) == wanted
    assert hidden == []


def test_search_as_you_type_finds_a_person_and_no_late_answer_comes_over_a_newer_one(
    page: Page, world: World, ada: str
) -> None:
    held: list[Route] = []
    page.route("**/parts/users?q=p", lambda route: held.append(route))  # noqa: PLW0108 (a builtin does not do)
    page.goto(f"{world.here}/users")
    expect(page.get_by_text("1–50 of 10,00")).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("p")
    deadline = time.monotonic() + SECONDS
    while not held:
        assert time.monotonic() < deadline
        page.wait_for_timeout(50)
    page.keyboard.type("erson.777@contoso.example")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.get_by_role("row", name="person.777@contoso.example")).to_be_visible()
    # A machine that types slowly searches for less in between, and finds the same person.
    expect(page).to_have_url(f"{world.here}/users?q=person.777%40contoso.example")
    with page.expect_response("**/parts/users?q=p"):
        held[0].continue_()
    page.wait_for_load_state("networkidle")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page).to_have_url(f"{world.here}/users?q=person.777%40contoso.example")
    page.get_by_role("link", name="Björn").click()
    expect(page.get_by_role("heading", name="Björn")).to_be_visible()


def test_the_log_is_live_and_filtered_and_goes_back(page: Page, world: World, ada: str) -> None:
    page.goto(f"{world.here}/log")
    names = [f"new-{number}" for number in range(35)]
    for name in names:
        world.create_user(name, f"Newcomer {name}")
    coming = page.locator("#coming .change")
    expect(coming).to_have_count(35)
    expect(coming.first).to_contain_text("Newcomer new-34")
    page.goto(f"{world.here}/log")
    expect(page.locator("#log .change")).to_have_count(30)
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_text("Newcomer new-0 ")).to_be_visible()
    page.locator("#kind").select_option("enabled")
    expect(page.get_by_role("heading", name="Nothing like this happened")).to_be_visible()
    [newest] = world.scim("GET", '/Users?filter=userName eq "new-34"')["Resources"]
    operation = {"op": "replace", "path": "active", "value": False}
    world.scim(
        "PATCH",
        f"/Users/{newest['id']}",
        schemas=["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        Operations=[operation],
    )
    expect(page.locator("#coming .change")).to_contain_text("Newcomer new-34 was disabled")
    page.locator("#who").fill("new-33@contoso.example")
    expect(page.locator("#coming .change")).to_have_count(0)
    page.locator("#kind").select_option("")
    expect(page.locator("#log .change")).to_have_count(1)


def test_search_and_pages_work_without_a_script(world: World) -> None:
    context = world.context(java_script_enabled=False)
    page = world.page(context)
    page.goto(f"{world.here}/users")
    page.get_by_role("link", name="Next").click()
    expect(page.get_by_text("51–100 of 10,0")).to_be_visible()
    page.locator("#search").fill("hiroshi 777")
    page.locator("#search").press("Enter")
    expect(page.locator("tbody tr").first).to_contain_text("Hiroshi")
    page.goto(f"{world.here}/log")
    page.get_by_label("What").select_option("created")
    page.get_by_role("button", name="Show").click()
    expect(page).to_have_url(re.compile(r"[?&]kind=created(&|$)"))
    context.close()


def test_the_key_opens_the_console_once(world: World) -> None:
    context = world.browser.new_context()
    answer = context.new_page().goto(world.address)
    assert answer is not None
    assert answer.status == 403
    assert "It was used already" in answer.text()
    context.close()

"""Who is let in, rule by rule, and what everybody else learns: nothing."""

import re

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from scim_console.access import Access
from scim_console.guard import HEADERS
from support.console_client import HOST, PORT, browser, csrf, stranger
from support.played_source import PlayedSource, token


@pytest.fixture
def opened() -> TestClient:
    return browser(PlayedSource(token()))


@pytest.fixture
def access() -> Access:
    return Access(PORT)


@pytest.fixture
def unknown(access: Access) -> TestClient:
    return stranger(PlayedSource(token()), access)


def test_the_key_opens_a_session_and_leaves_the_address(access: Access, unknown: TestClient) -> None:
    answer = unknown.get(access.url)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert re.fullmatch(rf"scim-console-{PORT}=[\w-]{{43}}; HttpOnly; Path=/; SameSite=strict", cookie)
    assert unknown.get("/").status_code == 200


def test_the_key_is_good_once(access: Access, unknown: TestClient) -> None:
    unknown.get(access.url)
    for client in (unknown, stranger(PlayedSource(), access)):
        again = client.get(access.url)
        assert again.status_code == 403
        assert "set-cookie" not in again.headers
        assert "start the console again" in again.text
    assert unknown.get("/").status_code == 200


@pytest.mark.parametrize("key", ["", "x", "%ff", "é", "k" * 43])
def test_another_key_opens_nothing(unknown: TestClient, access: Access, key: str) -> None:
    assert unknown.get(f"/open?key={key}").status_code == 403
    assert unknown.get(access.url).status_code == 303


def test_whoever_does_not_read_the_answer_does_not_use_the_key_up(
    access: Access, unknown: TestClient
) -> None:
    assert unknown.head(access.url).status_code == 403
    assert unknown.get(access.url, headers={"Sec-Purpose": "prefetch"}).status_code == 403
    assert unknown.get(access.url).status_code == 303


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "TRACE"])
def test_without_the_session_every_path_and_method_is_answered_alike(
    unknown: TestClient, method: str
) -> None:
    paths = ("/", "/static/console.css", "/tokens/team/entra", "/nothing", "/live", "/static/../../secret")
    answers = [unknown.request(method, path) for path in paths]
    assert {one.status_code for one in answers} == {403}
    assert len({one.content for one in answers}) == 1
    assert len({tuple(one.headers.items()) for one in answers}) == 1
    assert "start it again" in unknown.get("/").text


@pytest.mark.parametrize(
    "cookie",
    ["", "x", "scim-console-1=x", f"scim-console-{PORT}=", f"scim-console-{PORT}=wrong", f'scim-console-{PORT}="\\', "a=b;;=;"],
)  # fmt: skip
def test_another_cookie_is_none(access: Access, unknown: TestClient, cookie: str) -> None:
    unknown.get(access.url)
    unknown.cookies.clear()
    assert unknown.get("/", headers={"Cookie": cookie}).status_code == 403


@pytest.mark.parametrize(
    "host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:4712", f"127.0.0.1.nip.io:{PORT}", f"[::1]:{PORT}", ""]
)  # fmt: skip
def test_a_foreign_host_is_refused_as_dns_rebinding_needs_one(opened: TestClient, host: str) -> None:
    assert opened.get("/", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("host", [HOST, f"localhost:{PORT}", f"LOCALHOST:{PORT}"])
def test_its_own_addresses_are_answered(opened: TestClient, host: str) -> None:
    session = f"{next(iter(opened.cookies.keys()))}={next(iter(opened.cookies.values()))}"
    assert opened.get("/", headers={"Host": host, "Cookie": session}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:4712"},
        {"Origin": f"https://{HOST}"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": f"http://{HOST}", "Sec-Fetch-Site": "cross-site"},
    ],
)
def test_what_another_site_asks_is_refused(
    opened: TestClient, access: Access, headers: dict[str, str]
) -> None:
    assert opened.get("/", headers=headers).status_code == 403
    assert stranger(PlayedSource(), access).get(access.url, headers=headers).status_code == 403


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "none"}, {"Origin": f"http://{HOST}", "Sec-Fetch-Site": "same-origin"}]
)
def test_what_its_own_pages_ask_and_what_a_person_types_is_answered(
    opened: TestClient, headers: dict[str, str]
) -> None:
    assert opened.get("/", headers=headers).status_code == 200


def test_a_post_needs_the_token_of_the_pages(opened: TestClient) -> None:
    good = csrf(opened)
    for headers in ({}, {"X-CSRF-Token": ""}, {"X-CSRF-Token": good[:-1]}):
        assert opened.post("/nothing", headers=headers).status_code == 403
    assert opened.post("/nothing", headers={"X-CSRF-Token": good}).status_code == 404


def test_every_answer_has_the_headers_that_close_it(access: Access) -> None:
    client = stranger(PlayedSource(token()), access)
    answers = [
        client.get("/"),
        client.get(access.url),
        client.get(access.url),
        client.get("/", headers={"Host": "x"}),
    ]
    answers += [client.get("/"), client.get("/nothing"), client.head("/"), client.get("/static/console.js")]
    assert {one.status_code for one in answers} == {200, 303, 403, 404, 405}
    for one in answers:
        assert {name: one.headers.get(name) for name in HEADERS} == HEADERS
    csp = HEADERS["Content-Security-Policy"]
    assert "'unsafe" not in csp
    assert csp.startswith("default-src 'none'; ")


def test_a_failing_page_has_them_too_and_does_not_tell_why(
    opened: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scim_console.pages.tokens._context", lambda *_: 1 / 0)
    answer = opened.get("/")
    assert answer.status_code == 500
    assert answer.headers["Content-Security-Policy"] == HEADERS["Content-Security-Policy"]
    assert "division" not in answer.text


def test_pages_have_no_script_or_style_that_the_policy_would_have_to_allow(opened: TestClient) -> None:
    page = opened.get("/").text
    assert not re.search(
        r"<style|\bstyle=|<script(?! src=\"/static/)|\bon\w+=|https?://(?!scim\.example)", page
    )


def test_there_are_no_websockets(opened: TestClient) -> None:
    with pytest.raises(WebSocketDisconnect) as refused, opened.websocket_connect("/live"):
        pass
    assert refused.value.code == 1008


def test_the_key_and_the_sessions_are_long_and_differ(access: Access) -> None:
    other = Access(PORT)
    assert len({access.url, other.url, access.csrf, other.csrf}) == 4
    assert len(access.url.partition("key=")[2]) == 43

"""The page of all tokens."""

import re

from scim_console.model import Denied, Unreachable
from support.console_client import browser
from support.played_source import PlayedSource, credential, problem, token, world


def test_what_needs_a_person_stands_on_top_with_the_next_command() -> None:
    page = browser(world()).get("/").text
    attention = page.index("Needs attention")
    error, warning, cards = (
        page.index("SecretNotOwned"),
        page.index("SupersededTokenInUse"),
        page.index("Credential timeline"),
    )
    assert attention < error < warning < cards
    assert 'data-copy="kubectl scim credentials entra -n identity"' in page


def test_errors_of_all_stand_before_warnings_of_any() -> None:
    warning = problem("a warning", severity="warning")
    client = browser(
        PlayedSource(
            token("a", problems=(problem("first"), warning)), token("b", problems=(problem("second"),))
        )
    )
    page = client.get("/").text
    assert page.index("first") < page.index("second") < page.index("a warning")


def test_when_nothing_is_wrong_it_says_so() -> None:
    assert "It is healthy" in browser(PlayedSource(token())).get("/").text


def test_each_credential_has_its_line_that_is_also_said_in_words() -> None:
    page = browser(world()).get("/").text
    assert page.count('role="img"') == 4
    assert re.search(
        r'aria-label="Issued 2026-09-06T12:00:00Z, superseded 2026-10-31T12:00:00Z, ends 2026-12-05', page
    )
    assert "without an end" in page


def test_the_part_that_changes_is_the_same_as_on_the_page() -> None:
    client = browser(world())
    part = client.get("/parts/tokens").text
    assert part.strip() in client.get("/").text
    assert "<html" not in part


def test_a_search_leaves_what_it_names() -> None:
    client = browser(world())
    for q, found in (
        ("report", {"reports"}),
        ("IDENTITY part", {"partner"}),
        ("77aa", {"reports"}),
        ("zzz", set()),
    ):
        page = client.get("/parts/tokens", params={"q": q}).text
        assert set(re.findall(r'<h3><a href="/tokens/\w+/(\w+)"', page)) == found, q
    nothing = client.get("/?q=zzz").text
    assert "matches “<bdi>zzz</bdi>”" in nothing
    assert "Needs attention" not in nothing


def test_without_any_it_says_how_to_make_one() -> None:
    page = browser(PlayedSource()).get("/").text
    assert "No ScimTokens yet" in page
    assert "<code>kubectl apply -n team -f - &lt;&lt;" in page
    assert "kind: ScimToken" in page


def test_a_missing_right_and_a_cluster_that_is_gone_are_told_in_place() -> None:
    source = PlayedSource(token())
    client = browser(source)
    for error in (Denied("you need list on scimtokens"), Unreachable("the cluster is gone: is the VPN up?")):
        source.all = error
        answer = client.get("/parts/tokens")
        assert answer.status_code == 200
        assert str(error) in answer.text
        assert "No ScimTokens yet" not in answer.text


def test_the_page_does_not_wait_for_the_source() -> None:
    source = PlayedSource(token())
    source.all = Unreachable("it takes its time")
    client = browser(source)
    assert "Looking for ScimTokens" in client.get("/").text
    source.all = (token(),)
    assert "Credential timeline" in client.get("/parts/tokens").text
    source.all = Unreachable("it takes its time")
    page = client.get("/").text
    assert "Credential timeline" in page
    assert "data-lazy" in page


def test_what_others_wrote_is_text() -> None:
    evil = '"><script>alert(1)</script>\u202e'
    source = PlayedSource(
        token(
            evil,
            evil,
            tenant=evil,
            auth_type=evil,
            problems=(problem(evil, subject=evil, command=evil),),
            credentials=(credential(evil, evil),),
        )
    )
    client = browser(source)
    source.place = evil
    page = client.get("/", params={"q": '"<script>'}).text + client.get("/").text
    assert "<script>" not in page
    assert "\u202e" not in page
    assert '"&gt;' not in page.replace("&#34;&gt;", "")
    assert page.count("alert(1)") > 10

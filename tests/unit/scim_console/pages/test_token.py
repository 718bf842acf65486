"""The page of one ScimToken, and what of it is read from a Secret when."""

import dataclasses
import re

import pytest

from scim_console.model import Denied, Event, Field, Unreachable
from support.console_client import browser, csrf
from support.played_source import CONDITIONS, ENTRA, NOW, PlayedSource, credential, problem, token, world

PAGE = "/tokens/identity/entra"


def test_it_shows_the_way_the_credentials_the_job_and_the_conditions() -> None:
    page = browser(world()).get(PAGE).text
    for expected in (
        "SupersededTokenInUse",
        "Entra's job".replace("'", "&#39;"),
        "e9bc3f5c781a9144",
        "EncounteredQuarantineException",
        "InvalidCredentials",
        "Saved",
        "2 minutes ago",  # inspected
    ):
        assert expected in page, expected


def test_nothing_is_read_from_a_secret_until_somebody_wants_to_see_it() -> None:
    source = world()
    source.portal = AssertionError("it was read")
    client = browser(source)
    page = client.get(PAGE).text
    assert "Authentication method" in page
    assert "Bearer authentication" in page
    assert "https://scim.example.com/scim/v2" in page
    assert re.search(r"Secret Token.*hidden", page)
    assert client.get("/parts/form/identity/entra").text.strip() in page


def test_a_post_shows_it_and_a_get_never_does() -> None:
    client = browser(world())
    address = "/parts/form/identity/entra"
    assert client.post(address).status_code == 403
    shown = client.post(address, headers={"X-CSRF-Token": csrf(client)}).text
    assert "<code>sct_secret</code>" in shown
    assert 'aria-label="Copy Secret Token"' in shown
    assert "sct_secret" not in client.get(address).text + client.get(PAGE).text


def test_a_missing_right_to_read_the_secret_is_named_and_the_rest_stands() -> None:
    source = world()
    source.portal = Denied("you need get on secrets entra-scim-token")
    client = browser(source)
    shown = client.post("/parts/form/identity/entra", headers={"X-CSRF-Token": csrf(client)}).text
    assert "Permission missing" in shown
    assert "you need get on secrets entra-scim-token" in shown
    assert "https://scim.example.com/scim/v2" in shown


def test_events_come_after_the_page() -> None:
    source = world()
    source.happened = AssertionError("it was asked")
    client = browser(source)
    assert 'data-region="/parts/events/identity/entra" data-lazy' in client.get(PAGE).text
    source.happened = (Event(NOW, "Warning", "Refused", "it was refused", 3),)
    part = client.get("/parts/events/identity/entra").text
    assert "it was refused" in part
    assert "(3 times)" in part
    source.happened = ()
    assert "None. Kubernetes forgets" in client.get("/parts/events/identity/entra").text


@pytest.mark.parametrize("part", ["head", "state"])
def test_the_parts_that_change_are_the_same_as_on_the_page(part: str) -> None:
    client = browser(world())
    assert client.get(f"/parts/{part}/identity/entra").text.strip() in client.get(PAGE).text


def test_one_that_does_not_exist_is_404_and_says_so() -> None:
    answer = browser(world()).get("/tokens/identity/none")
    assert answer.status_code == 404
    assert "Not found" in answer.text
    assert 'href="/"' in answer.text


def test_a_source_that_fails_is_told_in_place() -> None:
    source = world()
    client = browser(source)
    source.all = Unreachable("is the VPN up?")
    assert client.get(PAGE).status_code == 200
    for address in ("/tokens/identity/not-known", "/parts/head/identity/entra", "/parts/form/identity/entra"):
        answer = client.get(address)
        assert answer.status_code == 200
        assert "is the VPN up?" in answer.text
    assert client.get("/parts/state/identity/entra").text.strip() == ""


def test_a_connection_without_kubernetes_has_a_page_and_no_secret() -> None:
    source = PlayedSource(token("entra", "", secret_name=None))
    client = browser(source)
    page = client.get("/").text
    assert 'href="/tokens/-/entra"' in page
    answer = client.get("/tokens/-/entra")
    assert answer.status_code == 200
    assert "Secret <bdi>" not in answer.text


def test_what_others_wrote_is_text() -> None:
    evil = '"><script>alert(1)</script>\u202e'
    source = PlayedSource(
        token(
            "entra",
            "team",
            tenant=evil,
            auth_type=evil,
            auth_name=evil,
            secret_name=evil,
            endpoint=evil,
            form=("Tenant URL", evil),
            problems=(problem(evil, subject=evil, command=evil),),
            credentials=(credential(evil, evil, kind=evil),),
            conditions=tuple(
                dataclasses.replace(one, status=evil, reason=evil, message=evil) for one in CONDITIONS
            ),
            entra={
                **ENTRA,
                "jobID": evil,
                "jobState": [evil],
                "quarantine": {"error": evil},
                "lastCycle": evil,
            },
        )
    )
    source.portal = (Field(evil, evil, is_secret=True),)
    source.happened = (Event(NOW, evil, evil, evil, 2),)
    client = browser(source)
    end = "team/entra"
    pages = [
        client.get(f"/tokens/{end}"),
        client.get(f"/parts/events/{end}"),
        client.post(f"/parts/form/{end}", headers={"X-CSRF-Token": csrf(client)}),
    ]
    assert [one.status_code for one in pages] == [200] * 3
    for one in pages:
        assert one.text.count("alert(1)") >= 3
        assert "<script>" not in one.text
        assert "\u202e" not in one.text

"""The checks, line by line."""

from scim_console.model import Check, Unreachable
from support.console_client import browser
from support.played_source import PlayedSource


def test_each_check_is_an_item_and_the_last_event_ends_it() -> None:
    source = PlayedSource()
    source.checked = (
        Check("CRDs", "passed", "v1alpha1", None),
        Check("Operator", "failed", "nobody leads", "kubectl get pods"),
        Check("Job", "not checkable", "no hand-over", "see docs"),
    )
    client = browser(source)
    assert 'data-stream="/health/checks"' in client.get("/health").text
    answer = client.get("/health/checks")
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = answer.text.split("\n\n")
    assert [one.partition("\n")[0] for one in events if one] == ["event: item"] * 3 + ["event: end"]
    assert [
        word in one for one, word in zip(events, ("Passed", "Failed", "Not checkable"), strict=False)
    ] == [True] * 3
    assert "kubectl get pods" in events[1]
    assert events[3] == "event: end\ndata: 1 passed, 1 failed, 1 not checkable"


def test_checks_that_break_off_say_why() -> None:
    source = PlayedSource()
    source.checked = (Check("CRDs", "passed", "<b>", None), Unreachable("the cluster is gone"))
    text = browser(source).get("/health/checks").text
    assert "the cluster is gone" in text
    assert "&lt;b&gt;" in text
    assert text.endswith("event: end\ndata: 1 passed, 1 not checkable\n\n")


def test_no_checks_are_told_as_such() -> None:
    assert browser(PlayedSource()).get("/health/checks").text == "event: end\ndata: nothing was checked\n\n"

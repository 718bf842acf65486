"""When the definitions that a node brings along are served."""

from typing import Any

from localcluster.node.addons import established


def definition(*conditions: tuple[str, str]) -> dict[str, Any]:
    return {"status": {"conditions": [{"type": kind, "status": status} for kind, status in conditions]}}


def test_definitions_are_served_when_each_says_so() -> None:
    served = definition(("NamesAccepted", "True"), ("Established", "True"))

    assert established({"items": [served, served]})
    assert not established({"items": [served, definition(("NamesAccepted", "True"))]})
    assert not established({"items": [served, definition(("Established", "False"))]})


def test_one_that_was_just_made_says_nothing_yet() -> None:
    nothing: list[dict[str, Any]] = [{}, {"status": {}}, {"status": {"conditions": None}}]
    for young in nothing:
        assert not established({"items": [definition(("Established", "True")), young]})

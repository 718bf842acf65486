"""How far a credential has come, from conditions and Entra's side."""

from datetime import UTC, datetime

import pytest

from scim_console.model import Condition
from scim_console.stages import Fact, entra_facts, kind_of, stages
from support.played_source import CONDITIONS, ENTRA, token


@pytest.mark.parametrize(
    ("type", "status", "reason", "kind"),
    [
        ("Ready", "True", "", "ok"),
        ("Ready", "False", "", "warning"),
        ("Ready", "Unknown", "", "unknown"),
        ("Ready", "False", "Pending", "warning"),
        ("SupersededTokenInUse", "True", "", "warning"),
        ("SignInRefused", "False", "", "ok"),
        ("HandedOver", "False", "NotInUse", "warning"),
        ("HandedOver", "False", "Saved", "unknown"),
        ("HandedOver", "False", "Off", "ok"),
        ("Provisioning", "Unknown", "NotRun", "unknown"),
        ("OfALaterRelease", "", "", "unknown"),
    ],
)
def test_a_condition_is_as_it_should_be_or_not(type: str, status: str, reason: str, kind: str) -> None:
    assert kind_of(Condition(type, status, reason, "", None)) == kind


def test_stages_are_in_the_order_of_the_way_and_only_those_that_are_known() -> None:
    found = stages(token(conditions=tuple(reversed(CONDITIONS))))
    assert [(one.name, one.kind) for one in found] == [
        ("SCIM API", "ok"),
        ("Secret", "ok"),
        ("Endpoint", "ok"),
        ("Entra has it", "unknown"),
        ("Entra's job", "warning"),
    ]
    assert [one.name for one in stages(token(conditions=CONDITIONS[:2]))] == ["SCIM API"]


def test_entras_side_is_told_in_a_persons_words() -> None:
    facts = entra_facts(ENTRA)
    assert Fact("Saved", "", datetime(2026, 11, 30, 11, 0, tzinfo=UTC)) in facts
    assert Fact("Objects sent by it", "12") in facts
    assert Fact("Started out of quarantine by the operator", "2 times") in facts
    assert "In use since" not in {one.name for one in facts}


@pytest.mark.parametrize(
    "entra",
    [
        {},
        {"handedOver": 3, "lastCycle": [], "quarantine": None},
        {"lastSuccessAt": "yesterday"},
        {"recoveries": 0},
    ],
)
def test_a_status_of_another_release_is_no_error(entra: dict[str, object]) -> None:
    assert entra_facts(entra) == []


def test_nothing_sent_is_told_as_zero() -> None:
    assert entra_facts({"lastCycle": {"exported": 0}}) == [Fact("Objects sent by it", "0")]

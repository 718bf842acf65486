"""A ScimWebhook's status as it is written and read back."""

from datetime import UTC, datetime

from scim_operator.api.status import Condition
from scim_operator.api.webhook_status import DELIVERING, BacklogStatus, ScimWebhookStatus, SigningSecretStatus

NOW = datetime(2026, 11, 23, 12, 0, 0, 987_654, tzinfo=UTC)


def test_it_is_written_without_what_is_unknown_and_in_whole_seconds() -> None:
    status = ScimWebhookStatus(
        observed_generation=2,
        secrets=(SigningSecretStatus(id="0123456789abcdef", state="Active", issued_at=NOW),),
        backlog=BacklogStatus(events=3),
        last_delivered_at=NOW,
    )
    assert status.to_object() == {
        "observedGeneration": 2,
        "conditions": [],
        "secrets": [{"id": "0123456789abcdef", "state": "Active", "issuedAt": "2026-11-23T12:00:00Z"}],
        "backlog": {"events": 3, "seconds": 0, "retrying": 0},
        "lastDeliveredAt": "2026-11-23T12:00:00Z",
    }


def test_it_reads_back_as_it_was_written() -> None:
    written = ScimWebhookStatus(failing_since=NOW, failure="HTTP 500", gap="12 changes").to_object()
    assert ScimWebhookStatus.model_validate(written).to_object() == written


def test_a_condition_is_found_by_its_type() -> None:
    delivering = Condition(
        type=DELIVERING, status="False", reason="Failing", message="m", last_transition_time=NOW
    )
    status = ScimWebhookStatus(conditions=(delivering,))
    assert status.condition(DELIVERING) is delivering
    assert status.condition("Ready") is None

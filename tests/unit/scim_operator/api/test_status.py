"""A status as it is written and read back."""

from datetime import UTC, datetime, timedelta

from scim_operator.api.status import Condition, ScimTokenStatus, TokenState, TokenStatus, format_time

NOW = datetime(2026, 11, 23, 12, 0, 0, 987_654, tzinfo=UTC)


def test_a_status_is_written_without_what_is_unknown_and_in_whole_seconds() -> None:
    status = ScimTokenStatus(
        endpoint="https://scim.example.com/scim/v2",
        conditions=(
            Condition(type="Ready", status="True", reason="Published", message="m", last_transition_time=NOW),
        ),
        tokens=(
            TokenStatus(id="t1", state=TokenState.ACTIVE, issued_at=NOW, expires_at=NOW + timedelta(days=90)),
        ),
    )
    assert status.to_object() == {
        "endpoint": "https://scim.example.com/scim/v2",
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "reason": "Published",
                "message": "m",
                "lastTransitionTime": "2026-11-23T12:00:00Z",
            }
        ],
        "tokens": [
            {
                "id": "t1",
                "kind": "BearerToken",
                "state": "Active",
                "issuedAt": "2026-11-23T12:00:00Z",
                "expiresAt": "2027-02-21T12:00:00Z",
            }
        ],
    }


def test_a_status_reads_back_as_it_was_written() -> None:
    written = ScimTokenStatus(next_rotation=NOW, users=7, observed_generation=3).to_object()
    assert ScimTokenStatus.model_validate(written).to_object() == written


def test_times_of_another_zone_are_written_in_utc() -> None:
    assert format_time(datetime.fromisoformat("2026-11-23T13:00:00+01:00")) == "2026-11-23T12:00:00Z"


def test_a_condition_is_found_by_its_type() -> None:
    ready = Condition(type="Ready", status="False", reason="r", message="m", last_transition_time=NOW)
    status = ScimTokenStatus(conditions=(ready,))
    assert status.condition("Ready") is ready
    assert status.condition("Published") is None

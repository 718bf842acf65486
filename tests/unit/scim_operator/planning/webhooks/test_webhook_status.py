"""What the status of a ScimWebhook says, when it is written, and of what an Event tells."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scim_api.contract.signing_secret import new_secret, secret_id
from scim_api.contract.webhooks import Backlog, SigningSecretStatus, Webhook
from scim_operator.api.scimwebhook import ScimWebhook
from scim_operator.api.webhook_status import ScimWebhookStatus
from scim_operator.planning.webhooks import plan, webhook_status
from scim_operator.planning.webhooks.webhook_status import Failure, Outcome

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def webhook(status: ScimWebhookStatus | None = None, **spec: Any) -> ScimWebhook:
    return ScimWebhook.from_object(
        {
            "metadata": {"name": "app", "namespace": "team", "uid": "u-1", "generation": 3},
            "spec": {"tenant": "contoso", "url": "https://app.example/hook", **spec},
            "status": {} if status is None else status.to_object(),
        }
    )


def api(**fields: Any) -> Webhook:
    return Webhook(
        **{
            "namespace": "team",
            "name": "app",
            "exists": True,
            "revision": "1.1",
            "now": NOW,
            "is_dispatched": True,
            **fields,
        }
    )


def status(before: ScimWebhookStatus | None = None, now: datetime = NOW, **fields: Any) -> ScimWebhookStatus:
    outcome = Outcome(webhook(before), api(**{"now": now, **fields}), done=plan.Done(NOW + HOUR))
    return webhook_status.build_status(outcome, now)


def delivering(one: ScimWebhookStatus) -> tuple[str, str, str]:
    found = one.condition("Delivering")
    assert found is not None
    return found.status, found.reason, found.message


@pytest.mark.parametrize(
    ("fields", "expected", "said"),
    [
        ({}, ("True", "Delivering"), "Nothing waits"),
        ({"backlog": Backlog(events=12, seconds=7300)}, ("True", "Delivering"), "12 changes wait, the oldest for 2h"),
        ({"suspended": True}, ("False", "Suspended"), "spec.suspend"),
        ({"stopped_at": NOW}, ("False", "Stopped"), "410"),
        (
            {"failing_since": NOW - HOUR, "failure": "HTTP 500: no disk", "retry_at": NOW + HOUR},
            ("False", "Failing"),
            "since 2026-11-30T11:00:00Z, last: HTTP 500: no disk; it is tried again at 2026-11-30T13:00:00Z",
        ),
        ({"loses_events_at": NOW + HOUR}, ("True", "Delivering"), "from 2026-11-30T13:00:00Z on the oldest are lost"),
        ({"gap_at": NOW, "gap": "40 days"}, ("True", "Delivering"), "Lost, as seen at 2026-11-30T12:00:00Z: 40 days"),
        ({"is_dispatched": False}, ("Unknown", "Pending"), "waiting for a process"),
        ({"exists": False}, ("Unknown", "NotRegistered"), "Ready says why"),
    ],
)  # fmt: skip
def test_delivering_says_how_the_receiver_does(
    fields: dict[str, Any], expected: tuple[str, str], said: str
) -> None:
    *judged, message = delivering(status(**fields))
    assert tuple(judged) == expected
    assert said in message


def test_what_is_shown_is_what_the_api_tells() -> None:
    secret, former = new_secret(), new_secret()
    answer = api(
        secrets=(
            SigningSecretStatus(id=secret_id(former), key_id="k", issued_at=NOW - HOUR, until=NOW + HOUR),
            SigningSecretStatus(id=secret_id(secret), key_id="k", issued_at=NOW),
        ),
        backlog=Backlog(events=3, seconds=61.5, retrying=1),
        last_delivered_at=NOW - HOUR,
        retry_at=NOW - HOUR,
        failure="of yesterday",
        ping="1",
        redelivery="2",
    )
    shown = webhook_status.build_status(Outcome(webhook(), answer, secret_id(secret), plan.Done(None)), NOW)
    assert [(one.id, one.state) for one in shown.secrets] == [
        (secret_id(secret), "Active"),
        (secret_id(former), "Superseded"),
    ]
    assert shown.backlog is not None
    assert (shown.backlog.events, shown.backlog.seconds, shown.backlog.retrying) == (3, 61, 1)
    assert (shown.failure, shown.retry_at) == (None, None)
    assert (shown.answered_test, shown.answered_redeliver_from) == ("1", "2")
    assert (shown.tenant, shown.secret_name) == ("contoso", "app-scim-webhook")
    assert shown.observed_generation == 3


@pytest.mark.parametrize(
    ("failure", "is_stalled"),
    [
        (Failure("SecretNotOwned", "delete it"), True),
        (Failure("TenantNotFound", "make one"), False),
        (Failure("ScimApiUnreachable", "no answer", "Unknown"), False),
    ],
)
def test_stalled_is_there_while_somebody_has_to_act(failure: Failure, is_stalled: bool) -> None:
    made = webhook_status.build_status(Outcome(webhook(), api(), failure=failure), NOW)
    ready = made.condition("Ready")
    assert ready is not None
    assert (ready.status, ready.reason) == (failure.status, failure.reason)
    assert (made.condition("Stalled") is not None) is is_stalled


@pytest.mark.parametrize(
    ("before", "after", "is_worth"),
    [
        ({}, {}, False),
        ({"last_delivered_at": NOW}, {"last_delivered_at": NOW + timedelta(seconds=59)}, False),
        ({"last_delivered_at": NOW}, {"last_delivered_at": NOW + timedelta(seconds=60)}, True),
        ({"backlog": Backlog(events=1234)}, {"backlog": Backlog(events=1299)}, False),
        ({"backlog": Backlog(events=1234)}, {"backlog": Backlog(events=1300)}, True),
        ({"backlog": Backlog(events=0)}, {"backlog": Backlog(events=1)}, True),
        ({"backlog": Backlog(seconds=5)}, {"backlog": Backlog(seconds=59)}, False),
        ({"backlog": Backlog(seconds=86_000)}, {"backlog": Backlog(seconds=86_500)}, False),
        ({}, {"failing_since": NOW, "failure": "HTTP 500"}, True),
        ({}, {"stopped_at": NOW}, True),
    ],
)
def test_what_has_hardly_moved_is_not_written(
    before: dict[str, Any], after: dict[str, Any], is_worth: bool
) -> None:
    old = status(**before)
    new = status(old, **after)
    assert webhook_status.is_worth_writing(new, old) is is_worth
    assert (webhook_status.digest(api(**before)) != webhook_status.digest(api(**after))) is is_worth


def test_a_status_that_was_written_and_read_is_not_written_again() -> None:
    first = status(last_delivered_at=NOW + timedelta(microseconds=999_999), failing_since=NOW, failure="x")
    read = webhook(first).status
    assert not webhook_status.is_worth_writing(
        status(read, last_delivered_at=NOW + timedelta(microseconds=999_999), failing_since=NOW, failure="x"),
        read,
    )


def test_events_tell_of_what_turned_and_of_losses() -> None:
    fresh, well = ScimWebhookStatus(), status()
    assert [event[:2] for event in webhook_status.news(well, fresh)] == [
        ("Normal", "Ready"),
        ("Normal", "Delivering"),
    ]
    assert list(webhook_status.news(well, well)) == []
    failing = status(well, failing_since=NOW, failure="HTTP 500")
    assert [event[:2] for event in webhook_status.news(failing, well)] == [("Warning", "Failing")]
    losing = status(failing, failing_since=NOW, failure="HTTP 500", loses_events_at=NOW + HOUR)
    assert [event[:2] for event in webhook_status.news(losing, failing)] == [("Warning", "LosesEvents")]
    lost = status(
        losing, failing_since=NOW, failure="HTTP 500", loses_events_at=NOW + HOUR, gap_at=NOW, gap="x"
    )
    assert [event[:2] for event in webhook_status.news(lost, losing)] == [("Warning", "EventsLost")]
    pending = status(well, is_dispatched=False)
    assert list(webhook_status.news(pending, well)) == []

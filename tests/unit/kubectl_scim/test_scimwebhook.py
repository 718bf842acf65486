"""A ScimWebhook as the API server sends it, read for people."""

from datetime import UTC, datetime
from typing import Any

import pytest

from kubectl_scim.scimwebhook import ScimWebhook
from support.installation_objects import scimwebhook
from support.scimtoken_objects import condition


def test_it_says_what_waits_and_since_when_it_fails() -> None:
    one = ScimWebhook(
        scimwebhook(
            condition("Delivering", "False", "Failing", "503"),
            backlog={"events": 42},
            failingSince="2026-11-30T11:00:00Z",
            lastDeliveredAt="2026-11-30T10:00:00Z",
        )
    )
    assert (one.namespace, one.name, one.tenant, one.waiting) == ("team", "app", "entra", 42)
    assert one.failing_since == datetime(2026, 11, 30, 11, tzinfo=UTC)
    assert one.last_delivered_at == datetime(2026, 11, 30, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("body", "subjects"),
    [
        (scimwebhook(), []),
        (scimwebhook(condition("Ready", "False", "TenantNotFound")), ["ScimWebhook app: TenantNotFound"]),
        (scimwebhook(condition("Delivering", "False", "Failing")), ["ScimWebhook app: Failing"]),
        (scimwebhook(condition("Delivering", "Unknown", "Pending")), []),
        (scimwebhook(condition("Delivering", "False", "Suspended"), spec={"suspend": True}), []),
        (scimwebhook(observedGeneration=0), ["ScimWebhook app"]),
        ({"metadata": {"name": "app"}}, ["ScimWebhook app"]),
        (
            {
                "metadata": {"name": "app"},
                "status": {"conditions": [7], "backlog": 7, "observedGeneration": "x"},
            },
            ["ScimWebhook app"],
        ),
    ],
)
def test_what_is_wrong_is_told_with_what_to_type_next(body: Any, subjects: list[str]) -> None:
    problems = ScimWebhook(body).problems
    assert [one.subject for one in problems] == subjects
    assert all(one.command for one in problems)


@pytest.mark.parametrize(
    ("body", "severity"),
    [(scimwebhook(observedGeneration=0), "warning"), ({"metadata": {"name": "app"}}, "error")],
)
def test_one_that_no_operator_has_seen_is_worse_than_one_that_was_changed(body: Any, severity: str) -> None:
    assert [one.severity for one in ScimWebhook(body).problems] == [severity]


@pytest.mark.parametrize(
    ("body", "tenant"),
    [
        ({"metadata": {"name": "app"}}, "app"),
        ({"metadata": {"name": "app"}, "spec": {"tenant": "a"}}, "a"),
        ({"metadata": {"name": "app"}, "spec": {"tenant": "a"}, "status": {"tenant": "b"}}, "b"),
    ],
)
def test_its_tenant_is_the_one_in_effect(body: Any, tenant: str) -> None:
    assert ScimWebhook(body).tenant == tenant

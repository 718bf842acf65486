"""What doctor makes of a ScimWebhook."""

from typing import Any

import pytest

from kubectl_scim.doctor.checks_webhook import webhook
from kubectl_scim.scimwebhook import ScimWebhook
from support.installation_objects import scimwebhook
from support.scimtoken_objects import condition


@pytest.mark.parametrize(
    ("body", "outcomes"),
    [
        (scimwebhook(), ["passed", "passed"]),
        (scimwebhook(condition("Delivering", "False", "Failing", "500")), ["passed", "failed"]),
        (scimwebhook(condition("Delivering", "Unknown", "Pending", "soon")), ["passed", "not checkable"]),
        (scimwebhook(condition("Ready", "False", "TenantNotFound", "none")), ["failed", "passed"]),
        (
            scimwebhook(condition("Delivering", "False", "Suspended", "by spec"), spec={"suspend": True}),
            ["passed", "passed"],
        ),
        ({"metadata": {"name": "app", "namespace": "team"}}, ["not checkable", "not checkable"]),
    ],
)
def test_it_passes_when_it_is_ready_and_delivers_or_is_suspended_on_purpose(
    body: Any, outcomes: list[str]
) -> None:
    assert [one.outcome for one in webhook(ScimWebhook(body))] == outcomes


def test_a_failure_says_what_to_type_next() -> None:
    body = scimwebhook(condition("Delivering", "False", "NotDispatched", "no process"))
    assert [one.remedy for one in webhook(ScimWebhook(body))] == [
        None,
        "kubectl get pods -A -l app.kubernetes.io/part-of=scim-operator,app.kubernetes.io/component=deliver",
    ]

"""What is done next about a ScimWebhook; what comes of it is in the reconciler's tests."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scim_api.contract.signing_secret import new_secret, secret_id
from scim_api.contract.webhooks import SigningSecretStatus, Webhook
from scim_operator.api.scimwebhook import ANSWERED_ROTATE_ANNOTATION, REDELIVER_FROM_ANNOTATION, ScimWebhook
from scim_operator.planning.ports import SecretSnapshot
from scim_operator.planning.webhooks import plan

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
SECRET, NEXT = new_secret(), new_secret()
KEY_ID = "a" * 16


def webhook(annotations: dict[str, str] | None = None, **spec: Any) -> ScimWebhook:
    return ScimWebhook.from_object(
        {
            "metadata": {"name": "app", "namespace": "team", "uid": "u-1", "annotations": annotations or {}},
            "spec": {"tenant": "contoso", "url": "https://app.example/hook", **spec},
        }
    )


def api(*secrets: str, **fields: Any) -> Webhook:
    known = {
        "exists": True,
        "tenant": "contoso",
        "url": "https://app.example/hook",
        "content": "Thin",
        "timeout_seconds": 15,
        "owner_uid": "u-1",
        "secrets": tuple(
            SigningSecretStatus(id=secret_id(one), key_id=KEY_ID, issued_at=NOW) for one in secrets
        ),
    }
    return Webhook(**{"namespace": "team", "name": "app", "revision": "1.1", "now": NOW, **known, **fields})


def secret(data: dict[str, str], **fields: Any) -> SecretSnapshot:
    labels = {"app.kubernetes.io/managed-by": "scim-operator", "scim-operator.io/webhook": "app"}
    return SecretSnapshot(
        **{
            "name": "app-scim-webhook",
            "resource_version": "1",
            "owned": True,
            "data": data,
            "labels": labels,
            "annotations": {},
            **fields,
        }
    )


def planned(one: ScimWebhook, there: Webhook, held: SecretSnapshot | None) -> plan.Action:
    return plan.plan(plan.Observed(one, there, held, KEY_ID))


PUBLISHED = {"signing-secret": SECRET}


@pytest.mark.parametrize(
    ("one", "there", "held", "expected"),
    [
        (webhook(), api(exists=False), None, plan.MakeSecret),
        (webhook(), api(exists=False), secret({"next-signing-secret": NEXT}), plan.Put),
        (webhook(), api(NEXT), secret({"next-signing-secret": NEXT}), plan.WriteSecret),
        (webhook(), api(SECRET), secret(PUBLISHED), plan.Done),
        (webhook(), api(SECRET, NEXT), secret(PUBLISHED), plan.Put),
        (webhook(), api(), secret(PUBLISHED), plan.Put),
        (webhook(), api(SECRET), secret({**PUBLISHED, "password": "x"}), plan.WriteSecret),
        (webhook(), api(SECRET), secret(PUBLISHED, labels={}), plan.WriteSecret),
        (webhook(tenant="fabrikam"), api(SECRET), secret(PUBLISHED), plan.Delete),
        (webhook(url="https://b.example/"), api(SECRET), secret(PUBLISHED), plan.Put),
        (webhook(types=["user.created"]), api(SECRET), secret(PUBLISHED), plan.Put),
        (webhook(suspend=True), api(SECRET), secret(PUBLISHED), plan.Put),
        (webhook(timeout="1m"), api(SECRET), secret(PUBLISHED), plan.Put),
        (webhook(), api(SECRET, owner_uid="u-0"), secret(PUBLISHED), plan.Put),
        (webhook(), api(SECRET), secret(PUBLISHED, deleting=True), plan.Refuse),
        (webhook(), api(SECRET), secret(PUBLISHED, owned=False, former_owner=True, labels={}), plan.Refuse),
        (webhook(), api(SECRET), secret(PUBLISHED, owned=False, former_owner=True), plan.DeleteSecret),
        (webhook(), api(SECRET), secret(PUBLISHED, owned=False), plan.AdoptSecret),
        (webhook(), api(SECRET), secret(PUBLISHED, owned=False, controller="ConfigMap x"), plan.Refuse),
        (webhook({"scim-operator.io/rotate": "1"}), api(SECRET), secret(PUBLISHED), plan.MakeSecret),
        (webhook({"scim-operator.io/test": "1"}), api(SECRET), secret(PUBLISHED), plan.Put),
        (webhook({"scim-operator.io/test": "1"}), api(SECRET, ping="1"), secret(PUBLISHED), plan.Done),
        (webhook(rotateAfter="fortnight"), api(SECRET), secret(PUBLISHED), plan.Refuse),
    ],
)
def test_the_next_action_follows_from_what_is_so(
    one: ScimWebhook, there: Webhook, held: SecretSnapshot | None, expected: type[plan.Action]
) -> None:
    assert isinstance(planned(one, there, held), expected)


def test_a_request_that_was_answered_rotates_no_more() -> None:
    held = secret(PUBLISHED, annotations={ANSWERED_ROTATE_ANNOTATION: "1"})
    assert isinstance(planned(webhook({"scim-operator.io/rotate": "1"}), api(SECRET), held), plan.Done)


def test_nothing_is_made_while_one_is_pending() -> None:
    held = secret({**PUBLISHED, "next-signing-secret": NEXT})
    step = planned(webhook({"scim-operator.io/rotate": "2"}), api(SECRET), held)
    assert isinstance(step, plan.Put)


def test_it_is_done_until_the_secret_is_too_old() -> None:
    assert planned(webhook(), api(SECRET), secret(PUBLISHED)) == plan.Done(NOW + timedelta(days=90))


def test_who_owns_a_foreign_secret_is_told() -> None:
    step = planned(webhook(), api(SECRET), secret(PUBLISHED, owned=False, controller="ConfigMap x"))
    assert isinstance(step, plan.Refuse)
    assert "(ConfigMap x)" in step.message
    assert step.reason == "SecretNotOwned"


def test_of_what_is_not_understood_three_fields_are_named() -> None:
    wrong = webhook(content=1, timeout="x", overlap="y", rotateAfter="z")
    step = planned(wrong, api(SECRET), secret(PUBLISHED))
    assert isinstance(step, plan.Refuse)
    assert step.message.count("spec.") == 3
    assert "and 1 more" in step.message


@pytest.mark.parametrize(
    ("text", "is_invalid"),
    [(None, False), ("2026-11-29T14:00:00Z", False), ("2026-11-29T14:00:00", True), ("soon", True)],
)
def test_a_redelivery_is_asked_for_by_a_time_with_its_zone(text: str | None, is_invalid: bool) -> None:
    one = webhook({} if text is None else {REDELIVER_FROM_ANNOTATION: text})
    assert plan.is_redelivery_invalid(one) is is_invalid
    assert (plan.redelivery_of(one) is None) is (is_invalid or text is None)

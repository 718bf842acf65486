"""What a reconcile makes of a ScimWebhook, against a world in memory."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
import structlog

from scim_api.contract.signing_secret import is_signing_secret, new_secret, secret_id
from scim_operator.api.custom_object import ROTATE_ANNOTATION
from scim_operator.api.scimwebhook import REDELIVER_FROM_ANNOTATION, TEST_ANNOTATION
from scim_operator.controller.deletions import Deletions
from scim_operator.controller.workqueue import Result
from scim_operator.planning.deletion_limit import SETTLE, DeletionLimit
from scim_operator.planning.ports import KubernetesRejected, ScimApiRejected, ScimApiUnreachable
from scim_operator.planning.webhooks.signing_secrets import MAX_SUPERSEDED
from support.webhook_reconciling import reconciler
from support.webhook_world import KEY, NAME, NOW, WebhookWorld, key_name, stored_secret


@pytest.fixture
def world() -> WebhookWorld:
    world = WebhookWorld()
    world.apply()
    return world


def run(world: WebhookWorld, name: str = "first", **more: Any) -> Result:
    return asyncio.run(reconciler(world, name, **more).reconcile(KEY))


def condition(world: WebhookWorld, kind: str) -> tuple[str, str]:
    found = world.webhook.status.condition(kind)
    assert found is not None
    return found.status, found.reason


def test_a_new_one_yields_a_secret_that_messages_are_signed_with(world: WebhookWorld) -> None:
    result = run(world)
    assert world.shown is not None and is_signing_secret(world.shown)
    assert world.signs_with(world.shown)
    assert world.opened(world.shown) == world.shown
    assert world.secrets[NAME].data.keys() == {"signing-secret"}
    assert condition(world, "Ready") == ("True", "Ready")
    assert condition(world, "Delivering") == ("True", "Delivering")
    assert result.requeue_after == timedelta(days=90)


def test_a_second_reconcile_changes_nothing_and_writes_nothing(world: WebhookWorld) -> None:
    run(world)
    before, writes = world.fingerprint(), world.status_writes
    run(world, "second")
    assert (world.fingerprint(), world.status_writes) == (before, writes)


def test_what_it_is_sent_and_how_follows_the_spec(world: WebhookWorld) -> None:
    run(world)
    world.apply(
        url="https://other.example/", types=["user.deactivated"], content="Full", timeout="30s", suspend=True
    )
    run(world)
    assert world.registered is not None
    put = world.registered.put
    assert (put.url, put.types, put.content, put.timeout_seconds, put.suspended) == (
        "https://other.example/",
        ("user.deactivated",),
        "Full",
        30,
        True,
    )
    assert condition(world, "Delivering") == ("False", "Suspended")


def test_a_secret_is_replaced_in_time_and_the_one_before_signs_on_for_the_overlap(
    world: WebhookWorld,
) -> None:
    run(world)
    first = world.shown
    assert first is not None
    world.now = NOW + timedelta(days=90)
    run(world, "second")
    second = world.shown
    assert second is not None and second != first
    assert world.signs_with(first) and world.signs_with(second)
    assert ("Normal", "Rotated") in [event[:2] for event in world.events]
    world.now += timedelta(days=7)
    run(world, "third")
    assert world.shown == second
    assert world.signs_with(second) and not world.signs_with(first)


def test_with_never_no_secret_gets_too_old(world: WebhookWorld) -> None:
    world.apply(rotateAfter="never")
    assert run(world).requeue_after is None
    first, world.now = world.shown, NOW + timedelta(days=4000)
    run(world)
    assert world.shown == first


def test_the_annotation_rotates_once_for_each_value(world: WebhookWorld) -> None:
    run(world)
    world.annotate(ROTATE_ANNOTATION, "now")
    run(world, "second")
    shown = world.shown
    assert shown is not None and "second0" in shown
    run(world, "third")
    assert world.shown == shown
    world.annotate(ROTATE_ANNOTATION, "again")
    run(world, "fourth")
    assert world.shown != shown


def test_of_many_rotations_within_one_overlap_the_newest_sign_on(world: WebhookWorld) -> None:
    shown: list[str] = []
    for number in range(MAX_SUPERSEDED + 3):
        world.annotate(ROTATE_ANNOTATION, str(number))
        world.now += timedelta(minutes=1)
        run(world, f"r{number}")
        assert world.shown is not None
        shown.append(world.shown)
    signing = [world.signs_with(secret) for secret in shown]
    assert signing == [False, False, *[True] * (MAX_SUPERSEDED + 1)]


def test_a_secret_that_was_deleted_is_made_anew_and_the_lost_one_signs_on(world: WebhookWorld) -> None:
    run(world)
    lost = world.shown
    assert lost is not None
    del world.secrets[NAME]
    run(world, "second")
    assert world.shown not in (None, lost)
    assert world.shown is not None and world.signs_with(world.shown) and world.signs_with(lost)


def test_a_signing_secret_that_somebody_put_there_is_taken(world: WebhookWorld) -> None:
    run(world)
    own = new_secret()
    world.secrets[NAME].data["signing-secret"] = own
    world.secrets[NAME].version += 1
    run(world, "second")
    assert world.shown == own
    assert world.signs_with(own)
    assert world.opened(own) == own


@pytest.mark.parametrize("text", ["", "whsec_short", "hunter2"])
def test_a_signing_secret_that_is_none_is_replaced(world: WebhookWorld, text: str) -> None:
    run(world)
    world.secrets[NAME].data["signing-secret"] = text
    run(world, "second")
    assert world.shown is not None and world.signs_with(world.shown)


def test_what_others_put_into_the_secret_goes_and_labels_come_back(world: WebhookWorld) -> None:
    world.apply(secret={"labels": {"team": "hr"}})
    run(world)
    world.secrets[NAME].data["password"] = "x"
    world.secrets[NAME].labels.clear()
    run(world)
    assert world.secrets[NAME].data.keys() == {"signing-secret"}
    assert world.secrets[NAME].labels["team"] == "hr"


def test_a_foreign_secret_is_not_touched(world: WebhookWorld) -> None:
    world.secrets[NAME] = stored_secret({"signing-secret": new_secret()}, ours=False)
    before = dict(world.secrets[NAME].data)
    result = run(world)
    assert result.requeue
    assert world.secrets[NAME].data == before
    assert condition(world, "Ready") == ("False", "SecretNotOwned")
    assert condition(world, "Stalled") == ("True", "SecretNotOwned")
    assert world.registered is None


def test_a_secret_that_came_back_from_a_backup_is_adopted_where_messages_are_signed_with_it(
    world: WebhookWorld,
) -> None:
    run(world)
    kept = world.shown
    assert kept is not None
    world.delete()
    world.secrets[NAME] = stored_secret({"signing-secret": kept})
    world.apply()
    run(world, "second")
    assert world.shown == kept
    assert world.secrets[NAME].owner == "webhook-2"
    assert world.signs_with(kept)


def test_a_secret_of_ours_with_another_content_is_not_adopted(world: WebhookWorld) -> None:
    run(world)
    world.delete()
    world.secrets[NAME] = stored_secret({"signing-secret": new_secret()})
    world.apply()
    run(world)
    assert condition(world, "Ready") == ("False", "SecretNotOwned")


def test_when_the_database_is_lost_too_a_secret_that_came_back_is_adopted(world: WebhookWorld) -> None:
    kept = new_secret()
    world.secrets[NAME] = stored_secret({"signing-secret": kept})
    run(world)
    assert world.shown == kept
    assert world.signs_with(kept)
    assert world.secrets[NAME].owner == "webhook-1"


def test_when_the_database_is_lost_it_has_the_webhook_and_its_secret_again(world: WebhookWorld) -> None:
    run(world)
    world.registered = None
    shown = world.shown
    run(world, "second")
    assert world.shown == shown
    assert shown is not None and world.signs_with(shown)


def test_a_secret_of_an_earlier_one_is_deleted_and_its_signing_secret_signs_on(world: WebhookWorld) -> None:
    run(world)
    kept = world.shown
    assert kept is not None
    world.delete()
    world.secrets[NAME] = stored_secret({"signing-secret": kept}, owner="webhook-1")
    world.apply()
    run(world, "second")
    assert world.shown is not None and world.shown != kept
    assert world.signs_with(kept) and world.signs_with(world.shown)


def test_when_the_dispatcher_has_another_key_what_it_signs_with_is_sealed_to_that(
    world: WebhookWorld,
) -> None:
    run(world)
    shown = world.shown
    assert shown is not None
    world.key = 1
    run(world)
    assert world.registered is not None
    assert world.registered.secrets[secret_id(shown)].key_id == key_name(1)
    assert world.opened(shown) == shown


def test_a_ping_is_asked_for_once_for_each_value(world: WebhookWorld) -> None:
    world.annotate(TEST_ANNOTATION, "one")
    run(world)
    run(world)
    world.annotate(TEST_ANNOTATION, "two")
    run(world)
    assert world.pings == ["one", "two"]
    assert world.webhook.status.answered_test == "two"


def test_a_redelivery_is_asked_for_once_for_each_value(world: WebhookWorld) -> None:
    run(world)
    world.annotate(REDELIVER_FROM_ANNOTATION, "2026-11-29T14:00:00+01:00")
    run(world)
    run(world)
    assert world.redeliveries == ["2026-11-29T13:00:00+00:00"]
    assert world.webhook.status.answered_redeliver_from == "2026-11-29T14:00:00+01:00"


@pytest.mark.parametrize("text", ["yesterday", "2026-11-29T14:00:00", "0001-01-01T00:00:00+23:00"])
def test_a_redelivery_from_no_time_is_told_once_and_nothing_else_waits(
    world: WebhookWorld, text: str
) -> None:
    run(world)
    world.annotate(REDELIVER_FROM_ANNOTATION, text)
    run(world)
    run(world)
    assert world.redeliveries == []
    assert [event[1] for event in world.events].count("InvalidRedeliverFrom") == 1
    assert condition(world, "Ready") == ("True", "Ready")


def test_when_it_is_gone_the_api_forgets_it(world: WebhookWorld) -> None:
    run(world)
    world.delete()
    run(world)
    assert world.registered is None


def test_one_that_is_being_deleted_is_sent_nothing_more(world: WebhookWorld) -> None:
    run(world)
    assert world.object is not None
    world.object["metadata"]["deletionTimestamp"] = "2026-11-30T12:00:00Z"
    run(world)
    assert world.registered is None


def test_of_many_that_vanish_none_is_forgotten_at_once(world: WebhookWorld) -> None:
    run(world)
    world.delete()
    deletions = Deletions(DeletionLimit(0, 0), timedelta(hours=1), now=lambda: world.now)
    assert run(world, deletions=deletions).requeue_after == SETTLE
    world.now += SETTLE
    assert run(world, deletions=deletions).requeue_after == timedelta(hours=1) - SETTLE
    assert world.registered is not None
    assert deletions.held == {KEY}
    world.apply()
    run(world, deletions=deletions)
    assert deletions.held == frozenset()


def test_one_that_was_made_by_hand_is_left_alone(world: WebhookWorld) -> None:
    run(world)
    world.delete()
    assert world.registered is not None
    world.registered.put = world.registered.put.model_copy(update={"owner_uid": None})
    run(world)
    assert world.registered is not None


def test_another_object_of_the_name_with_another_tenant_begins_anew(world: WebhookWorld) -> None:
    run(world)
    world.delete()
    world.tenants.add("fabrikam")
    world.apply(tenant="fabrikam")
    run(world, "second")
    assert world.registered is not None
    assert (world.registered.number, world.registered.put.tenant) == (2, "fabrikam")
    assert condition(world, "Ready") == ("True", "Ready")


def test_a_tenant_that_is_not_there_yet_is_waited_for(world: WebhookWorld) -> None:
    world.tenants.clear()
    assert run(world).requeue
    assert condition(world, "Ready") == ("False", "TenantNotFound")
    assert world.webhook.status.condition("Stalled") is None
    assert condition(world, "Delivering") == ("Unknown", "NotRegistered")
    world.tenants.add("contoso")
    run(world)
    assert condition(world, "Ready") == ("True", "Ready")


def test_while_the_api_does_not_answer_the_status_keeps_what_it_knew(world: WebhookWorld) -> None:
    run(world)
    world.refuse = ScimApiUnreachable("the SCIM API does not answer")
    before = world.webhook.status
    assert run(world).requeue
    assert condition(world, "Ready") == ("Unknown", "ScimApiUnreachable")
    after = world.webhook.status
    assert (after.secrets, after.secret_name) == (before.secrets, before.secret_name)
    assert condition(world, "Delivering") == ("True", "Delivering")


def test_an_api_without_webhooks_is_told(world: WebhookWorld) -> None:
    world.refuse = ScimApiRejected("WebhooksUnsupported", "upgrade it")
    run(world)
    assert condition(world, "Ready") == ("False", "WebhooksUnsupported")


def test_a_spec_of_a_newer_version_changes_nothing(world: WebhookWorld) -> None:
    run(world)
    before, secret = world.registered, world.shown
    world.apply(content="Compressed")
    run(world)
    assert (world.registered, world.shown) == (before, secret)
    assert condition(world, "Ready") == ("False", "NotUnderstood")


def test_denied_labels_are_left_out_and_told(world: WebhookWorld) -> None:
    world.apply(secret={"labels": {"mirror.example/to": "all", "team": "hr"}})
    run(world, denied_metadata=("mirror.example",))
    assert "mirror.example/to" not in world.secrets[NAME].labels
    assert condition(world, "SecretMetadataDenied") == ("True", "Denied")


def test_one_without_a_process_that_delivers_it_is_looked_at_soon_and_told_after_a_while(
    world: WebhookWorld,
) -> None:
    run(world)
    assert world.registered is not None
    world.registered.told["is_dispatched"] = False
    assert run(world).requeue_after == timedelta(seconds=3)
    assert condition(world, "Delivering") == ("Unknown", "Pending")
    world.now += timedelta(seconds=31)
    run(world)
    assert condition(world, "Delivering") == ("False", "NotDispatched")
    world.now += timedelta(seconds=1)
    run(world)
    assert condition(world, "Delivering") == ("False", "NotDispatched")


def test_no_secret_is_in_status_or_events_or_log(world: WebhookWorld) -> None:
    with structlog.testing.capture_logs() as lines:
        for number in range(3):
            world.annotate(ROTATE_ANNOTATION, str(number))
            run(world, f"r{number}")
        world.refuse = KubernetesRejected("no")
        run(world)
    said = repr((world.object, world.events, lines))
    assert all(secret not in said and secret.removeprefix("whsec_") not in said for secret in world.published)

"""What an owner does with a webhook, and what is said of it; on both databases."""

from datetime import UTC, datetime, timedelta

import pytest

from scim_api.store.errors import NamespaceMismatch, TenantImmutable, UnknownTenant, WebhookExists
from scim_api.store.protocol import Store
from scim_api.store.sql.timestamps import to_text
from scim_api.store.webhooks import (
    AttemptResults,
    FailedAttempt,
    SealedSecret,
    WebhookSettings,
    WebhookStatus,
)
from support.database import run_sql
from support.webhooks import KEEP, NAME, NAMESPACE, SECRET, Dispatched, add_user, add_webhook

SECOND = SealedSecret("v1.kid.second")


async def status(store: Store, name: str = NAME, keep: timedelta = KEEP) -> WebhookStatus:
    found = await store.webhooks.status(NAMESPACE, name, keep)
    assert found is not None
    return found


async def test_a_webhook_is_read_as_it_was_made(store: Store, tenant: int) -> None:
    settings = WebhookSettings(
        "contoso", "https://app.example/hook", frozenset({"user.created", "user.deleted"}), "Full", 20
    )
    await store.webhooks.create(NAMESPACE, NAME, settings, SECRET)
    found = await status(store)
    assert (found.settings, found.secrets) == (settings, (SECRET,))
    assert (found.backlog, found.backlog_seconds, found.retrying) == (0, 0, 0)
    assert await store.webhooks.statuses(KEEP) == [found]


async def test_its_name_is_its_own(store: Store, tenant: int) -> None:
    await add_webhook(store)
    with pytest.raises(WebhookExists):
        await add_webhook(store)


async def test_it_needs_a_tenant_of_its_namespace_that_is_the_same_namespace_still(
    store: Store, tenant: int
) -> None:
    with pytest.raises(UnknownTenant):
        await add_webhook(store, tenant="fabrikam")
    settings = WebhookSettings("contoso", "https://app.example")
    with pytest.raises(UnknownTenant):
        await store.webhooks.create("other", NAME, settings, SECRET)
    await run_sql(store.url, "UPDATE tenant SET namespace_uid = 'gone'")
    with pytest.raises(NamespaceMismatch):
        await store.webhooks.create(NAMESPACE, NAME, settings, SECRET, namespace_uid="new")


async def test_it_can_be_changed_but_for_its_tenant(store: Store, tenant: int) -> None:
    await add_webhook(store)
    wanted = WebhookSettings(
        "contoso", "https://new.example", frozenset({"user.created"}), "Full", 30, suspended=True
    )
    assert await store.webhooks.update(NAMESPACE, NAME, wanted)
    assert (await status(store)).settings == wanted
    with pytest.raises(TenantImmutable):
        await store.webhooks.update(NAMESPACE, NAME, WebhookSettings("fabrikam", "https://new.example"))


async def test_a_rotated_secret_leaves_the_one_before_for_the_overlap(store: Store, tenant: int) -> None:
    await add_webhook(store)
    before = datetime.now(UTC)
    assert await store.webhooks.replace_secret(NAMESPACE, NAME, SECOND, timedelta(hours=1))
    current, former = (await status(store)).secrets
    assert (current, former.sealed) == (SECOND, SECRET.sealed)
    assert former.until is not None
    assert timedelta(minutes=59) < former.until - before < timedelta(minutes=61)
    third = SealedSecret("v1.kid.third")
    assert await store.webhooks.replace_secret(NAMESPACE, NAME, third, timedelta())
    assert (await status(store)).secrets == (third,)


async def test_what_does_not_exist_can_not_be_changed(store: Store, tenant: int) -> None:
    webhooks, wanted = store.webhooks, WebhookSettings("contoso", "https://app.example")
    assert await webhooks.status(NAMESPACE, NAME, KEEP) is None
    assert not await webhooks.update(NAMESPACE, NAME, wanted)
    assert not await webhooks.replace_secret(NAMESPACE, NAME, SECRET, timedelta())
    assert not await webhooks.resume(NAMESPACE, NAME)
    assert await webhooks.ping(NAMESPACE, NAME) is None
    assert not await webhooks.redeliver(NAMESPACE, NAME, datetime.now(UTC))
    assert not await webhooks.delete(NAMESPACE, NAME)


async def test_a_deleted_one_takes_its_deliveries_along(store: Store, tenant: int) -> None:
    webhook, one = await add_webhook(store), Dispatched(store)
    await add_user(store, tenant, "ada")
    await one.lease()
    assert await one.due(webhook)
    assert await store.webhooks.delete(NAMESPACE, NAME)
    assert await run_sql(store.url, "SELECT count(*) FROM webhook_delivery") == [(0,)]
    assert await one.turn(webhook) is None


async def test_the_backlog_counts_what_is_queued_and_what_is_in_the_log(store: Store, tenant: int) -> None:
    webhook, one = await add_webhook(store), Dispatched(store)
    await one.lease()
    await add_user(store, tenant, "ada")
    await one.due(webhook)
    await add_user(store, tenant, "bob")
    found = await status(store)
    assert found.backlog == 2
    assert found.backlog_seconds > 0
    assert found.loses_events_at is None


async def test_it_is_said_a_week_before_when_changes_will_be_lost(store: Store, tenant: int) -> None:
    await add_webhook(store)
    await add_user(store, tenant, "ada")
    assert (await status(store, keep=timedelta(days=8))).loses_events_at is None
    soon = (await status(store, keep=timedelta(days=6))).loses_events_at
    assert soon is not None
    assert timedelta(days=5, hours=23) < soon - datetime.now(UTC) <= timedelta(days=6)


async def test_resume_ends_a_stop_and_has_what_failed_tried_at_once(store: Store, tenant: int) -> None:
    webhook, one = await add_webhook(store), Dispatched(store)
    await add_user(store, tenant, "ada")
    await one.lease()
    [due] = await one.due(webhook)
    failed = FailedAttempt(due.change, 3600)
    assert (
        await one.turn(
            webhook,
            AttemptResults(
                failed=[failed], failure="HTTP 410", pause_level=3, pause_seconds=60, is_stopped=True
            ),
        )
        is None
    )
    found = await status(store)
    assert (found.failure, found.retrying) == ("HTTP 410", 1)
    assert None not in {found.stopped_at, found.retry_at, found.failing_since, found.last_attempt_at}
    assert await store.webhooks.resume(NAMESPACE, NAME)
    await one.lease()
    assert [again.change for again in await one.due(webhook)] == [due.change]
    found = await status(store)
    assert (found.stopped_at, found.retry_at) == (None, None)


async def test_a_ping_is_a_delivery_of_its_own(store: Store, tenant: int) -> None:
    webhook, one = await add_webhook(store, types=frozenset({"user.deleted"})), Dispatched(store)
    message_id = await store.webhooks.ping(NAMESPACE, NAME)
    await one.lease()
    [due] = await one.due(webhook)
    assert (due.type, due.message_id, due.data) == (
        "ping", message_id, f'{{"id":"{message_id}","webhook":"apps/app"}}',
    )  # fmt: skip


async def test_redelivery_begins_at_a_moment_and_keeps_ids(store: Store, tenant: int) -> None:
    webhook, one = await add_webhook(store), Dispatched(store)
    await one.lease()
    for name in ("ada", "bob", "eve"):
        await add_user(store, tenant, name)
    first = await one.all_due(webhook)
    assert len(first) == 3
    moment = datetime.now(UTC) - timedelta(hours=2)
    await run_sql(
        store.url, f"UPDATE change SET at = '{to_text(moment)}' WHERE resource_id = '{first[0].resource}'"
    )
    assert await store.webhooks.redeliver(NAMESPACE, NAME, moment + timedelta(hours=1))
    again = await one.all_due(webhook)
    assert [delivery.message_id for delivery in again] == [delivery.message_id for delivery in first[1:]]
    assert await store.webhooks.redeliver(NAMESPACE, NAME, datetime(2020, 1, 1, tzinfo=UTC))
    assert len(await one.all_due(webhook)) == 3

"""What is done with a webhook by hand; on both databases."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from scim_api.store.errors import NamespaceMismatch, TenantPurging, UnknownTenant, WebhookExists
from scim_api.store.protocol import Store
from scim_api.store.sql.timestamps import to_text
from scim_api.store.webhooks import AttemptResults, FailedAttempt, SealedSecret, WebhookSettings
from support.change_rows import ChangeRow, add_change_row
from support.database import run_sql
from support.webhooks import NAME, NAMESPACE, SECRET, Dispatched, add_user, add_webhook, webhook_of

SECOND = SealedSecret("v1.kid.second", id="2" * 16)


async def test_a_webhook_is_read_as_it_was_made(store: Store, tenant: int) -> None:
    settings = WebhookSettings(
        "contoso", "https://app.example/hook", frozenset({"user.created", "user.deleted"}), "Full", 20
    )
    await store.webhooks.create(NAMESPACE, NAME, settings, SECRET)
    found = await webhook_of(store)
    assert (found.tenant, found.url, found.types, found.content, found.timeout_seconds, found.suspended) == (
        "contoso", "https://app.example/hook", ("user.created", "user.deleted"), "Full", 20, False,
    )  # fmt: skip
    [secret] = found.secrets
    assert (secret.id, secret.key_id, secret.until) == (SECRET.id, "kid", None)
    assert secret.issued_at is not None
    assert found.now - timedelta(minutes=1) < secret.issued_at <= found.now
    assert (found.owner_uid, found.ping, found.redelivery) == (None, None, None)


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
    await run_sql(store.url, "UPDATE tenant SET state = 'purging'")
    with pytest.raises(TenantPurging):
        await store.webhooks.create(NAMESPACE, NAME, settings, SECRET)


async def test_a_rotated_secret_leaves_the_one_before_for_the_overlap(store: Store, tenant: int) -> None:
    await add_webhook(store)
    before = datetime.now(UTC)
    assert await store.webhooks.replace_secret(NAMESPACE, NAME, SECOND, timedelta(hours=1))
    current, former = (await webhook_of(store)).secrets
    assert (current.id, current.until, former.id) == (SECOND.id, None, SECRET.id)
    assert former.until is not None
    assert timedelta(minutes=59) < former.until - before < timedelta(minutes=61)
    third = SealedSecret("v1.kid.third", id="3" * 16)
    assert await store.webhooks.replace_secret(NAMESPACE, NAME, third, timedelta())
    assert [one.id for one in (await webhook_of(store)).secrets] == [third.id]


async def test_what_does_not_exist_can_not_be_changed(store: Store, tenant: int) -> None:
    webhooks = store.webhooks
    assert not await webhooks.suspend(NAMESPACE, NAME)
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
    found = await webhook_of(store)
    assert (found.failure, found.backlog.retrying) == ("HTTP 410", 1)
    assert None not in {found.stopped_at, found.retry_at, found.failing_since, found.last_attempt_at}
    assert await store.webhooks.resume(NAMESPACE, NAME)
    await one.lease()
    assert [again.change for again in await one.due(webhook)] == [due.change]
    found = await webhook_of(store)
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


async def test_a_redelivery_leaves_nothing_out_that_was_not_read_yet(store: Store, tenant: int) -> None:
    webhook, one = await add_webhook(store), Dispatched(store)
    await one.lease()
    old = to_text(datetime.now(UTC) - timedelta(hours=3))
    await add_change_row(store, ChangeRow(old, tenant, "user.created", "u1"))
    assert await store.webhooks.redeliver(NAMESPACE, NAME, datetime.now(UTC))
    assert [due.resource for due in await one.all_due(webhook)] == ["u1"]


@pytest.mark.parametrize(
    "since",
    [
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
        datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-14))),
        datetime(2020, 1, 1),  # noqa: DTZ001 - without a zone it is UTC
    ],
)
async def test_a_redelivery_begins_at_any_moment_that_can_be_written(
    store: Store, tenant: int, since: datetime
) -> None:
    webhook, one = await add_webhook(store), Dispatched(store)
    await add_user(store, tenant, "ada")
    assert await store.webhooks.redeliver(NAMESPACE, NAME, since)
    await one.lease()
    assert len(await one.all_due(webhook)) == 1

"""What is said of webhooks; on both databases."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from scim_api.contract.admin import UNKNOWN_REVISION
from scim_api.store.change_log import FeedPosition
from scim_api.store.feed_cursor import encode
from scim_api.store.protocol import Store
from scim_api.store.sql.webhook_status import read_page
from scim_api.store.webhooks import AttemptResults
from support.database import run_sql
from support.webhooks import KEEP, NAME, NAMESPACE, Dispatched, add_user, add_webhook, webhook_of


async def test_an_unknown_name_has_the_first_revision(store: Store, tenant: int) -> None:
    found = await store.webhooks.get(NAMESPACE, NAME, KEEP)
    assert (found.exists, found.revision, found.url) == (False, UNKNOWN_REVISION, None)
    assert abs(found.now - datetime.now(UTC)) < timedelta(minutes=1)


async def test_the_backlog_counts_what_is_queued_and_what_is_in_the_log(store: Store, tenant: int) -> None:
    webhook, one = await add_webhook(store), Dispatched(store)
    await one.lease()
    await add_user(store, tenant, "ada")
    await one.due(webhook)
    await add_user(store, tenant, "bob")
    found = await webhook_of(store)
    assert found.backlog.events == 2
    assert found.backlog.seconds > 0
    assert found.loses_events_at is None


async def test_it_is_said_a_week_before_when_changes_will_be_lost(store: Store, tenant: int) -> None:
    await add_webhook(store)
    await add_user(store, tenant, "ada")
    assert (await webhook_of(store, keep=timedelta(days=8))).loses_events_at is None
    soon = (await webhook_of(store, keep=timedelta(days=6))).loses_events_at
    assert soon is not None
    assert timedelta(days=5, hours=23) < soon - datetime.now(UTC) <= timedelta(days=6)


async def test_all_are_read_in_pages_by_namespace_and_name_as_each_is_read(store: Store, tenant: int) -> None:
    for name in ("a", "c", "b"):
        webhook = await add_webhook(store, name)
    await add_user(store, tenant, "ada")
    one = Dispatched(store)
    await one.lease()
    assert len(await one.due(webhook)) == 1
    await add_user(store, tenant, "bob")
    first = await store.webhooks.page(after=None, limit=2, keep=KEEP)
    last = await store.webhooks.page(after=first.next, limit=2, keep=KEEP)
    assert (first.next, last.next) == (f"{NAMESPACE}/b", None)
    items = [*first.items, *last.items]
    assert [item.name for item in items] == ["a", "b", "c"]
    assert [item.backlog.events for item in items] == [2, 2, 2]
    for item in items:
        alone = await webhook_of(store, item.name)
        same = {"now": item.now, "backlog": item.backlog}
        assert alone.model_copy(update=same) == item
        assert alone.backlog.model_copy(update={"seconds": item.backlog.seconds}) == item.backlog


async def test_without_webhooks_the_only_page_is_empty(store: Store, tenant: int) -> None:
    page = await store.webhooks.page(after=None, limit=2, keep=KEEP)
    assert (page.items, page.next) == ((), None)


async def test_a_full_page_is_counted(store: Store, tenant: int) -> None:
    for number in range(100):
        await add_webhook(store, f"w{number:03}")
    await add_user(store, tenant, "ada")
    page = await store.webhooks.page(after=None, limit=100, keep=KEEP)
    assert [item.backlog.events for item in page.items] == [1] * 100


def test_a_page_takes_three_queries_however_many_webhooks_it_has() -> None:
    row = (
        1,
        1,
        encode(FeedPosition(1, 0)),
        "ns",
        "name",
        1,
        "[]",
        *[None] * 12,
        "t",
        "https://x",
        "",
        "Thin",
        15,
        0,
    )
    for number in (1, 100):
        script = read_page(None, 100, KEEP, "2026-11-23T14:00:00.000000Z")
        asked, answer = [next(script).sql], [row] * number
        with pytest.raises(StopIteration):
            while True:
                asked.append(script.send(answer).sql)
                answer = []
        assert len(asked) == 3


async def test_secrets_that_the_release_before_wrote_have_no_id(store: Store, tenant: int) -> None:
    await add_webhook(store)
    stored = json.dumps(
        [
            {"sealed": "v1.kid.second", "until": None},
            {"sealed": "v1.kid.first", "until": "2100-01-01T00:00:00.000000Z"},
            {"sealed": "v1.kid.zeroth", "until": "2020-01-01T00:00:00.000000Z"},
        ]
    )
    await run_sql(store.url, f"UPDATE webhook SET secrets = '{stored}'")
    second, first = (await webhook_of(store)).secrets
    assert (second.id, second.key_id, second.issued_at, second.until) == ("", "kid", None, None)
    assert (first.id, first.until) == ("", datetime(2100, 1, 1, tzinfo=UTC))


async def test_it_is_said_whether_a_process_has_it(store: Store, tenant: int) -> None:
    await add_webhook(store)
    assert not (await webhook_of(store)).is_dispatched
    await Dispatched(store).lease()
    assert (await webhook_of(store)).is_dispatched
    await run_sql(store.url, "UPDATE webhook SET lease_until = '2020-01-01T00:00:00.000000Z'")
    assert not (await webhook_of(store)).is_dispatched


async def test_a_pause_that_is_over_is_not_told(store: Store, tenant: int) -> None:
    webhook, one = await add_webhook(store), Dispatched(store)
    await one.lease()
    await one.turn(webhook, AttemptResults(failure="TLS", pause_level=1, pause_seconds=60))
    assert (await webhook_of(store)).retry_at is not None
    await run_sql(store.url, "UPDATE webhook SET retry_at = '2020-01-01T00:00:00.000000Z'")
    found = await webhook_of(store)
    assert (found.retry_at, found.failure) == (None, "TLS")


async def test_deliveries_leave_the_revision_alone(store: Store, tenant: int) -> None:
    webhook, one = await add_webhook(store), Dispatched(store)
    before = (await webhook_of(store)).revision
    await add_user(store, tenant, "ada")
    await one.lease()
    assert len(await one.all_due(webhook)) == 1
    assert (await webhook_of(store)).revision == before

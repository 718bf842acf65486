"""A webhook as its operator wants it: the whole state in one write, at the revision it was decided on; on both databases."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from scim_api.contract.admin import UNKNOWN_REVISION
from scim_api.contract.webhooks import Webhook
from scim_api.store.errors import (
    NamespaceMismatch,
    RevisionMismatch,
    SigningSecretNotFound,
    TenantImmutable,
    TenantPurging,
    UnknownTenant,
)
from scim_api.store.protocol import Store
from support.database import run_sql
from support.webhooks import (
    ISSUED,
    KEEP,
    NAME,
    NAMESPACE,
    SECRET,
    Dispatched,
    add_user,
    add_webhook,
    leased,
    put,
    secret,
    wanted,
    webhook_of,
)

LATER = datetime(2100, 1, 1, tzinfo=UTC)
FIRST, SECOND = "a" * 16, "b" * 16


class TestState:
    async def test_a_new_one_is_answered_as_it_was_wanted(self, store: Store, tenant: int) -> None:
        desired = wanted(
            secret(),
            secret(SECOND, "v1.kid.second", until=LATER),
            types=["user.deleted", "user.created"],
            content="Full",
            timeoutSeconds=20,
            suspended=True,
        )
        answer = await put(store, desired, UNKNOWN_REVISION)
        assert answer == (await webhook_of(store)).model_copy(update={"now": answer.now})
        assert (answer.exists, answer.tenant, answer.url) == (True, "contoso", "https://app.example/hook")
        assert (answer.types, answer.content) == (("user.created", "user.deleted"), "Full")
        assert (answer.timeout_seconds, answer.suspended, answer.owner_uid) == (20, True, "owner")
        assert [(one.id, one.key_id, one.issued_at, one.until) for one in answer.secrets] == [
            (FIRST, "kid", ISSUED, None),
            (SECOND, "kid", ISSUED, LATER),
        ]
        assert (answer.ping, answer.redelivery, answer.is_dispatched) == (None, None, False)

    async def test_a_new_one_is_sent_what_is_committed_from_then_on(self, store: Store, tenant: int) -> None:
        await add_user(store, tenant, "before")
        webhook = await leased(store)
        made = await add_user(store, tenant, "after")
        assert [due.resource for due in await Dispatched(store).due(webhook)] == [made.id]

    async def test_the_same_again_changes_nothing(self, store: Store, tenant: int) -> None:
        desired = wanted(ping="p1", redelivery={"request": "r1", "since": ISSUED}, types=["user.created"])
        first = await put(store, desired)
        again = await put(store, desired)
        assert again.revision == first.revision
        assert await run_sql(store.url, "SELECT count(*) FROM webhook_delivery") == [(1,)]

    @pytest.mark.parametrize(
        "change",
        [
            {"url": "https://new.example"},
            {"types": ["user.created"]},
            {"content": "Full"},
            {"timeoutSeconds": 16},
            {"suspended": True},
            {"ownerUid": "another"},
            {"ping": "p"},
            {"redelivery": {"request": "r", "since": ISSUED}},
            {"secrets": [secret(), secret(SECOND, "v1.kid.second", until=LATER)]},
        ],
        ids=lambda change: next(iter(change)),
    )
    async def test_each_change_has_a_revision_of_its_own(
        self, store: Store, tenant: int, change: dict[str, Any]
    ) -> None:
        first = await put(store, wanted())
        second = await put(store, wanted(**change))
        assert second.revision != first.revision
        shown = second.model_dump(mode="json", by_alias=True)
        for name, value in change.items():
            if name == "redelivery":
                assert shown[name] == "r"
            elif name != "secrets":
                assert shown[name] == value

    async def test_one_that_was_made_by_hand_is_taken_over(self, store: Store, tenant: int) -> None:
        await add_webhook(store)
        await add_user(store, tenant, "ada")
        answer = await put(store, wanted())
        assert (answer.owner_uid, answer.backlog.events) == ("owner", 1)


class TestRevisions:
    async def test_a_write_that_was_decided_on_another_revision_changes_nothing(
        self, store: Store, tenant: int
    ) -> None:
        first = await put(store, wanted())
        second = await put(store, wanted(url="https://second.example"))
        for stale in (UNKNOWN_REVISION, first.revision, "", "1", "x"):
            with pytest.raises(RevisionMismatch):
                await put(store, wanted(url="https://third.example"), stale)
            with pytest.raises(RevisionMismatch):
                await store.webhooks.delete_at(NAMESPACE, NAME, if_match=stale)
        found = await webhook_of(store)
        assert (found.revision, found.url) == (second.revision, "https://second.example")

    async def test_a_revision_never_comes_back(self, store: Store, tenant: int) -> None:
        first = await put(store, wanted())
        gone = await store.webhooks.delete_at(NAMESPACE, NAME, if_match=first.revision)
        assert (gone.exists, gone.revision) == (False, UNKNOWN_REVISION)
        with pytest.raises(RevisionMismatch):
            await put(store, wanted(), first.revision)
        assert (await put(store, wanted())).revision != first.revision

    async def test_one_that_does_not_exist_is_deleted_at_the_first_revision(
        self, store: Store, tenant: int
    ) -> None:
        assert not (await store.webhooks.delete_at(NAMESPACE, NAME, if_match=UNKNOWN_REVISION)).exists
        with pytest.raises(RevisionMismatch):
            await store.webhooks.delete_at(NAMESPACE, NAME, if_match="1.1")

    @pytest.mark.parametrize("exists", [False, True])
    async def test_of_two_writes_at_one_revision_one_wins(
        self, store: Store, other: Store, tenant: int, exists: bool
    ) -> None:
        at = (await put(store, wanted())).revision if exists else UNKNOWN_REVISION
        answers = await asyncio.gather(
            put(store, wanted(url="https://one.example"), at),
            put(other, wanted(url="https://two.example"), at),
            return_exceptions=True,
        )
        [won] = [answer for answer in answers if isinstance(answer, Webhook)]
        [lost] = [answer for answer in answers if answer is not won]
        assert isinstance(lost, RevisionMismatch)
        assert (await webhook_of(store)).url == won.url


class TestTenants:
    async def test_it_needs_a_tenant_of_its_namespace(self, store: Store, tenant: int) -> None:
        with pytest.raises(UnknownTenant):
            await put(store, wanted(tenant="fabrikam"))
        with pytest.raises(UnknownTenant):
            await store.webhooks.put("other", NAME, wanted(), if_match=UNKNOWN_REVISION, keep=KEEP)

    async def test_it_keeps_its_tenant(self, store: Store, tenant: int) -> None:
        await put(store, wanted())
        with pytest.raises(TenantImmutable, match="contoso"):
            await put(store, wanted(tenant="fabrikam"))

    async def test_a_tenant_of_a_namespace_that_is_gone_is_refused_before_and_after(
        self, store: Store, tenant: int
    ) -> None:
        await run_sql(store.url, "UPDATE tenant SET namespace_uid = 'namespace'")
        await put(store, wanted())
        await run_sql(store.url, "UPDATE tenant SET namespace_uid = 'gone'")
        with pytest.raises(NamespaceMismatch):
            await put(store, wanted(url="https://new.example"))
        with pytest.raises(NamespaceMismatch):
            await put(store, wanted(), name="second")

    async def test_a_tenant_that_is_purged_gets_no_webhook_and_takes_its_own_along(
        self, store: Store, tenant: int
    ) -> None:
        first = await put(store, wanted())
        await run_sql(store.url, "UPDATE tenant SET state = 'purging'")
        with pytest.raises(TenantPurging):
            await put(store, wanted(), name="second")
        assert (await put(store, wanted(suspended=True))).suspended
        await store.purge()
        assert not (await store.webhooks.get(NAMESPACE, NAME, KEEP)).exists
        with pytest.raises(RevisionMismatch):
            await put(store, wanted(), first.revision)
        with pytest.raises(UnknownTenant):
            await put(store, wanted())


class TestSecrets:
    async def sealed(self, store: Store) -> list[str]:
        """What a dispatcher signs with."""
        one = Dispatched(store)
        [webhook] = await one.lease()
        turn = await one.turn(webhook)
        assert turn is not None
        return [one.sealed for one in turn.webhook.secrets]

    async def test_one_without_sealed_text_stays_and_one_that_is_not_listed_is_gone(
        self, store: Store, tenant: int
    ) -> None:
        await put(store, wanted(secret(FIRST, "v1.kid.first")))
        await put(store, wanted(secret(SECOND, "v1.kid.second"), secret(FIRST, None, until=LATER)))
        assert await self.sealed(store) == ["v1.kid.second", "v1.kid.first"]
        answer = await put(store, wanted(secret(SECOND, None)))
        assert [one.id for one in answer.secrets] == [SECOND]
        assert await self.sealed(store) == ["v1.kid.second"]

    async def test_the_times_of_one_that_stays_are_those_of_the_write(
        self, store: Store, tenant: int
    ) -> None:
        await put(store, wanted(secret(SECOND, "v1.kid.second"), secret(until=LATER)))
        answer = await put(store, wanted(secret(FIRST, None, issuedAt=LATER)))
        [kept] = answer.secrets
        assert (kept.issued_at, kept.until) == (LATER, None)

    async def test_sealed_text_takes_the_place_of_that_of_the_same_id(
        self, store: Store, tenant: int
    ) -> None:
        await put(store, wanted(secret(FIRST, "v1.old.x")))
        answer = await put(store, wanted(secret(FIRST, "v1.new.x")))
        assert [one.key_id for one in answer.secrets] == ["new"]
        assert await self.sealed(store) == ["v1.new.x"]

    async def test_one_that_has_ended_signs_no_more(self, store: Store, tenant: int) -> None:
        ended = secret(SECOND, until=datetime(2020, 1, 1, tzinfo=UTC))
        answer = await put(store, wanted(secret(), ended))
        assert [one.id for one in answer.secrets] == [FIRST]
        assert (await put(store, wanted(secret(), ended))).revision == answer.revision

    @pytest.mark.parametrize("exists", [False, True])
    async def test_one_that_is_to_stay_and_is_not_there_is_refused_with_its_id(
        self, store: Store, tenant: int, exists: bool
    ) -> None:
        if exists:
            await put(store, wanted())
        with pytest.raises(SigningSecretNotFound) as refused:
            await put(store, wanted(secret(), secret(SECOND, None)))
        assert refused.value.ids == (SECOND,)
        assert (await store.webhooks.get(NAMESPACE, NAME, KEEP)).exists == exists

    async def test_those_of_the_release_before_have_no_id_and_can_not_be_kept(
        self, store: Store, tenant: int
    ) -> None:
        await add_webhook(store)
        await run_sql(
            store.url, """UPDATE webhook SET secrets = '[{"sealed": "v1.kid.old", "until": null}]'"""
        )
        with pytest.raises(SigningSecretNotFound):
            await put(store, wanted(secret(FIRST, None)))
        await put(store, wanted(secret(FIRST, "v1.kid.again")))
        assert await self.sealed(store) == ["v1.kid.again"]

    async def test_one_that_was_made_by_hand_can_be_kept(self, store: Store, tenant: int) -> None:
        await add_webhook(store)
        await put(store, wanted(secret(SECRET.id, None)))
        assert await self.sealed(store) == [SECRET.sealed]

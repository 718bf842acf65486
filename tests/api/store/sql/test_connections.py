"""The contract of ``Store`` about connections, credentials and tenants, on each database."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from scim_api.contract.admin import UNKNOWN_REVISION, Connection, CustomField, Matching, TenantSettings
from scim_api.store.change_log import Actor
from scim_api.store.errors import (
    CredentialRevoked,
    DigestInUse,
    MatchingImmutable,
    RevisionMismatch,
    SettingsConflict,
    TenantPurging,
)
from scim_api.store.protocol import CredentialUse, Store
from support.stored import connect, credential, digest_of, prepared, tenant_of, wanted

DAY = timedelta(days=1)
DELETE = TenantSettings(deletion_policy="Delete")


def ids(connection: Connection) -> list[str]:
    return [held.id for held in connection.credentials]


class TestPutConnection:
    async def test_a_name_never_seen_answers_so(self, store: Store) -> None:
        answer = await store.connection("apps", "entra")

        assert (answer.exists, answer.revision, answer.credentials) == (False, UNKNOWN_REVISION, ())
        assert abs(answer.now - datetime.now(UTC)) < timedelta(minutes=1)

    async def test_a_credential_opens_its_tenant(self, store: Store) -> None:
        given = credential(retires=DAY)
        settings = TenantSettings(
            matching=Matching.USER_NAME, custom_fields=(CustomField(name="costCenter"),)
        )

        answer = await store.put_connection(
            "apps", "entra", wanted(given, settings=settings), if_match=UNKNOWN_REVISION
        )

        access = await store.access(digest_of("c1"))
        assert access is not None
        assert given.retires_at is not None
        assert access.ends_at == pytest.approx(given.retires_at.timestamp(), abs=1e-5)
        assert (access.credential, access.digest) == ("c1", digest_of("c1"))
        assert (access.settings, access.settings_hash) == (settings, answer.settings_hash)
        assert answer.settings == settings
        assert (
            answer.credentials[0].model_dump(exclude={"last_used_at", "user_agent", "last_inspected_at"})
            == given.model_dump()
        )

    async def test_an_unknown_digest_opens_nothing(self, store: Store) -> None:
        assert await store.access(digest_of("nobody")) is None

    async def test_the_same_state_again_changes_nothing(self, store: Store) -> None:
        state = wanted(credential(), credential("c2", retires=DAY))
        first = await store.put_connection("apps", "entra", state, if_match=None)
        generation = await store.generation()

        again = await store.put_connection("apps", "entra", state, if_match=first.revision)

        assert again.revision == first.revision
        assert (await store.generation()).number == generation.number

    async def test_every_change_issues_a_new_revision_and_the_old_one_is_refused(self, store: Store) -> None:
        first = await connect(store, credential())
        second = await connect(store, credential(), credential("c2"))
        assert second.revision != first.revision

        for stale in (first.revision, UNKNOWN_REVISION):
            with pytest.raises(RevisionMismatch):
                await store.put_connection("apps", "entra", wanted(), if_match=stale)
            with pytest.raises(RevisionMismatch):
                await store.delete_connection("apps", "entra", if_match=stale)
        assert ids(await store.connection("apps", "entra")) == ["c1", "c2"]

    async def test_a_revision_never_comes_back_after_deletion(self, store: Store) -> None:
        first = await connect(store, credential())
        deleted = await store.delete_connection("apps", "entra", if_match=first.revision)
        assert deleted.revision not in {first.revision, UNKNOWN_REVISION}

        with pytest.raises(RevisionMismatch):
            await store.put_connection("apps", "entra", wanted(), if_match=UNKNOWN_REVISION)
        again = await store.put_connection("apps", "entra", wanted(), if_match=deleted.revision)
        assert again.exists
        assert len({first.revision, deleted.revision, again.revision}) == 3

    async def test_a_credential_that_is_not_listed_is_revoked_at_once(
        self, store: Store, other: Store
    ) -> None:
        old = credential("old")
        await connect(store, old, credential("new"))

        answer = await connect(store, credential("new"))

        assert (ids(answer), answer.revoked) == (["new"], ("old",))
        assert await store.access(digest_of("old")) is None
        assert await other.access(digest_of("old")) is None
        assert await other.access(digest_of("new")) is not None
        with pytest.raises(CredentialRevoked):
            await connect(store, old, credential("new"))
        with pytest.raises(DigestInUse):
            await connect(store, credential("fresh", digest=digest_of("old")), credential("new"))

    async def test_a_listed_credential_that_has_expired_is_forgotten(self, store: Store) -> None:
        expired = credential("past", issued=-2 * DAY, expires=-DAY)
        retired = credential("gone", issued=-2 * DAY, retires=-DAY)

        answer = await connect(store, expired, retired, credential())

        assert ids(answer) == ["c1"]
        assert answer.revoked == ()

    async def test_an_earlier_retirement_is_taken_over_and_what_has_ended_stays_ended(
        self, store: Store
    ) -> None:
        token = credential()
        await connect(store, token)
        moment = datetime.now(UTC) - timedelta(seconds=1)

        ended = await connect(store, token.model_copy(update={"retires_at": moment}))
        assert ids(ended) == []

        assert ids(await connect(store, token)) == []
        access = await store.access(digest_of("c1"))
        assert access is not None
        assert access.ends_at < datetime.now(UTC).timestamp()

    async def test_the_expiry_of_an_issued_credential_does_not_move(self, store: Store) -> None:
        first = await connect(store, credential())

        again = await connect(store, credential(expires=timedelta(days=900)))

        assert again.credentials[0].expires_at == first.credentials[0].expires_at

    @pytest.mark.parametrize(
        "taken",
        [
            credential("c1"),
            credential("mine", digest=digest_of("c1")),
            credential("c1", digest=digest_of("x")),
        ],
    )
    async def test_a_digest_or_id_of_another_connection_is_refused(self, store: Store, taken: object) -> None:
        assert isinstance(taken, type(credential()))
        await connect(store, credential())

        with pytest.raises(DigestInUse):
            await connect(store, taken, name="second")
        assert not (await store.connection("apps", "second")).exists

    async def test_one_digest_under_two_ids_is_refused(self, store: Store) -> None:
        with pytest.raises(DigestInUse):
            await connect(store, credential("a"), credential("b", digest=digest_of("a")))

    async def test_a_single_connection_changes_its_tenants_settings(self, store: Store) -> None:
        before = await connect(store, credential())

        after = await connect(store, credential(), settings=TenantSettings(groups="Disabled"))

        assert after.settings == TenantSettings(groups="Disabled")
        assert after.settings_hash != before.settings_hash
        access = await store.access(digest_of("c1"))
        assert access is not None
        assert access.settings.groups == "Disabled"

    async def test_a_second_connection_must_agree_and_is_told_in_what(self, store: Store) -> None:
        await connect(store, credential())

        with pytest.raises(SettingsConflict) as refused:
            await connect(
                store,
                credential("c2"),
                name="second",
                settings=TenantSettings(matching=Matching.USER_NAME, deletion_policy="Delete"),
            )

        assert refused.value.other == "apps/entra"
        assert set(refused.value.fields) == {"matching", "deletionPolicy"}
        assert (await connect(store, credential("c2"), name="second")).exists

    async def test_the_order_of_custom_fields_is_no_difference(self, store: Store) -> None:
        one, two = CustomField(name="one"), CustomField(name="two")
        first = await connect(store, credential(), settings=TenantSettings(custom_fields=(one, two)))

        second = await connect(
            store, credential("c2"), name="second", settings=TenantSettings(custom_fields=(two, one))
        )

        assert second.settings_hash == first.settings_hash

    async def test_matching_cannot_change_while_the_tenant_exists(self, store: Store) -> None:
        other_matching = TenantSettings(matching=Matching.EXTERNAL_ID)
        await connect(store, credential())

        with pytest.raises(MatchingImmutable):
            await connect(store, credential(), settings=other_matching)
        await store.delete_connection("apps", "entra", if_match=None)
        with pytest.raises(MatchingImmutable):
            await connect(store, credential("c2"), settings=other_matching)

    async def test_tenants_of_one_name_in_two_namespaces_are_two(self, store: Store) -> None:
        await connect(store, credential("a"), namespace="north")
        await connect(store, credential("b"), namespace="south")

        north, south = await store.access(digest_of("a")), await store.access(digest_of("b"))
        assert north is not None
        assert south is not None
        assert north.tenant != south.tenant

    async def test_writers_at_once_get_one_winner_for_each_revision(self, store: Store, other: Store) -> None:
        first = await connect(store, credential())

        results = await asyncio.gather(
            *(
                (store, other)[n % 2].put_connection(
                    "apps", "entra", wanted(credential(f"n{n}")), if_match=first.revision
                )
                for n in range(12)
            ),
            return_exceptions=True,
        )

        winners = [result for result in results if isinstance(result, Connection)]
        assert len(winners) == 1
        assert all(isinstance(r, RevisionMismatch) for r in results if r not in winners)
        assert (await store.connection("apps", "entra")).credentials == winners[0].credentials


class TestGeneration:
    async def test_it_moves_with_credentials_and_settings_and_not_with_use_or_people(
        self, store: Store, other: Store
    ) -> None:
        async def number() -> int:
            return (await other.generation()).number

        start = await number()
        tenant = await tenant_of(store)
        connected = await number()
        await store.create(tenant, "User", prepared("ada"), actor=Actor("c"))
        await store.record_use([CredentialUse("token-contoso", datetime.now(UTC))])
        assert await number() == connected > start
        await store.delete_connection("apps", "contoso", if_match=None)
        assert await number() > connected

    async def test_the_cheap_reading_agrees_and_sees_other_processes(
        self, store: Store, other: Store
    ) -> None:
        before = store.generation_now()
        if before is None:
            assert store.dialect == "postgresql"
            return
        await connect(other, credential())

        after = store.generation_now()

        assert after is not None
        assert after.number == (await store.generation()).number > before.number


class TestLastUse:
    async def test_it_never_moves_back(self, store: Store) -> None:
        await connect(store, credential())
        now = datetime.now(UTC)

        await store.record_use([CredentialUse("c1", now, "Azure-AD-SCIM"), CredentialUse("unknown", now)])
        await store.record_use([CredentialUse("c1", now - DAY, "older"), CredentialUse("c1", now - 2 * DAY)])

        [held] = (await store.connection("apps", "entra")).credentials
        assert (held.last_used_at, held.user_agent) == (now, "Azure-AD-SCIM")


class TestInspection:
    async def test_it_is_kept_apart_from_uses_and_never_moves_back(self, store: Store) -> None:
        await connect(store, credential(), credential("c2"))
        before, now = await store.generation(), datetime.now(UTC)

        await store.record_use(
            [
                CredentialUse("c1", now - DAY, "Azure-AD-SCIM"),
                CredentialUse("c1", now, is_inspection=True),
                CredentialUse("c2", now, is_inspection=True),
            ]
        )
        await store.record_use([CredentialUse("c1", now - DAY, "kubectl-scim", is_inspection=True)])

        assert {
            held.id: (held.last_used_at, held.user_agent, held.last_inspected_at)
            for held in (await store.connection("apps", "entra")).credentials
        } == {"c1": (now - DAY, "Azure-AD-SCIM", now), "c2": (None, None, now)}
        assert (await store.generation()).number == before.number


class TestDeletion:
    async def test_a_deleted_connection_opens_nothing_and_keeps_its_tombstones(self, store: Store) -> None:
        await connect(store, credential())

        gone = await store.delete_connection("apps", "entra", if_match=None)

        assert (gone.exists, gone.credentials, gone.revoked) == (False, (), ("c1",))
        assert await store.access(digest_of("c1")) is None
        again = await store.delete_connection("apps", "entra", if_match=gone.revision)
        assert again.revision == gone.revision
        with pytest.raises(CredentialRevoked):
            await connect(store, credential())

    async def test_people_are_retained_for_the_next_connection_of_the_tenant(self, store: Store) -> None:
        tenant = await tenant_of(store)
        ada = await store.create(tenant, "User", prepared("ada"), actor=Actor("c"))
        await store.delete_connection("apps", "contoso", if_match=None)
        assert await store.purge() == 0

        await connect(store, credential("new"))

        access = await store.access(digest_of("new"))
        assert access is not None
        assert await store.get(access.tenant, "User", ada.id) == ada

    async def test_only_the_last_connection_takes_its_people_with_it(self, store: Store) -> None:
        await connect(store, credential("a"), name="a", settings=DELETE)
        await connect(store, credential("b"), name="b", settings=DELETE)

        assert not (await store.delete_connection("apps", "a", if_match=None)).purging
        assert (await store.delete_connection("apps", "b", if_match=None)).purging

    async def test_a_connection_that_moves_to_another_tenant_leaves_the_old_one_to_its_policy(
        self, store: Store
    ) -> None:
        await connect(store, credential(), settings=DELETE)
        before = await store.access(digest_of("c1"))

        await connect(store, credential(), tenant="fabrikam")

        after = await store.access(digest_of("c1"))
        assert before is not None
        assert after is not None
        assert after.tenant != before.tenant
        with pytest.raises(TenantPurging):
            await connect(store, credential("c2"), name="second", settings=DELETE)

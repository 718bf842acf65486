"""The contract of ``Store`` about what a connection's credentials may do, on each database."""

import pytest

from scim_api.contract.admin import Matching, TenantSettings
from scim_api.store.errors import AccessImmutable, MatchingImmutable, SettingsConflict
from scim_api.store.protocol import Access, Store
from support.stored import connect, credential, digest_of, prepared

BY_NAME = TenantSettings(matching=Matching.USER_NAME, groups="Disabled")
DELETE = TenantSettings(deletion_policy="Delete")


async def access_of(store: Store, name: str) -> Access:
    found = await store.access(digest_of(name))
    assert found is not None
    return found


async def test_a_credential_may_do_what_its_connection_may(store: Store) -> None:
    writes = await connect(store, credential("w"))
    reads = await connect(store, credential("r"), name="reader", access="ReadOnly")

    assert (writes.access, reads.access) == ("ReadWrite", "ReadOnly")
    assert not (await access_of(store, "w")).is_read_only
    assert (await access_of(store, "r")).is_read_only
    assert (await access_of(store, "r")).tenant == (await access_of(store, "w")).tenant
    page = await store.connections(after=None, limit=10)
    assert [(one.name, one.access) for one in page.items] == [("entra", "ReadWrite"), ("reader", "ReadOnly")]
    assert (await store.connection("apps", "nobody")).access is None


async def test_a_reader_follows_the_tenants_settings(store: Store) -> None:
    await connect(store, credential("w"), settings=BY_NAME)

    reads = await connect(store, credential("r"), name="reader", access="ReadOnly")

    assert reads.settings == BY_NAME
    changed = BY_NAME.model_copy(update={"groups": "Enabled"})
    await connect(store, credential("w"), settings=changed)
    assert (await store.connection("apps", "reader")).settings == changed
    assert (await access_of(store, "r")).settings == changed


async def test_whoever_may_write_agrees_with_those_who_may_write_and_with_no_reader(store: Store) -> None:
    await connect(store, credential("r"), name="a-reader", access="ReadOnly")
    await connect(store, credential("w"), settings=BY_NAME)

    with pytest.raises(SettingsConflict) as refused:
        await connect(store, credential("x"), name="other")

    assert refused.value.other == "apps/entra"


async def test_a_tenant_that_a_reader_made_gets_its_settings_from_the_first_who_may_write(
    store: Store,
) -> None:
    reads = await connect(store, credential("r"), name="reader", access="ReadOnly")
    assert reads.settings == TenantSettings()
    before = await access_of(store, "r")

    written = await connect(store, credential("w"), settings=BY_NAME)

    assert written.settings == BY_NAME
    after = await access_of(store, "r")
    assert (after.tenant, after.settings) == (before.tenant, BY_NAME)
    assert after.settings_hash == written.settings_hash != before.settings_hash


@pytest.mark.parametrize("first", [TenantSettings(), BY_NAME], ids=["defaults", "others"])
async def test_after_that_its_matching_stays(store: Store, first: TenantSettings) -> None:
    await connect(store, credential("r"), name="reader", access="ReadOnly")
    await connect(store, credential("w"), settings=first)
    await store.delete_connection("apps", "entra", if_match=None)

    with pytest.raises(MatchingImmutable):
        await connect(
            store, credential("x"), name="next", settings=TenantSettings(matching=Matching.EXTERNAL_ID)
        )


async def test_a_reader_never_becomes_one_who_may_write(store: Store) -> None:
    first = await connect(store, credential("r"), access="ReadOnly")

    with pytest.raises(AccessImmutable):
        await connect(store, credential("r"), access="ReadWrite")

    assert (await store.connection("apps", "entra")).revision == first.revision
    assert (await access_of(store, "r")).is_read_only


async def test_what_says_nothing_of_access_leaves_a_reader_one(store: Store) -> None:
    """So does an operator of the release before, which also sends settings."""
    await connect(store, credential("w"), name="writer", settings=BY_NAME)
    await connect(store, credential("r"), access="ReadOnly")

    answer = await connect(store, credential("r"), credential("r2"), settings=DELETE)

    assert (answer.access, answer.settings) == ("ReadOnly", BY_NAME)
    assert (await access_of(store, "r2")).is_read_only


async def test_whoever_may_write_can_be_made_a_reader_and_every_process_notices(
    store: Store, other: Store
) -> None:
    first = await connect(store, credential("w"), settings=BY_NAME)
    generation = (await other.generation()).number

    answer = await connect(store, credential("w"), access="ReadOnly")

    assert (answer.access, answer.settings) == ("ReadOnly", BY_NAME)
    assert answer.revision != first.revision
    assert (await other.generation()).number > generation
    assert (await access_of(other, "w")).is_read_only


async def test_the_same_state_again_changes_nothing(store: Store) -> None:
    first = await connect(store, credential("r"), access="ReadOnly")

    again = await connect(store, credential("r"), access="ReadOnly")

    assert again.revision == first.revision


async def test_a_name_that_was_deleted_may_be_another_kind(store: Store) -> None:
    await connect(store, credential("r"), access="ReadOnly")
    gone = await store.delete_connection("apps", "entra", if_match=None)
    assert gone.access is None

    assert (await connect(store, credential("w"), access="ReadWrite")).access == "ReadWrite"


async def test_a_reader_keeps_the_tenant_and_the_last_of_all_takes_it_along(store: Store) -> None:
    await connect(store, credential("w"), settings=DELETE)
    await connect(store, credential("r"), name="reader", access="ReadOnly")
    tenant = (await access_of(store, "w")).tenant
    ada = await store.create(tenant, "User", prepared("ada"), actor=(await access_of(store, "w")).actor)

    assert not (await store.delete_connection("apps", "entra", if_match=None)).purging
    assert await store.get((await access_of(store, "r")).tenant, "User", ada.id) == ada
    assert (await store.delete_connection("apps", "reader", if_match=None)).purging

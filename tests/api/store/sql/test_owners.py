"""Whose a connection is and which namespace a tenant belongs to, by uid, on each database."""

from datetime import timedelta

import pytest

from scim_api.contract.admin import Connection, Credential, PutConnection, TenantSettings
from scim_api.store.errors import DigestInUse, NamespaceMismatch
from scim_api.store.protocol import Store
from support.stored import credential, digest_of, wanted

DAY = timedelta(days=1)


async def put(
    store: Store,
    *credentials: Credential,
    name: str = "entra",
    settings: TenantSettings | None = None,
    **uids: str,
) -> Connection:
    """Register as the operator does."""
    base = wanted(*credentials, settings=settings) if settings is not None else wanted(*credentials)
    return await store.put_connection("apps", name, base.model_copy(update=uids), if_match=None)


async def test_a_connection_is_nobodys_until_an_owner_is_given_and_then_keeps_it(store: Store) -> None:
    assert (await store.connection("apps", "entra")).owner_uid == ""
    first = await put(store, credential())
    assert first.owner_uid == ""
    second = await put(store, credential(), owner_uid="u1")
    assert second.owner_uid == "u1"
    assert second.revision != first.revision
    third = await put(store, credential())
    assert (third.owner_uid, third.revision) == ("u1", second.revision)
    assert (await store.connections(after=None, limit=9)).items[0].owner_uid == "u1"


async def test_another_owner_is_taken_with_the_credentials_that_are_listed(store: Store) -> None:
    await put(store, credential(), owner_uid="u1")
    answer = await put(store, credential(), owner_uid="u2")
    assert (answer.owner_uid, [item.id for item in answer.credentials]) == ("u2", ["c1"])


async def test_a_deleted_connection_is_nobodys(store: Store) -> None:
    await put(store, credential(), owner_uid="u1")
    assert (await store.delete_connection("apps", "entra", if_match=None)).owner_uid == ""
    assert (await put(store)).owner_uid == ""


async def test_a_tenant_belongs_to_the_namespace_that_is_named_first(store: Store) -> None:
    await put(store, credential(), owner_uid="u1", namespace_uid="n1")
    await put(store, credential("c2"), name="other", owner_uid="u2", namespace_uid="n1")
    with pytest.raises(NamespaceMismatch, match="tenant"):
        await put(store, credential("c3"), name="third", owner_uid="u3", namespace_uid="n2")
    assert await store.access(digest_of("c3")) is None
    assert not (await store.connection("apps", "third")).exists


async def test_a_namespace_made_anew_does_not_get_the_users_of_the_one_before(store: Store) -> None:
    await put(store, credential(), owner_uid="u1", namespace_uid="n1")
    before = await store.access(digest_of("c1"))
    await store.delete_connection("apps", "entra", if_match=None)
    for credentials in ((), (credential("c2"),), (credential(),)):
        with pytest.raises(NamespaceMismatch):
            await put(store, *credentials, owner_uid="u2", namespace_uid="n2")
    assert await store.release_namespace("apps") == ["contoso"]
    assert await store.release_namespace("apps") == []
    await put(store, credential("c2"), owner_uid="u2", namespace_uid="n2")
    after = await store.access(digest_of("c2"))
    assert before is not None
    assert after is not None
    assert after.tenant == before.tenant
    with pytest.raises(NamespaceMismatch):
        await put(store, credential("c3"), name="other", owner_uid="u3", namespace_uid="n1")


async def test_whoever_holds_a_credential_that_is_accepted_takes_the_tenant_along(store: Store) -> None:
    await put(store, credential(), owner_uid="u1", namespace_uid="n1")
    with pytest.raises(NamespaceMismatch):
        await put(store, credential("c2"), owner_uid="u2", namespace_uid="n2")
    answer = await put(store, credential(), credential("c2"), owner_uid="u2", namespace_uid="n2")
    assert answer.owner_uid == "u2"
    await put(store, credential("c3"), name="other", owner_uid="u3", namespace_uid="n2")


async def test_but_not_with_the_credential_of_another_connection_or_one_that_has_ended(store: Store) -> None:
    await put(store, credential("c0"), owner_uid="u1", namespace_uid="n1")
    await put(store, credential(), credential("c0", retires=-DAY))
    await put(store, credential("c2"), name="other", owner_uid="u2", namespace_uid="n1")
    for listed in (credential("c2"), credential("c0", retires=-DAY)):
        with pytest.raises((NamespaceMismatch, DigestInUse)):
            await put(store, listed, name="entra", owner_uid="u3", namespace_uid="n2")


async def test_nor_with_a_credential_of_another_tenant(store: Store) -> None:
    fabrikam = wanted(credential("c2"), tenant="fabrikam").model_copy(update={"namespace_uid": "n1"})
    await store.put_connection("apps", "other", fabrikam, if_match=None)
    await put(store, credential(), owner_uid="u1", namespace_uid="n2")
    with pytest.raises(NamespaceMismatch):
        await store.put_connection(
            "apps", "entra", fabrikam.model_copy(update={"credentials": (credential(),), "namespace_uid": "n2"}),
            if_match=None,
        )  # fmt: skip


async def test_a_namespace_has_what_is_its_own_released(store: Store) -> None:
    await put(store, credential(), owner_uid="u1", namespace_uid="n1")
    elsewhere = wanted(credential("c9")).model_copy(update={"namespace_uid": "n9"})
    await store.put_connection("elsewhere", "entra", elsewhere, if_match=None)
    assert await store.release_namespace("apps") == ["contoso"]
    with pytest.raises(NamespaceMismatch):
        await store.put_connection(
            "elsewhere", "second", elsewhere.model_copy(update={"namespace_uid": "n8"}), if_match=None
        )
    assert await store.release_namespace("nowhere") == []


async def test_a_tenant_that_is_erased_and_made_anew_belongs_to_whoever_registers_it(store: Store) -> None:
    erase = TenantSettings(deletion_policy="Delete")
    await put(store, credential(), settings=erase, owner_uid="u1", namespace_uid="n1")
    await store.delete_connection("apps", "entra", if_match=None)
    while await store.purge():
        pass
    answer = await put(store, credential("c2"), owner_uid="u2", namespace_uid="n2")
    assert (answer.exists, answer.resources) == (True, 0)


def test_a_body_without_uids_says_nothing_about_owners() -> None:
    body = PutConnection.model_validate_json('{"tenant": "entra"}')
    assert (body.owner_uid, body.namespace_uid) == (None, None)

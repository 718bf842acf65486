"""Connections by hand: what a new token opens, and what becomes of those before it."""

from datetime import timedelta

import pytest

from scim_api.cli import issuance
from scim_api.cli.issuance import ConnectionMistake, Issued
from scim_api.contract.admin import Connection, ConnectionPage, CustomField, TenantSettings
from scim_api.contract.tokens import digest
from scim_api.store.protocol import Store
from support.stored import connect, credential

ENDPOINT = "https://scim.test/scim/v2"
DAY = timedelta(days=1)
SETTINGS = TenantSettings(groups="Disabled", custom_fields=(CustomField(name="costCenter"),))


async def create(store: Store, name: str = "entra", *, tenant: str = "contoso") -> Issued:
    return await issuance.create(
        store, "demo", name, tenant=tenant, settings=SETTINGS, lifetime=DAY, endpoint=ENDPOINT
    )


async def rotate(store: Store, *, revoke_others: bool = False, lifetime: timedelta = 2 * DAY) -> Issued:
    return await issuance.rotate(
        store, "demo", "entra", lifetime=lifetime, revoke_others=revoke_others, endpoint=ENDPOINT
    )


async def opens(store: Store, issued: Issued) -> bool:
    return await store.access(digest(issued.token)) is not None


async def test_a_new_connections_token_opens_its_tenant_for_its_lifetime(store: Store) -> None:
    issued = await create(store)

    access = await store.access(digest(issued.token))
    assert access is not None
    assert (access.credential, access.settings) == (issued.token_id, SETTINGS)
    held = await store.connection("demo", "entra")
    assert held.tenant == "contoso"
    [token] = held.credentials
    assert (token.id, token.expires_at) == (issued.token_id, issued.expires_at)
    assert token.expires_at - token.issued_at == DAY
    assert abs(token.issued_at - held.now) < timedelta(minutes=1)  # the database's clock
    assert issued.endpoint == ENDPOINT


async def test_a_connection_that_exists_keeps_its_tokens_and_the_way_to_another_one_is_told(
    store: Store,
) -> None:
    first = await create(store)
    with pytest.raises(ConnectionMistake, match="`scim-api connection rotate demo/entra`"):
        await create(store)
    assert await opens(store, first)
    assert len((await store.connection("demo", "entra")).credentials) == 1


async def test_a_connection_that_was_deleted_can_be_made_again(store: Store) -> None:
    first = await create(store)
    await store.delete_connection("demo", "entra", if_match=None)
    again = await create(store)
    assert not await opens(store, first)
    assert await opens(store, again)


async def test_a_tenant_without_a_proper_name_is_one_line(store: Store) -> None:
    with pytest.raises(ConnectionMistake) as told:
        await create(store, tenant="Not A Name")
    assert str(told.value).startswith("--tenant 'Not A Name': write ")
    assert "\n" not in str(told.value)
    assert not (await store.connection("demo", "entra")).exists


async def test_rotating_adds_a_token_and_leaves_the_others_their_time(store: Store) -> None:
    first = await create(store)
    before = (await store.connection("demo", "entra")).credentials

    second = await rotate(store)

    held = await store.connection("demo", "entra")
    assert {token.id for token in held.credentials} == {first.token_id, second.token_id}
    assert before[0] in held.credentials
    assert second.expires_at > first.expires_at
    assert await opens(store, first)
    assert await opens(store, second)
    assert (held.tenant, held.settings) == ("contoso", SETTINGS)


async def test_rotating_can_end_all_earlier_tokens_at_once(store: Store) -> None:
    earlier = [await create(store), await rotate(store)]
    last = await rotate(store, revoke_others=True)
    assert [await opens(store, one) for one in (*earlier, last)] == [False, False, True]


async def test_a_seventeenth_token_is_refused_with_the_way_out(store: Store) -> None:
    await connect(
        store, *(credential(f"t{number}") for number in range(16)), namespace="demo", settings=SETTINGS
    )
    with pytest.raises(ConnectionMistake) as told:
        await rotate(store)
    assert str(told.value).startswith("demo/entra has 16 live tokens")
    assert "--revoke-others" in str(told.value)
    assert "\n" not in str(told.value)
    assert await opens(store, await rotate(store, revoke_others=True))


async def test_a_connection_that_is_not_there_is_neither_rotated_nor_made(store: Store) -> None:
    await create(store, "other")
    await store.delete_connection("demo", "other", if_match=None)
    for attempt in (rotate(store), issuance.existing(store, "demo", "other")):
        with pytest.raises(ConnectionMistake, match="`scim-api connection list` shows all"):
            await attempt
    assert not (await store.connection("demo", "entra")).exists


async def test_everything_is_all_pages_in_order(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("e", "c", "a", "d", "b"):
        await connect(store, credential(name), name=name, tenant=name)
    kept = store.connections
    pages: list[ConnectionPage] = []

    async def short(*, after: str | None, limit: int) -> ConnectionPage:
        pages.append(await kept(after=after, limit=2))
        return pages[-1]

    monkeypatch.setattr(store, "connections", short)
    found: list[Connection] = await issuance.all_connections(store)
    assert [one.name for one in found] == ["a", "b", "c", "d", "e"]
    assert len(pages) == 3


def test_a_token_does_not_show_in_what_may_be_logged() -> None:
    issued = Issued(ENDPOINT, "sct_secret", "t1", credential().expires_at)
    assert "sct_secret" not in repr(issued)
    assert "sct_secret" not in str(issued)

"""PostgreSQL when things go wrong: backends ended, the server gone and back, searches that take long."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from scim_api.store.change_log import Actor
from scim_api.store.errors import TooSlow, Unavailable
from scim_api.store.factory import create_store
from scim_api.store.migrate import migrate
from scim_api.store.postgres.store import PostgresStore
from scim_api.store.protocol import ListQuery
from support.postgres import PostgresServer, execute, fresh_database, own_server
from support.slow_search import ANYTHING, SLOW
from support.stored import prepared, retitle, tenant_of

HEAL_SECONDS = 20


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(postgres_url, pool_size=4, search_seconds=0.3)
    await store.open()
    yield store
    await store.close()


@pytest.fixture(scope="module")
def mortal_server() -> Iterator[PostgresServer]:
    """A server that only these tests use, to be stopped."""
    with own_server() as server:
        yield server


async def healed(store: PostgresStore, tenant: int, name: str) -> None:
    """Poll until the store writes again."""
    async with asyncio.timeout(HEAL_SECONDS):
        while True:
            try:
                await store.create(tenant, "User", prepared(name), actor=Actor("c"))
            except Unavailable:
                await asyncio.sleep(0.05)
            else:
                return


async def end_backends(store: PostgresStore, *, but: int = 0) -> None:
    sql = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        f"WHERE datname = current_database() AND pid NOT IN (pg_backend_pid(), {but})"
    )
    await execute(store.url, sql)


async def test_a_request_whose_backend_is_ended_is_unavailable_and_the_pool_heals(
    store: PostgresStore,
) -> None:
    tenant = await tenant_of(store)
    locker = await asyncpg.connect(store.url)
    transaction = locker.transaction()
    await transaction.start()
    await locker.execute("LOCK TABLE resource IN ACCESS EXCLUSIVE MODE")
    # Two, each in a statement of its own: more would be gathered in the second.
    waiting = [
        asyncio.create_task(store.create(tenant, "User", prepared(f"u{n}"), actor=Actor("c")))
        for n in range(2)
    ]
    async with asyncio.timeout(10):
        while await locker.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted") < len(waiting):
            await asyncio.sleep(0.02)

    # Not the one that holds the lock: what waits for it might get through before its own end.
    await end_backends(store, but=locker.get_server_pid())
    results = await asyncio.gather(*waiting, return_exceptions=True)

    assert [type(result) for result in results] == [Unavailable] * 2
    locker.terminate()
    await healed(store, tenant, "after")
    page = await store.search(tenant, "User", ListQuery(limit=9))
    assert page.total == len(page.resources) == 1


async def test_a_server_that_goes_and_comes_back_needs_no_help(mortal_server: PostgresServer) -> None:
    assert mortal_server.own is not None
    async with fresh_database(mortal_server) as url:
        await migrate(url)
        store = PostgresStore(url, pool_size=4)
        await store.open()
        tenant = await tenant_of(store)
        ada = await store.create(tenant, "User", prepared("ada"), actor=Actor("c"))

        await asyncio.to_thread(mortal_server.own.stop)
        for attempt in (
            store.get(tenant, "User", ada.id),
            store.create(tenant, "User", prepared("lost"), actor=Actor("c")),
            store.modify(tenant, "User", ada.id, retitle(lambda _: "x"), actor=Actor("c")),
            store.search(tenant, "User", ListQuery(ANYTHING, limit=1)),
            store.generation(),
            store.connection("apps", "contoso"),
            store.purge(),
            migrate(url),
        ):
            with pytest.raises(Unavailable, match="PostgreSQL"):
                await attempt
        await asyncio.to_thread(mortal_server.own.start)

        await healed(store, tenant, "after")
        assert await store.get(tenant, "User", ada.id) == ada
        await store.close()


@pytest.mark.usefixtures("slow_searches")
async def test_a_search_ends_at_its_deadline(store: PostgresStore) -> None:
    tenant = await tenant_of(store)
    await store.create(tenant, "User", prepared("ada"), actor=Actor("c"))

    with pytest.raises(TooSlow):
        await store.search(tenant, "User", ListQuery(SLOW, limit=1))
    assert (await store.search(tenant, "User", ListQuery(ANYTHING, limit=1))).total == 1


@pytest.mark.usefixtures("slow_searches")
async def test_slow_searches_leave_point_reads_alone(postgres_url: str) -> None:
    store = PostgresStore(postgres_url, pool_size=2, search_seconds=2)
    await store.open()
    tenant = await tenant_of(store)
    ada = await store.create(tenant, "User", prepared("ada"), actor=Actor("c"))
    slow = [asyncio.create_task(store.search(tenant, "User", ListQuery(SLOW, limit=1))) for _ in range(4)]
    await asyncio.sleep(0)

    assert await store.get(tenant, "User", ada.id) == ada
    assert not any(task.done() for task in slow)
    for task in slow:
        task.cancel()
    await asyncio.gather(*slow, return_exceptions=True)
    await store.close()


async def test_a_writer_that_loses_race_after_race_gets_its_turn_by_the_rows_lock(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scim_api.store.postgres.resources.OPTIMISTIC_ATTEMPTS", 0)
    tenant = await tenant_of(store)
    ada = await store.create(tenant, "User", prepared("ada"), actor=Actor("c"))
    more = retitle(lambda title: str(int(title or "0") + 1))

    await asyncio.gather(*(store.modify(tenant, "User", ada.id, more, actor=Actor("c")) for _ in range(40)))

    after = await store.get(tenant, "User", ada.id)
    assert after is not None
    assert after.version == 41
    assert await store.modify(tenant, "User", ada.id, lambda _: None, actor=Actor("c")) == after
    assert await store.modify(tenant, "User", "none", more, actor=Actor("c")) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [("/no_such_database", "no_such_database"), ("/postgres?port=1", "PostgreSQL")],
)
async def test_a_database_that_cannot_be_reached_says_why(
    postgres_server: PostgresServer, change: str, message: str
) -> None:
    base, _, query = postgres_server.url.partition("?")
    path, _, extra = change.partition("?")
    url = base.rsplit("/", 1)[0] + path + "?" + "&".join(part for part in (query, extra) if part)
    store = create_store(url)

    with pytest.raises(Unavailable, match=message):
        await store.open()
    await store.close()


async def test_a_password_does_not_show_in_what_is_raised() -> None:
    store = create_store("postgresql://user:hunter2@127.0.0.1:1/db")

    with pytest.raises(Unavailable) as refused:
        await store.open()
    assert "hunter2" not in str(refused.value)

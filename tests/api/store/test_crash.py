"""A writer killed at any moment loses nothing that it acknowledged, and half-writes nothing."""

import asyncio
import signal
import sys

import asyncpg

from scim_api.core.model import Lookup
from scim_api.store.change_log import Actor
from scim_api.store.protocol import ListQuery, Store
from support.stored import prepared, tenant_of

WRITER = """
import asyncio, sys
from scim_api.store.change_log import Actor
from support.stored import prepared
from scim_api.store.factory import create_store

async def main(url, tenant):
    store = create_store(url)
    await store.open()
    async def one(lane):
        n = 0
        while True:
            n += 1
            made = await store.create(tenant, "User", prepared(f"{lane}-{n}"), actor=Actor("c"))
            sys.stdout.write(f"+{made.id}\\n")
            sys.stdout.flush()
            if n % 3 == 0:
                await store.delete(tenant, "User", made.id, actor=Actor("c"))
                sys.stdout.write(f"-{made.id}\\n")
                sys.stdout.flush()
    await asyncio.gather(*(one(lane) for lane in range(8)))

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""
ENOUGH = 120


async def test_a_killed_writer_loses_nothing_acknowledged(store: Store, tenant: int) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{WRITER}", store.url, str(tenant),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    lines = [await asyncio.wait_for(process.stdout.readline(), 60) for _ in range(ENOUGH)]
    process.send_signal(signal.SIGKILL)
    rest, _ = await process.communicate()
    # A line cut off by the kill was not acknowledged.
    lines += [line for line in rest.splitlines(keepends=True) if line.endswith(b"\n")]
    deleted = {line[1:].decode().strip() for line in lines if line.startswith(b"-")}
    created = {line[1:].decode().strip() for line in lines if line.startswith(b"+")}

    await _until_orphans_ended(store)
    page = await store.search(tenant, "User", ListQuery(limit=100_000))
    assert page.total == len(page.resources)

    held = {resource.id for resource in page.resources}
    assert len(lines) >= ENOUGH
    assert not deleted & held
    lost = created - deleted - held
    # One deletion for each of the eight lanes may have been committed and not yet acknowledged.
    assert len(lost) <= 8
    await _assert_whole(store, tenant)


async def _until_orphans_ended(store: Store) -> None:
    """PostgreSQL ends the statements of a client that is gone in its own time."""
    if store.dialect == "sqlite":
        return
    session = await asyncpg.connect(store.url)
    others = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND state <> 'idle'"
    )
    async with asyncio.timeout(30):
        while await session.fetchval(others):
            await asyncio.sleep(0.05)
    await session.close()


async def _assert_whole(store: Store, tenant: int) -> None:
    """Every resource that is there has its keys: it was written whole or not at all."""
    page = await store.search(tenant, "User", ListQuery(limit=100_000))
    for resource in page.resources:
        name = resource.doc.split('"userName":"')[1].split('"')[0]
        found = await store.lookup(tenant, "User", Lookup.WORK_EMAIL, f"{name}@contoso.com")
        assert [r.id for r in found] == [resource.id]
    again = await tenant_of(store)
    assert again == tenant
    assert (await store.create(tenant, "User", prepared("after"), actor=Actor("c"))).version == 1

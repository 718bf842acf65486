"""SQLite when things go wrong: a full disk, a lock that is held, a file that is none."""

import asyncio
import os
import re
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import apsw
import pytest

from scim_api.store.change_log import Actor
from scim_api.store.errors import Conflict, TooSlow, Unavailable
from scim_api.store.factory import create_store
from scim_api.store.migrate import migrate
from scim_api.store.protocol import ListQuery
from scim_api.store.sqlite.store import SqliteStore
from support.slow_search import ANYTHING, SLOW
from support.stored import prepared, retitle, tenant_of

FULL_DISK = """
import asyncio, resource, signal, sys
from scim_api.store.change_log import Actor
from support.stored import prepared, tenant_of
from scim_api.store.errors import Unavailable
from scim_api.store.factory import create_store
from scim_api.store.protocol import ListQuery

async def main(url):
    store = create_store(url)
    await store.open()
    tenant = await tenant_of(store)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
    made = refused = 0
    while refused < 3:
        batch = (store.create(tenant, "User", prepared(f"u{made + n}", title="x" * 9000), actor=Actor("c")) for n in range(8))
        for result in await asyncio.gather(*batch, return_exceptions=True):
            made += not isinstance(result, BaseException)
            refused += isinstance(result, Unavailable)
            assert not isinstance(result, BaseException) or isinstance(result, Unavailable), result
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    page = await store.search(tenant, "User", ListQuery(limit=10_000))
    assert page.total == len(page.resources) == made > 0, (page.total, len(page.resources), made)
    await store.create(tenant, "User", prepared("room again"), actor=Actor("c"))
    await store.close()
    print("held", made)

asyncio.run(main(sys.argv[1]))
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "scim.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(str(path), search_seconds=0.3)
    await migrate(store)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def rival(path: Path) -> Iterator[apsw.Connection]:
    """Another process's connection."""
    connection = apsw.Connection(str(path))
    yield connection
    connection.close()


def limit_pages(connection: apsw.Connection) -> None:
    connection.execute("PRAGMA max_page_count = 1")  # SQLite takes it as: no more than there are


async def test_a_full_disk_refuses_and_writes_nothing_half(path: Path, store: SqliteStore) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{FULL_DISK}", store.url,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(process.communicate(), 60)

    assert process.returncode == 0, out.decode()
    assert out.startswith(b"held ")


async def test_what_still_fits_is_written_when_a_request_of_the_same_batch_does_not(
    store: SqliteStore,
) -> None:
    tenant = await tenant_of(store)
    first = await store.create(tenant, "User", prepared("first"), actor=Actor("c"))
    assert store._writer is not None
    await store._writer.write(limit_pages)

    big = store.create(tenant, "User", prepared("big", title="x" * 500_000), actor=Actor("c"))
    small = store.modify(tenant, "User", first.id, retitle(lambda _: "y"), actor=Actor("c"))
    refused, changed = await asyncio.gather(big, small, return_exceptions=True)

    assert isinstance(refused, Unavailable)
    assert "full" in str(refused)
    assert not isinstance(changed, BaseException)
    page = await store.search(tenant, "User", ListQuery(limit=9))
    assert [(r.id, r.version) for r in page.resources] == [(first.id, 2)]
    assert page.total == 1


async def test_a_lock_held_by_another_process_is_waited_for(
    store: SqliteStore, rival: apsw.Connection
) -> None:
    tenant = await tenant_of(store)
    rival.execute("BEGIN IMMEDIATE")

    writing = asyncio.create_task(store.create(tenant, "User", prepared("ada"), actor=Actor("c")))
    done, _ = await asyncio.wait([writing], timeout=0.2)
    assert not done
    assert await store.get(tenant, "User", "reading goes on") is None
    rival.execute("ROLLBACK")

    assert (await writing).version == 1


async def test_a_lock_held_for_too_long_is_unavailable_and_the_writer_lives_on(
    store: SqliteStore, rival: apsw.Connection
) -> None:
    tenant = await tenant_of(store)
    assert store._writer is not None
    await store._writer.write(lambda connection: connection.set_busy_timeout(100))
    rival.execute("BEGIN IMMEDIATE")

    with pytest.raises(Unavailable, match="locked"):
        await store.create(tenant, "User", prepared("ada"), actor=Actor("c"))
    rival.execute("ROLLBACK")

    assert (await store.create(tenant, "User", prepared("ada"), actor=Actor("c"))).version == 1


@pytest.mark.usefixtures("slow_searches")
async def test_a_scan_ends_at_its_deadline_and_the_loop_stays_free(store: SqliteStore) -> None:
    tenant = await tenant_of(store)
    await store.create(tenant, "User", prepared("ada"), actor=Actor("c"))
    longest = 0.0

    async def beat() -> None:
        nonlocal longest
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.005)
            longest = max(longest, time.monotonic() - before)

    heart = asyncio.create_task(beat())
    with pytest.raises(TooSlow):
        await store.search(tenant, "User", ListQuery(SLOW, limit=1))
    heart.cancel()

    assert longest < 0.25
    assert (await store.search(tenant, "User", ListQuery(ANYTHING, limit=1))).total == 1


async def test_a_transform_that_raises_leaves_its_batch_alone(store: SqliteStore) -> None:
    tenant = await tenant_of(store)
    made = [await store.create(tenant, "User", prepared(f"u{n}"), actor=Actor("c")) for n in range(8)]

    def refuse(_: object) -> None:
        raise ValueError("refused")

    results = await asyncio.gather(
        *(
            store.modify(tenant, "User", r.id, refuse if n % 2 else retitle(lambda _: "x"), actor=Actor("c"))
            for n, r in enumerate(made)
        ),
        return_exceptions=True,
    )

    assert [isinstance(result, ValueError) for result in results] == [False, True] * 4
    page = await store.search(tenant, "User", ListQuery(limit=9))
    assert [r.version for r in page.resources] == [2, 1] * 4


async def test_a_request_whose_caller_left_does_not_block_the_writer(store: SqliteStore) -> None:
    tenant = await tenant_of(store)
    task = asyncio.create_task(store.create(tenant, "User", prepared("ada"), actor=Actor("c")))
    await asyncio.sleep(0)
    task.cancel()

    assert (await store.create(tenant, "User", prepared("bob"), actor=Actor("c"))).version == 1


async def test_closing_finishes_what_was_begun(path: Path, store: SqliteStore) -> None:
    tenant = await tenant_of(store)
    writes = [
        asyncio.create_task(store.create(tenant, "User", prepared(f"u{n}"), actor=Actor("c")))
        for n in range(200)
    ]
    await asyncio.sleep(0)

    await store.close()
    await store.close()

    assert len(await asyncio.gather(*writes)) == 200
    with pytest.raises(Unavailable, match="closed"):
        await store.create(tenant, "User", prepared("late"), actor=Actor("c"))
    with pytest.raises(Unavailable, match="closed"):
        await store.generation()


async def test_a_conflict_is_told_only_after_the_commit_it_rests_on(store: SqliteStore) -> None:
    tenant = await tenant_of(store)

    first, second = await asyncio.gather(
        store.create(tenant, "User", prepared("ada"), actor=Actor("c")),
        store.create(tenant, "User", prepared("ada"), actor=Actor("c")),
        return_exceptions=True,
    )

    assert not isinstance(first, BaseException)
    assert isinstance(second, Conflict)


@pytest.mark.parametrize("target", ["missing/scim.db", "."])
async def test_a_path_that_cannot_be_opened_says_why(tmp_path: Path, target: str) -> None:
    store = create_store(f"sqlite:///{tmp_path / target}")

    with pytest.raises(Unavailable, match=r"does not exist|must be a file"):
        await store.open()
    await store.close()


async def test_a_file_that_is_no_database_says_so(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database, by far" * 100)

    with pytest.raises(Unavailable, match="is not an SQLite database"):
        await migrate(f"sqlite:///{tmp_path / 'notes.txt'}")


async def test_a_read_only_file_says_so(path: Path, store: SqliteStore) -> None:
    await store.close()
    await asyncio.to_thread(path.chmod, 0o400)
    # Root may write everywhere, by a capability that it can go without.
    limits = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    command = [sys.executable, "-m", "scim_api.cli.main", "migrate", "--database-url", store.url]

    process = await asyncio.create_subprocess_exec(
        *limits, *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )

    _, told = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 1
    assert re.search(r"read-only|may read and write", told.decode()), told
    assert "Traceback" not in told.decode()

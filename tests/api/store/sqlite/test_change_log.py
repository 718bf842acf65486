"""What only SQLite does with the log of changes."""

import contextlib
from pathlib import Path

import pytest

from scim_api.store.change_log import Actor
from scim_api.store.errors import ChangesGone
from scim_api.store.migrate import migrate
from scim_api.store.sqlite.store import SqliteStore
from support.stored import prepared, tenant_of


async def test_a_position_of_before_a_restore_is_refused_even_if_as_much_was_written_since(
    tmp_path: Path,
) -> None:
    """The file is put back as it was, and other changes take the numbers of those that were lost."""
    path = tmp_path / "scim.db"
    await migrate(f"sqlite:///{path}")
    async with contextlib.AsyncExitStack() as stack:
        store = SqliteStore(str(path))
        await store.open()
        stack.push_async_callback(store.close)
        tenant = await tenant_of(store)
        await store.close()
        kept = path.read_bytes()
        await store.open()
        await store.create(tenant, "User", prepared("lost"), actor=Actor("writer"))
        read = (await store.change_log.page(tenant, None, limit=10)).next
        await store.close()
        path.write_bytes(kept)
        await store.open()
        for name in ("new", "newer"):
            await store.create(tenant, "User", prepared(name), actor=Actor("writer"))

        with pytest.raises(ChangesGone, match="restore"):
            await store.change_log.page(tenant, read, limit=10)

"""What is measured from outside: memory and descriptors of the pods' processes, sizes in PostgreSQL."""

import contextlib
import dataclasses
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final

import asyncpg

MIB: Final = 2**20
LOG: Final = "change"
"""The table that grows with every change until its retention is over: what a row of it takes is measured instead."""
_UID: Final = re.compile(r"pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12})")
_PAUSE: Final = "pause"


@dataclasses.dataclass(frozen=True, slots=True)
class Process:
    """One process of a pod."""

    pid: int
    resident: int
    """Bytes."""
    descriptors: int


def processes(pods: Collection[str], root: Path = Path("/proc")) -> Mapping[str, list[Process]]:
    """The processes of pods on this machine, without those that only hold a pod together.

    Args:
        pods: their uids.
        root: where the kernel shows processes.
    """
    found: dict[str, list[Process]] = {uid: [] for uid in pods}
    for directory in root.iterdir():
        if not directory.name.isdecimal():
            continue
        with contextlib.suppress(OSError):  # it ended meanwhile
            match = _UID.search((directory / "cgroup").read_text())
            uid = match[1].replace("_", "-") if match else ""
            if uid in found and (directory / "comm").read_text().strip() != _PAUSE:
                found[uid].append(_process(directory))
    return found


def _process(directory: Path) -> Process:
    status = (directory / "status").read_text()
    resident = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
    return Process(
        int(directory.name),
        int(resident[1]) * 1024 if resident else 0,
        sum(1 for _ in (directory / "fd").iterdir()),
    )


@dataclasses.dataclass(frozen=True, slots=True)
class DatabaseSizes:
    """Bytes."""

    tables: Mapping[str, int]
    """With indexes; the log of changes apart."""
    wal: int
    log: int
    changes: int
    """Rows that the log has."""
    connections: int


async def database_sizes(connection: "asyncpg.Connection[asyncpg.Record]") -> DatabaseSizes:
    """What the service's tables and PostgreSQL's log take. Raises what asyncpg raises."""
    rows = await connection.fetch(
        "SELECT relname, pg_total_relation_size(oid) AS bytes FROM pg_class"
        " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    tables = {row["relname"]: row["bytes"] for row in rows}
    return DatabaseSizes(
        tables={name: size for name, size in tables.items() if name != LOG},
        wal=await connection.fetchval("SELECT sum(size)::bigint FROM pg_ls_waldir()"),
        log=tables[LOG],
        changes=await connection.fetchval(f"SELECT count(*) FROM {LOG}"),
        connections=await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        ),
    )


def values_of(sizes: DatabaseSizes) -> Iterator[tuple[str, str, float]]:
    """Name, unit and value of each of its series."""
    for name, size in sorted(sizes.tables.items()):
        yield f"table {name}", "MiB", size / MIB
    yield "WAL of PostgreSQL", "MiB", sizes.wal / MIB
    yield "connections to PostgreSQL", "", sizes.connections
    if sizes.changes:
        yield "change in the log", "bytes", sizes.log / sizes.changes

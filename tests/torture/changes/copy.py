"""What a follower keeps: users, groups, memberships and its cursor, in a file of its own, saved together."""

import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from torture.changes.rules import State

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS user (id TEXT PRIMARY KEY, active INTEGER NOT NULL, version INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS team (id TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS membership (team TEXT NOT NULL, member TEXT NOT NULL, PRIMARY KEY (team, member)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS position (singleton INTEGER PRIMARY KEY CHECK (singleton = 1), cursor TEXT NOT NULL);
"""


class Told(NamedTuple):
    """One change, as a follower hears of it."""

    pk: int
    type: str
    resource: str
    member: str | None


class Reading(NamedTuple):
    """A user or a group, as it was read after a change."""

    version: int
    active: bool | None
    """None: it is a group."""


class Copy:
    """A follower's file. What was not saved when the follower ended is gone.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = self._open()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        connection.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; {_SCHEMA}")
        return connection

    def restart(self) -> None:
        """As after a crash: only what was saved is left."""
        self._connection.close()
        self._connection = self._open()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @property
    def cursor(self) -> str | None:
        """As it was saved last; None before the first time."""
        row = self._connection.execute("SELECT cursor FROM position").fetchone()
        return None if row is None else str(row[0])

    def begin(self) -> None:
        """What follows is saved together, by ``save``."""
        self._connection.execute("BEGIN IMMEDIATE")

    def save(self, cursor: str) -> None:
        """Save everything since ``begin``, with the cursor."""
        self._connection.execute("INSERT OR REPLACE INTO position VALUES (1, ?)", (cursor,))
        self._connection.execute("COMMIT")

    def forget(self) -> None:
        """Drop all resources: a snapshot comes in their place."""
        for table in ("user", "team", "membership"):
            self._connection.execute(f"DELETE FROM {table}")

    def put(self, identity: str, read: Reading | None) -> None:
        """A resource as it was read; None: it is gone. An older one than there is changes nothing."""
        if read is None:
            self._delete(identity)
        elif read.active is None:
            self._connection.execute(
                "INSERT INTO team VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET version = excluded.version"
                " WHERE excluded.version > version", (identity, read.version),
            )  # fmt: skip
        else:
            self._connection.execute(
                "INSERT INTO user VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET version = excluded.version,"
                " active = excluded.active WHERE excluded.version > version",
                (identity, read.active, read.version),
            )

    def add_members(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Groups and members."""
        self._connection.executemany("INSERT OR IGNORE INTO membership VALUES (?, ?)", pairs)

    def apply(self, changes: Iterable[Told], read: Mapping[str, Reading | None]) -> None:
        """Changes in their order, and what was read of the resources that they are about."""
        for change in changes:
            match change.type.partition(".")[2]:
                case "member_added":
                    self.add_members([(change.resource, change.member or "")])
                case "member_removed":
                    self._connection.execute(
                        "DELETE FROM membership WHERE team = ? AND member = ?",
                        (change.resource, change.member),
                    )
                case "deleted":
                    self._delete(change.resource)
        for identity, reading in read.items():
            self.put(identity, reading)

    def state(self) -> State:
        """All of it."""
        rows = self._connection.execute
        return State(
            {one: (bool(active), version) for one, active, version in rows("SELECT * FROM user")},
            dict(rows("SELECT * FROM team")),
            {(team, member) for team, member in rows("SELECT * FROM membership")},
        )

    def _delete(self, identity: str) -> None:
        self._connection.execute("DELETE FROM user WHERE id = ?", (identity,))
        self._connection.execute("DELETE FROM team WHERE id = ?", (identity,))
        self._connection.execute("DELETE FROM membership WHERE team = ?", (identity,))

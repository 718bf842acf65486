"""The log of changes as the store hands it over: what changed, and how far a reader has come.

A position is exact: every change that is committed is either before it or after it, whatever was under way when it
was taken. How that is done is in ``sql.change_log``.
"""

import dataclasses
import zlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Protocol

CHANGE_RETENTION: Final = timedelta(days=90)
"""How long changes are kept, unless a setting says otherwise."""
CHANGE_PAGE: Final = 1_000
"""Changes in one page, at most."""


class Actor(NamedTuple):
    """Who makes a change."""

    credential: str
    """Token id."""
    scim_token: str | None = None
    """``namespace/name`` of the connection that the credential belongs to."""


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """One change of one resource, as it was committed."""

    pk: int
    """Larger than that of every earlier change of the same resource."""
    at: str
    """Time of the database, as ``timestamps`` writes it."""
    type: str
    """A ``ChangeType``."""
    resource_id: str
    external_id: str | None
    version: int | None
    """Of the resource after the change, of a deleted one the last; None: not recorded."""
    paths: str | None
    """JSON array of the attribute paths that changed, without values; None: whatever there is."""
    member: str | None
    """Id of who joined or left a group."""
    credential: str
    scim_token: str | None

    @property
    def mark(self) -> int:
        """Checksum of what it is about (32 bits): the same number has another one in another history."""
        return zlib.crc32(f"{self.at}{self.type}{self.resource_id}".encode())

    @property
    def id(self) -> str:
        """What names it for good, for receivers that may get it twice."""
        return f"{self.pk}-{self.mark:08x}"


@dataclasses.dataclass(frozen=True, slots=True)
class Unfinished:
    """Transactions that were under way at a moment, by their ids (PostgreSQL; SQLite has one at a time).

    ``listed`` are known to have been; those from ``start`` up to, and without, ``end`` may have been.
    """

    listed: tuple[int, ...] = ()
    start: int = 0
    end: int = 0

    def __contains__(self, transaction: int) -> bool:
        return self.start <= transaction < self.end or transaction in self.listed


@dataclasses.dataclass(frozen=True, slots=True)
class FeedPosition:
    """How far a reader of a tenant's changes has come: it has all up to ``pk``, but for those of transactions that were
    unfinished when it asked.
    """

    tenant: int
    epoch: int
    """Names the history that the numbers belong to: another one after a restore or a failover (32 bits)."""
    pk: int = 0
    mark: int = 0
    """Checksum of the change ``pk``: another one after a restore (32 bits); 0 where there is none."""
    unfinished: Unfinished = Unfinished()
    late: "LatePage | None" = None
    """Set within the changes of transactions that finished late, when they did not fit into one page."""


@dataclasses.dataclass(frozen=True, slots=True)
class LatePage:
    """How far a reader has come within the changes, up to its ``pk``, of transactions that finished late."""

    of: Unfinished
    """Those transactions: all of them but the position's ``unfinished``."""
    after: int


@dataclasses.dataclass(frozen=True, slots=True)
class ChangePage:
    """Changes after a position, in the order in which they were made to each resource."""

    changes: Sequence[Change]
    next: FeedPosition
    has_more: bool
    """Whether there may be more at once."""


@dataclasses.dataclass(frozen=True, slots=True)
class HistoryQuery:
    """Which changes somebody looks for: those that meet all of it; None: any."""

    resource: str | None = None
    """Id of a user or group: its own changes, and those of memberships where it is the member."""
    external_id: str | None = None
    """Deletions of what had this externalId; their ``resource_id`` leads to the rest."""
    credential: str | None = None
    """Id of the one that made them."""
    types: frozenset[str] = frozenset()
    """Empty: all."""
    since: datetime | None = None
    until: datetime | None = None
    """Without it."""


@dataclasses.dataclass(frozen=True, slots=True)
class HistoryPage:
    """Changes, the newest first."""

    changes: Sequence[Change]
    next: int | None
    """Where to go on: ``before`` of the next page; None: there is nothing older. A page may be short, or empty, and
    still have one, since each looks at so many rows."""


@dataclasses.dataclass(frozen=True, slots=True)
class LogMark:
    """How far somebody who watches the whole log has come; see ``ChangeLog.changed_tenants``."""

    pk: int = 0
    """SQLite: the last row."""
    unfinished: tuple[int, ...] = ()
    start: int = 0
    """PostgreSQL: transactions from this one on, and those listed, had not finished."""


class ChangeLog(Protocol):
    """The log of a database. All methods raise ``Unavailable`` when it does not answer in time."""

    async def page(
        self, tenant: int, after: FeedPosition | None, *, limit: int, types: frozenset[str] = frozenset()
    ) -> ChangePage:
        """At most ``limit`` changes of a tenant's resources after a position.

        Args:
            tenant: surrogate key.
            after: where to go on; None begins with the oldest that is kept.
            limit: from 1 to ``CHANGE_PAGE``.
            types: only these; none: all. A page may be empty while there is more, since each looks at so many rows.

        Raises:
            ChangesGone: changes after the position are gone, or it is of another history.
        """

    async def head(self, tenant: int) -> FeedPosition:
        """The position after everything that is committed."""

    async def history(
        self, tenant: int, query: HistoryQuery, *, before: int | None = None, limit: int
    ) -> HistoryPage:
        """At most ``limit`` of a tenant's changes, from the newest back.

        What was committed before the first page is on one page exactly. What is committed while somebody turns pages
        may be on a later one or on none: who must not miss it reads ``page``.

        Args:
            tenant: surrogate key.
            query: which of them.
            before: the ``next`` of the page before; None: from the newest on.
            limit: from 1 to ``CHANGE_PAGE``.
        """

    async def forget(self, keep: timedelta, batch: int = 500) -> int:
        """Delete some ``batch`` changes that are older than ``keep``, and what was recorded of such age before there was
        a log of changes; how many were deleted.
        """

    async def changed_tenants(self, since: LogMark | None) -> tuple[LogMark, frozenset[int]]:
        """Tenants with rows that were committed since a mark (with None: none), and the mark to go on from."""


class CommitWatch:
    """Whose changes were committed since one looked last; each look is one statement, whoever waits for it.

    Args:
        change_log: of the store.
    """

    def __init__(self, change_log: ChangeLog) -> None:
        self._change_log = change_log
        self._mark: LogMark | None = None

    async def look(self) -> frozenset[int] | None:
        """Tenants with changes that were committed since the last look; None: perhaps all of them.

        None comes first, and after an outage: PostgreSQL may give transaction ids again that it had given before a
        crash and not written down, and with them a mark means nothing.

        Raises:
            Unavailable: the database does not answer.
        """
        since, self._mark = self._mark, None
        self._mark, tenants = await self._change_log.changed_tenants(since)
        return None if since is None else tenants

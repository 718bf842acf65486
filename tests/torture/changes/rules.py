"""What is right: the log against the tables, a follower's copy against them, and what it was told against the log.

No clock and no I/O. Times are POSIX seconds of the machine's clock, which is also the database's.
"""

import array
import bisect
import dataclasses
import enum
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

PATIENCE: Final = 5.0
"""Seconds after its commit within which a change has to be in an answer that says that this was all."""
USER_TYPES: Final = frozenset(
    f"user.{what}" for what in ("created", "updated", "activated", "deactivated", "deleted")
)
EVIDENCE: Final = 5
"""Examples that one broken promise is shown with, at most."""


class Fault(enum.StrEnum):
    """A broken promise."""

    MISSED = "a committed change was never delivered"
    REPEATED = "a change came twice without a restart"
    DISORDER = "changes of one resource came in another order"
    INVENTED = "what was delivered is not in the log"
    UNWANTED = "a change of a type was delivered that was not asked for"
    HELD_UP = "a change was held up"
    COPY = "a copy differs from the database"
    LOG = "the log does not add up to the database"
    STUCK = "a follower did not catch up"
    FAILED = "the service failed"


class Violation(NamedTuple):
    """A broken promise with its evidence."""

    fault: Fault
    detail: str


class Row(NamedTuple):
    """A committed row of the log."""

    pk: int
    type: str
    resource: str
    member: str | None
    version: int | None
    committed: float | None
    """None: not known (SQLite)."""


@dataclasses.dataclass
class State:
    """Users, groups and memberships, as tables hold them or as somebody believes them to be."""

    users: dict[str, tuple[bool, int]] = dataclasses.field(default_factory=dict)
    """Whether each is active, and its version."""
    groups: dict[str, int] = dataclasses.field(default_factory=dict)
    """The version of each."""
    memberships: set[tuple[str, str]] = dataclasses.field(default_factory=set)
    """Group and member."""


def of_types(types: Collection[str], state: State) -> State:
    """The part of a state that changes of these types tell of; none: all of it."""
    kinds = {one.partition(".")[0] for one in types} or {"user", "group"}
    users = state.users if "user" in kinds else {}
    return State(users, state.groups, state.memberships) if "group" in kinds else State(users)


class Deliveries:
    """What a follower was told: kept as numbers, since a campaign has a million.

    Args:
        began: changes up to this one were there in its first snapshot.
    """

    def __init__(self, began: int = 0) -> None:
        self.began = began
        self.applied = array.array("q")
        """Of changes that went into the copy, in order."""
        self.reached = began
        """The largest of them."""
        self.repeated: list[int] = []
        self.caught_up: list[tuple[float, float]] = []
        """When it asked, and when the answer came, of answers that said that this was all there is."""
        self.runs = 1
        self._asked = array.array("d")
        self._received = array.array("d")
        self._run = array.array("l")

    def receive(self, pks: Iterable[int], asked: float, answered: float, *, is_all: bool) -> None:
        """A page has come."""
        for pk in pks:
            if pk >= len(self._received):
                more = pk + 1 - len(self._received) + 4096
                self._asked.extend([0.0] * more)
                self._received.extend([0.0] * more)
                self._run.extend([0] * more)
            if self._run[pk] == self.runs:
                self.repeated.append(pk)
            self._run[pk] = self.runs
            if not self._received[pk]:
                self._asked[pk], self._received[pk] = asked, answered
        if is_all:
            self.caught_up.append((asked, answered))

    def apply(self, pks: Sequence[int]) -> None:
        """A page has gone into the copy."""
        self.applied.extend(pks)
        self.reached = max([self.reached, *pks])

    def received(self, pk: int) -> tuple[float, float] | None:
        """When a change came first: when it was asked for, and when the answer came; None: never."""
        if pk >= len(self._received) or not self._received[pk]:
            return None
        return self._asked[pk], self._received[pk]


class Outage(NamedTuple):
    """A time within which the database was down, until the service was ready again. No two overlap."""

    begin: float
    end: float


def judge_deliveries(
    rows: Sequence[Row],
    told: Deliveries,
    outages: Sequence[Outage] = (),
    *,
    is_whole: bool = True,
    types: Collection[str] = (),
) -> list[Violation]:
    """What a follower was told, against the log.

    Args:
        rows: all committed rows of the tenant.
        told: what the follower got.
        outages: times that nobody is to blame for.
        is_whole: it took no snapshot since it began: then everything has to have come.
        types: that the follower asked for; none: all.
    """
    expected = [row for row in rows if row.pk > told.began and (not types or row.type in types)]
    if not is_whole:
        expected = [row for row in expected if told.received(row.pk) is not None]
    applied = set(told.applied)
    resources = {row.pk: row.resource for row in rows}
    found = (
        _told_of(Fault.REPEATED, told.repeated),
        _told_of(Fault.REPEATED, _twice(told.applied)),
        _told_of(Fault.MISSED, (row.pk for row in expected if is_whole and row.pk not in applied)),
        _told_of(Fault.INVENTED, (pk for pk in applied if pk not in resources)),
        _told_of(
            Fault.UNWANTED, (row.pk for row in rows if types and row.type not in types and row.pk in applied)
        ),
        _told_of(Fault.DISORDER, _out_of_order(told.applied, resources)),
        _told_of(Fault.HELD_UP, (row.pk for row in expected if _is_held_up(row, told, outages))),
    )
    return [one for one in found if one is not None]


def judge_messages(
    rows: Iterable[Row], said: Collection[tuple[int, str, str, str | None]]
) -> list[Violation]:
    """What messages say, against the log: number, type, resource and member of each change."""
    expected = {one[0] for one in said}
    log = {row[:4] for row in rows if row.pk in expected}
    wrong = _told_of(Fault.INVENTED, (one[0] for one in said if one not in log))
    return [] if wrong is None else [wrong]


def delays(rows: Iterable[Row], told: Deliveries) -> list[float]:
    """Seconds from each commit to its delivery, the shortest first."""
    came = ((row.committed, told.received(row.pk)) for row in rows)
    return sorted(times[1] - since for since, times in came if since is not None and times is not None)


def _told_of(fault: Fault, pks: Iterable[int]) -> Violation | None:
    listed = list(pks)
    return Violation(fault, f"{len(listed)}, such as {listed[:EVIDENCE]}") if listed else None


def _out_of_order(applied: Iterable[int], resources: Mapping[int, str]) -> Iterator[int]:
    last: dict[str, int] = {}
    for pk in applied:
        resource = resources.get(pk, "")
        if last.get(resource, 0) > pk:
            yield pk
        last[resource] = pk


def _twice(applied: Iterable[int]) -> Iterator[int]:
    seen: set[int] = set()
    for pk in applied:
        if pk in seen:
            yield pk
        seen.add(pk)


def _is_held_up(row: Row, told: Deliveries, outages: Sequence[Outage]) -> bool:
    """Whether it was committed long before an answer that said that there is no more, and that it was not in; or it was
    there long before the request that brought it was answered. How far a follower is behind is its own matter.
    """
    if row.committed is None:
        return False
    times = told.received(row.pk)
    first = bisect.bisect_right(told.caught_up, (row.committed + PATIENCE, float("inf")))
    if first < len(told.caught_up) and (times is None or told.caught_up[first][1] < times[1]):
        return True
    if times is None:
        return False
    begin, end = max(row.committed, times[0]), times[1]
    away = sum(max(0.0, min(end, one.end) - max(begin, one.begin)) for one in outages)
    return end - begin - away > PATIENCE


def differences(fault: Fault, name: str, believed: State, truth: State) -> list[Violation]:
    """Where a copy, or what the log adds up to, is not as the tables are."""
    pairs = (
        ("users", believed.users.items(), truth.users.items()),
        ("groups", believed.groups.items(), truth.groups.items()),
        ("memberships", believed.memberships, truth.memberships),
    )
    found: list[Violation] = []
    for what, one, other in pairs:
        surplus, lacking = set(one) - set(other), set(other) - set(one)
        if surplus or lacking:
            examples = f"{sorted(surplus)[:EVIDENCE]} instead of {sorted(lacking)[:EVIDENCE]}"
            found.append(
                Violation(
                    fault, f"{name}: {what}: {len(surplus)} too many, {len(lacking)} missing: {examples}"
                )
            )
    return found


class _Replay:
    """The log carried out, row by row; whatever can't be carried out is noted."""

    def __init__(self) -> None:
        self.state = State()
        self.wrong: list[str] = []
        self._versions: dict[str, int] = {}
        self._members: dict[str, set[str]] = {}

    def carry_out(self, row: Row) -> None:
        kind, _, what = row.type.partition(".")
        self._version(row, what)
        if kind == "user":
            self._user(row, what)
        else:
            self._group(row, what)

    def finish(self) -> State:
        self.state.memberships = {(group, one) for group, members in self._members.items() for one in members}
        return self.state

    def _version(self, row: Row, what: str) -> None:
        """Each version of a resource has a row: of two that follow each other none is left out."""
        before, version = self._versions.get(row.resource, 0), row.version or 0
        if what == "deleted":
            right = version == before and before > 0
        elif what == "created":
            right = (before, version) == (0, 1)
        else:
            right = version in {before, before + 1} and version > 0
        if not right:
            self.wrong.append(f"{row} after version {before}")
        self._versions[row.resource] = version

    def _user(self, row: Row, what: str) -> None:
        users, version = self.state.users, row.version or 0
        active = users.get(row.resource, (True, 0))[0]
        match what:
            case "deleted":
                users.pop(row.resource, None)
            case "activated" | "deactivated":
                if active == (what == "activated"):
                    self.wrong.append(f"{row} of one who was so already")
                users[row.resource] = (what == "activated", version)
            case _:
                users[row.resource] = (active, version)

    def _group(self, row: Row, what: str) -> None:
        members = self._members.setdefault(row.resource, set())
        self.state.groups[row.resource] = row.version or 0
        member = row.member or ""
        match what:
            case "deleted":
                del self.state.groups[row.resource], self._members[row.resource]
            case "member_added" if member not in members:
                members.add(member)
            case "member_removed" if member in members:
                members.remove(member)
            case "member_added" | "member_removed":
                self.wrong.append(f"{row} changes nothing")


def judge_log(rows: Iterable[Row], truth: State) -> list[Violation]:
    """The log, carried out from the beginning, against the tables. Users are active when they are created."""
    replay = _Replay()
    for row in rows:
        replay.carry_out(row)
    found = differences(Fault.LOG, "log", replay.finish(), truth)
    if replay.wrong:
        found.append(Violation(Fault.LOG, f"{len(replay.wrong)}, such as {replay.wrong[:EVIDENCE]}"))
    return found

"""Positions in the log of changes, against a model of PostgreSQL's transactions: nothing missed, nothing twice."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scim_api.store.change_log import FeedPosition, Unfinished
from scim_api.store.errors import ChangesGone
from scim_api.store.sql.change_log import (
    FoundRows,
    checksum,
    mark_of,
    page_parameters,
    read_snapshot,
    rows_wanted,
    to_page,
)
from scim_api.store.sql.transaction_script import Row

TENANT = 7
TYPES = ("user.updated", "user.deleted")


@dataclasses.dataclass
class Transaction:
    """One that writes changes; ``rows`` are seen by others once it has committed."""

    xid: int
    rows: list[Row] = dataclasses.field(default_factory=list)
    committed: bool = False
    ended: bool = False


class Server:
    """What PostgreSQL does with transaction ids, snapshots, sequences and row locks."""

    def __init__(self) -> None:
        self.transactions: list[Transaction] = []
        self.next_xid, self.next_pk = 10, 1

    def begin(self) -> None:
        self.transactions.append(Transaction(self.next_xid))
        self.next_xid += 1

    def open(self) -> list[Transaction]:
        return [one for one in self.transactions if not one.ended]

    def write(self, number: int, resource: str, what: str) -> None:
        """A change of a resource, unless another open transaction has it locked: that one has to end first."""
        writers = self.open()
        if not writers:
            return
        writer = writers[number % len(writers)]
        if any(row[3] == resource for one in writers if one is not writer for row in one.rows):
            return
        writer.rows.append((self.next_pk, f"at {self.next_pk}", what, resource, *[None] * 4, "c", None))
        self.next_pk += 1

    def end(self, number: int, *, commit: bool) -> None:
        if writers := self.open():
            one = writers[number % len(writers)]
            one.ended, one.committed = True, commit

    def snapshot(self) -> Unfinished:
        xmax = max((one.xid for one in self.transactions if one.ended), default=9) + 1
        listed = ",".join(str(one.xid) for one in self.open() if one.xid < xmax)
        return read_snapshot(f"1:{xmax}:{listed}", self.next_xid - 1 - 3)

    def find(self, position: FeedPosition, limit: int, types: frozenset[str]) -> FoundRows:
        """What the statement of a page finds, by the parameters that it gets."""
        _, pk, listed, start, end, wanted, news, after, but, but_from, but_to = page_parameters(
            TENANT, position, limit, types
        )
        late_of = Unfinished(tuple(map(int, listed)), int(start), int(end))
        not_of = Unfinished(tuple(map(int, but)), int(but_from), int(but_to))
        seen = [(one.xid, row) for one in self.transactions if one.committed for row in one.rows]
        late = [row for xid, row in seen if xid in late_of and xid not in not_of and after < row[0] <= pk]
        new = [row for _, row in seen if row[0] > pk]
        mark = next((mark_of(row) for _, row in seen if row[0] == pk), 0)
        rows = [*sorted(late, key=_pk)[:wanted], *sorted(new, key=_pk)[:news]]
        return FoundRows(rows, self.snapshot(), 1, 0, mark)


def _pk(row: Row) -> int:
    return int(row[0])


class Reader:
    """Follows the log with pages of a size."""

    def __init__(self, server: Server, limit: int, types: frozenset[str]) -> None:
        self.server, self.limit, self.types = server, limit, types
        self.position = FeedPosition(TENANT, 1)
        self.read: list[tuple[int, str]] = []

    def page(self) -> bool:
        found = self.server.find(self.position, self.limit, self.types)
        page = to_page(self.position, TENANT, found, self.limit, self.types)
        assert len(page.changes) <= self.limit
        self.read += [(change.pk, change.resource_id) for change in page.changes]
        self.position = page.next
        return page.has_more

    def to_the_end(self) -> None:
        for _ in range(1_000):
            if not self.page():
                return
        raise AssertionError("it never ends")


STEPS = st.lists(
    st.one_of(
        st.just(("begin",)),
        st.tuples(st.just("write"), st.integers(0, 3), st.sampled_from("abcdef"), st.sampled_from(TYPES)),
        st.tuples(st.just("write"), st.integers(0, 3), st.sampled_from("abcdef"), st.sampled_from(TYPES)),
        st.tuples(st.just("commit"), st.integers(0, 3)),
        st.tuples(st.just("roll back"), st.just(3)),
        st.just(("read",)),
        st.just(("read",)),
    ),
    min_size=20,
    max_size=40,
)


@settings(max_examples=300, deadline=None)
@given(STEPS, st.integers(1, 3), st.sampled_from([frozenset(), frozenset(), frozenset({"user.deleted"})]))
def test_everything_committed_is_read_once_and_in_order_for_each_resource(
    steps: Sequence[Any], limit: int, types: frozenset[str]
) -> None:
    server = Server()
    reader = Reader(server, limit, types)
    for _ in range(3):
        server.begin()
    for step in steps:
        match step:
            case ("begin",):
                server.begin()
            case ("write", number, resource, what):
                server.write(number, resource, what)
            case ("commit", number):
                server.end(number, commit=True)
            case ("roll back", number):
                server.end(number, commit=False)
            case ("read",):
                reader.page()
    reader.to_the_end()
    for _ in server.open():
        server.end(0, commit=True)
    reader.to_the_end()

    committed = [row for one in server.transactions if one.committed for row in one.rows]
    wanted = [(row[0], row[3]) for row in committed if not types or row[2] in types]
    assert sorted(reader.read) == sorted(wanted)
    for resource in "abcdef":
        numbers = [pk for pk, one in reader.read if one == resource]
        assert numbers == sorted(numbers)


@pytest.mark.parametrize(
    ("xmax", "age", "end"),
    [
        (100, None, 2**63 - 1),
        (100, 96, 100),
        (100, 99, 103),
        (2**32 + 5, 2**32 + 4 - 2**32, 2**32 + 8),
        (2**32 - 2, -3, 2**32 + 1),
    ],
    ids=["not known", "nobody else", "three more", "in the second epoch", "over the border of an epoch"],
)
def test_the_age_of_a_transaction_tells_which_ids_were_given(xmax: int, age: int | None, end: int) -> None:
    assert read_snapshot(f"1:{xmax}:", age) == Unfinished((), xmax, end)


def test_a_position_is_refused_when_what_comes_after_it_is_not_known() -> None:
    row: Row = (5, "at", "user.updated", "a", *[None] * 4, "c", None)
    position = FeedPosition(TENANT, 1, 5, mark_of(row))
    there = FoundRows([], Unfinished(), 1, 0, mark_of(row))
    assert to_page(position, TENANT, there, 10, frozenset()).changes == []
    for other in (
        there._replace(epoch=2),
        there._replace(mark=0),
        there._replace(mark=checksum("other")),
        there._replace(horizon=6, mark=0),
    ):
        with pytest.raises(ChangesGone):
            to_page(position, TENANT, other, 10, frozenset())
    with pytest.raises(ChangesGone):
        to_page(position, TENANT + 1, there, 10, frozenset())
    assert to_page(position, TENANT, there._replace(horizon=5, mark=0), 10, frozenset()).changes == []


def test_a_page_of_some_types_looks_at_more_rows_than_it_returns() -> None:
    assert rows_wanted(10, frozenset()) == 11
    assert rows_wanted(10, frozenset({"user.deleted"})) == 1_001

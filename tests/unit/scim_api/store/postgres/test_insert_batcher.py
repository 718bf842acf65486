"""Creates that come at once go together, and each request still gets the answer that is its own."""

import asyncio
import uuid
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest

from scim_api.store.change_log import Actor
from scim_api.store.errors import Unavailable
from scim_api.store.postgres.insert_batcher import MAX_BATCH_SIZE, MAX_IN_FLIGHT, InsertBatcher, UserInsert
from scim_api.store.postgres.statements import CREATE, CREATE_MANY
from support.stored import prepared


class Database:
    """Takes statements, and answers when it is told to.

    Attributes:
        taken: names that exist.
        statements: the names in each statement that was run.
    """

    def __init__(self) -> None:
        self.taken: set[str] = set()
        self.statements: list[list[str]] = []
        self.under_way = self.most_under_way = 0
        self.gate = asyncio.Event()
        self.refuses_many: Exception | None = None
        self.refuses: Exception | None = None

    async def write(self, sql: str, *parameters: Any) -> Sequence[Sequence[Any]]:
        """Run ``CREATE`` or ``CREATE_MANY``."""
        many = sql == CREATE_MANY
        assert many or sql == CREATE
        names = parameters[3] if many else [parameters[4]]
        identities = parameters[1] if many else [parameters[2]]
        self.statements.append(list(names))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await self.gate.wait()
        finally:
            self.under_way -= 1
        for refusal in (self.refuses, self.refuses_many if many else None):
            if refusal is not None:
                raise refusal
        if many:
            rows = []
            for identity, name in zip(identities, names, strict=True):
                if name not in self.taken:
                    self.taken.add(name)
                    rows.append((identity, "now", len(self.taken)))
            return rows
        if names[0] in self.taken:
            raise asyncpg.UniqueViolationError("taken")
        self.taken.add(names[0])
        return [("now", len(self.taken))]


def new(name: str) -> UserInsert:
    return UserInsert(1, str(uuid.uuid4()), prepared(name), Actor("actor"))


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def results(tasks: Sequence["asyncio.Task[Any]"]) -> list[Any]:
    return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)


async def begun(creates: InsertBatcher, *names: str) -> list["asyncio.Task[Any]"]:
    tasks = []
    for name in names:
        tasks.append(asyncio.create_task(creates.create(new(name))))
        await settled()
    return tasks


async def test_one_alone_is_written_at_once() -> None:
    database = Database()
    database.gate.set()

    made = await InsertBatcher(database.write).create(new("ada"))

    assert made == ("now", 1)
    assert database.statements == [["ada"]]


async def test_those_that_come_meanwhile_go_together() -> None:
    database = Database()
    tasks = await begun(InsertBatcher(database.write), "a", "b", "e", "d", "c")

    assert database.statements == [["a"], ["b"]]
    database.gate.set()
    found = await results(tasks)

    assert database.statements[2:] == [["c", "d", "e"]]  # in one order everywhere
    assert all(made.created == "now" for made in found)
    assert database.most_under_way == MAX_IN_FLIGHT


async def test_a_statement_takes_no_more_than_its_share() -> None:
    database = Database()
    names = [f"n{number:03}" for number in range(MAX_BATCH_SIZE + 12)]
    tasks = await begun(InsertBatcher(database.write), *names)
    database.gate.set()

    await results(tasks)

    assert max(map(len, database.statements)) == MAX_BATCH_SIZE
    assert database.taken == set(names)


async def test_a_name_that_is_taken_is_refused_to_its_request_alone() -> None:
    database = Database()
    database.taken.add("d")
    tasks = await begun(InsertBatcher(database.write), "a", "b", "c", "d", "e")
    database.gate.set()

    found = await results(tasks)

    assert isinstance(found.pop(3), asyncpg.UniqueViolationError)
    assert all(made.created == "now" for made in found)


async def test_what_is_refused_together_is_tried_one_by_one() -> None:
    """Such as a tenant that was deleted: its creates fail, and no other tenant's."""
    database = Database()
    gone = Unavailable("the tenant was deleted")
    gone.__cause__ = asyncpg.ForeignKeyViolationError("tenant")
    database.refuses_many = gone
    tasks = await begun(InsertBatcher(database.write), "a", "b", "c", "d")
    database.gate.set()

    found = await results(tasks)

    assert all(made.created == "now" for made in found)
    assert database.statements[2:] == [["c", "d"], ["c"], ["d"]]


async def test_when_the_database_is_gone_every_request_is_told_and_none_is_tried_again() -> None:
    database = Database()
    gone = Unavailable("no answer in time")
    gone.__cause__ = TimeoutError()
    database.refuses = gone
    tasks = await begun(InsertBatcher(database.write), "a", "b", "c", "d")
    database.gate.set()

    found = await results(tasks)

    assert all(isinstance(one, Unavailable) for one in found)
    assert len(database.statements) == 3


async def test_a_request_that_ends_while_it_waits_is_not_written() -> None:
    database = Database()
    tasks = await begun(InsertBatcher(database.write), "a", "b", "c", "d")
    tasks[2].cancel()
    database.gate.set()

    await results(tasks)

    assert database.taken == {"a", "b", "d"}


@pytest.mark.parametrize("which", [0, 1])
async def test_a_request_that_ends_while_it_is_written_holds_nobody_up(which: int) -> None:
    database = Database()
    tasks = await begun(InsertBatcher(database.write), "a", "b", "c", "d")
    tasks[which].cancel()
    await settled()
    database.gate.set()

    await results(tasks)

    assert {"c", "d"} <= database.taken

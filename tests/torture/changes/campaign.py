"""One campaign from beginning to end, and its table."""

import asyncio
import collections
import contextlib
import dataclasses
import random
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Final

import asyncpg

from support.postgres import OwnServer
from torture.changes import users_webhook
from torture.changes.client import Unanswered
from torture.changes.copy import Copy
from torture.changes.dispatchers import Dispatchers
from torture.changes.feed import Feed, of_before_a_restore
from torture.changes.follower import Follower
from torture.changes.late import LateTransactions
from torture.changes.leaving import Leaving
from torture.changes.rules import (
    Fault,
    Row,
    State,
    Violation,
    delays,
    differences,
    judge_deliveries,
    judge_log,
)
from torture.changes.schedule import POSTGRESQL_FAULTS, SQLITE_FAULTS, Step, steps
from torture.changes.sql import Table
from torture.changes.subscription import Subscribed
from torture.changes.users_webhook import UsersWebhook
from torture.changes.webhook_side import WebhookSide
from torture.changes.world import Database, World, ground
from torture.changes.writers import Writers

LOOK_SECONDS: Final = 0.5
PROGRESS_SECONDS: Final = 10.0
BACKLOG: Final = 5_000
"""Changes that a follower may be behind before the writers wait for it."""
CATCH_UP_SECONDS: Final = 120.0
LATE_MEMBERS: Final = 20
TENANT: Final = "staying"
Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What a campaign is to be."""

    seed: int
    changes: int
    """It ends with so many in the log, and each kind of fault once,"""
    seconds: float
    """or after so long, whichever comes first."""
    crowd: int
    """Users whom large groups are made of, all of them sometimes."""
    database: Database = "postgresql"
    rounds: int = 1_000
    """In each of which every kind of fault comes once."""


@dataclasses.dataclass(frozen=True, slots=True)
class Told:
    """What became of a follower."""

    name: str
    changes: int
    restarts: int
    snapshots: int
    delays: Sequence[float]
    more: str = ""

    def __str__(self) -> str:
        text = f"{self.changes:,} changes, {self.restarts} restarts, {self.snapshots} snapshots{self.more}"
        if not self.delays:
            return text
        half, most = self.delays[len(self.delays) // 2], self.delays[len(self.delays) * 99 // 100]
        return f"{text}; from commit to page p50 {half:.2f} s, p99 {most:.2f} s"


@dataclasses.dataclass
class Result:
    """What a campaign found."""

    plan: Plan
    seconds: float
    faults: collections.Counter[str]
    changes: int
    late: int
    acknowledged: int
    unanswered: int
    state: State
    followers: list[Told]
    violations: list[Violation]

    def table(self) -> str:
        """For people, in Markdown."""
        done = ", ".join(f"{what} {number}" for what, number in sorted(self.faults.items()))
        state = self.state
        rows = [
            ("seed, database", f"{self.plan.seed}, {self.plan.database}"),
            ("minutes", f"{self.seconds / 60:.1f}"),
            ("changes", f"{self.changes:,}"),
            ("of them committed late, while others went on", f"{self.late:,}"),
            ("writes acknowledged, without an answer", f"{self.acknowledged:,}, {self.unanswered:,}"),
            ("faults", f"{self.faults.total()}: {done}"),
            *((f"follower: {one.name}", str(one)) for one in self.followers),
            (
                "in the end",
                f"{len(state.users):,} users, {len(state.groups):,} groups, {len(state.memberships):,} memberships",
            ),
            ("**promises broken**", f"**{len(self.violations)}**"),
        ]
        return "\n".join(
            ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]
            + [f"\n{one.fault}: {one.detail}" for one in self.violations]
        )


def campaign(plan: Plan, say: Say) -> Result:
    """Run one; starting, catching up and judging come on top of its length."""
    with ground(plan.database) as (directory, url, server):
        return asyncio.run(_run(plan, directory, url, server, say))


async def _run(plan: Plan, directory: Path, url: str, server: OwnServer | None, say: Say) -> Result:
    world = World(directory, url, server)
    try:
        await world.start()
        tenant = Subscribed(TENANT, *await world.new_tenant(TENANT))
        return await Campaign(plan, world, tenant, say).run()
    finally:
        await world.stop()


class Campaign:
    """Writers, followers and faults on one world.

    Args:
        plan: what is to be done.
        world: the processes.
        tenant: that is written to and followed.
        say: takes a line of progress.
    """

    def __init__(self, plan: Plan, world: World, tenant: Subscribed, say: Say) -> None:
        self._plan, self._world, self._tenant, self._say = plan, world, tenant.key, say
        self._dice = random.Random(plan.seed)
        self._writers = Writers(world.ports, tenant.token, plan.seed, plan.crowd)
        self._leaving = Leaving(world, plan.seed)
        self._late = LateTransactions(world.url, tenant.key)
        sources = {name: Feed(world.ports, tenant.token, plan.seed) for name in ("feed", "newcomer")}
        copies = {name: Copy(world.directory / f"{name}.db") for name in (*sources, "sql")}
        self._followers = {name: Follower(name, source, copies[name]) for name, source in sources.items()}
        if plan.database == "postgresql":
            self._followers["sql"] = Follower("sql", Table(world.url, tenant.key), copies["sql"])
        self._background: set[asyncio.Task[None]] = set()
        self._last = 0
        self._kinds = POSTGRESQL_FAULTS if plan.database == "postgresql" else SQLITE_FAULTS
        names = [one.removeprefix("kill ") for one in self._kinds if one.startswith("kill dispatcher")]
        self._dispatchers = Dispatchers(world, tuple(names))
        self._side = WebhookSide(world, self._dispatchers, plan.seed)
        self._users = UsersWebhook(world, self._dispatchers, tenant, plan.seed)
        self._webhooks = (self._users.subscription, self._side.subscription)
        self._faults: collections.Counter[str] = collections.Counter()

    async def run(self) -> Result:
        """From the first write to the verdict."""
        await self._dispatchers.start()
        await self._users.start()
        self._say(f"{self._plan.crowd:,} users")
        await self._writers.gather_crowd(self._plan.crowd)
        if self._plan.database == "postgresql":
            await self._late.prepare()
        for follower in self._followers.values():
            if follower.name != "sql":  # which begins with the oldest change
                follower.told.began = await self._world.tables.last_change(self._tenant)
                await follower.start_anew()
            follower.start()
        began = time.monotonic()
        try:
            await self._side.start()
            await self._go_on(began)
            return await self._judge(time.monotonic() - began)
        finally:
            for task in self._background:
                task.cancel()
            await asyncio.gather(*self._background, return_exceptions=True)
            for follower in self._followers.values():
                await follower.stop()
                follower.copy.close()
            for webhook in self._webhooks:
                await webhook.stop()
            await self._dispatchers.stop()

    async def _go_on(self, began: float) -> None:
        """Write and break until the campaign is over, and everything that lasts has ended."""
        stop = asyncio.Event()
        writing, pushing = self._do(self._writers.run(stop)), self._do(self._side.write(stop))
        more = self._do(self._writers.run_users(stop, users_webhook.CONNECTIONS))
        watching = self._do(self._watch(stop, began))
        breaking = self._do(self._break())
        await asyncio.wait({writing, watching}, return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        self._writers.go.set()
        self._writers.go_users.set()
        breaking.cancel()
        self._say("writers and open transactions end, what was killed comes back, followers catch up")
        await asyncio.wait({writing, more, pushing})
        self._late.end()
        self._side.late.end()
        ended = await asyncio.gather(*self._background, return_exceptions=True)
        for failure in ended:
            if isinstance(failure, Exception):
                raise failure

    async def _watch(self, stop: asyncio.Event, began: float) -> None:
        """Return when the campaign is over; let the writers wait for followers meanwhile."""
        told = began
        while not stop.is_set() and time.monotonic() < began + self._plan.seconds:
            with contextlib.suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                self._last = await self._world.tables.last_change(self._tenant)
                await self._users.look()
            if self._last >= self._plan.changes and self._faults.keys() == set(self._kinds):
                return
            behind = max(self._last - one.told.reached for one in self._whole())
            is_far = behind > BACKLOG or self._users.is_far_behind
            (self._writers.go.clear if is_far else self._writers.go.set)()
            is_enough = is_far or self._users.are_enough
            (self._writers.go_users.clear if is_enough else self._writers.go_users.set)()
            if time.monotonic() > told + PROGRESS_SECONDS:
                told = time.monotonic()
                self._say(
                    f"{self._last:,} changes, {self._faults.total()} faults; {behind:,} to be delivered,"
                    f" {self._users.behind:,} by webhook"
                )
            await asyncio.sleep(LOOK_SECONDS)

    def _whole(self) -> list[Follower]:
        """Followers who are to get everything; a newcomer gets a snapshot instead of what it missed."""
        return [one for one in self._followers.values() if one.name != "newcomer"]

    # -- faults ---------------------------------------------------------------------------------------
    async def _break(self) -> None:
        for step in steps(self._plan.seed, self._plan.seconds, self._kinds, self._plan.rounds):
            await asyncio.sleep(step.wait)
            self._faults[step.fault] += 1
            await self._hit(step)

    async def _hit(self, step: Step) -> None:
        what, _, target = step.fault.partition(" ")
        match what:
            case "kill" if target == "postgresql":
                self._do(self._world.kill_postgresql(step.seconds))
            case "kill" if target.startswith("dispatcher"):
                self._do(self._dispatchers.kill(target, step.seconds))
            case "kill":
                self._do(self._world.kill_api(target, step.seconds))
            case "end":
                with contextlib.suppress(
                    OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError
                ):
                    await self._world.terminate_backends(self._dice)
            case "restart" if target == "webhook":
                for webhook in self._webhooks:
                    await webhook.follower.restart()
            case "restart":
                await self._followers[target].restart()
            case "expire":
                cursor = self._followers[target].copy.cursor
                assert cursor is not None
                await self._followers[target].expire(of_before_a_restore(cursor))
            case "purge":
                self._do(self._leaving.one())
            case _ if target == "open elsewhere":
                self._do(self._late.elsewhere(step.seconds))
            case _:
                for one, late in ((self._writers, self._late), (self._side.writers, self._side.late)):
                    self._do(self._leave_open(one, late, step.seconds, commit=target == "open and commit"))

    async def _leave_open(
        self, writers: Writers, late: LateTransactions, seconds: float, *, commit: bool
    ) -> None:
        """Again when the server ends meanwhile: that has to be seen, too."""
        members = self._dice.sample(writers.crowd, LATE_MEMBERS)
        client, done = writers.client(), False
        while not done:
            try:
                group = await writers.form(client, ())
                people = await writers.make(client, LATE_MEMBERS)
            except Unanswered:
                await asyncio.sleep(LOOK_SECONDS)
            else:
                done = group is not None and await late.here(group, members, people, seconds, commit=commit)
        client.close()

    def _do(self, action: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(action)
        self._background.add(task)
        return task

    # -- the verdict ----------------------------------------------------------------------------------
    async def _judge(self, seconds: float) -> Result:
        found = [*self._writers.failed, *self._dispatchers.failed, *await self._leaving.finish()]
        for follower in self._followers.values():
            if not await follower.finish(CATCH_UP_SECONDS):
                found.append(Violation(Fault.STUCK, follower.name))
        found += await self._users.subscription.finish(CATCH_UP_SECONDS)
        pushed, wrong = await self._side.judge(CATCH_UP_SECONDS)
        found += wrong
        rows, truth = await self._world.tables.log(self._tenant), await self._world.tables.state(self._tenant)
        found += judge_log(rows, truth)
        told = []
        for follower in self._followers.values():
            told.append(self._told(follower, rows))
            found += self._judge_follower(follower, rows, truth)
        found += self._users.subscription.judge(rows, truth)
        for webhook, of in zip(self._webhooks, (rows, pushed), strict=True):
            told.append(dataclasses.replace(self._told(webhook.follower, of), more=webhook.fates()))
        found += [Violation(Fault.FAILED, text) for text in self._world.exceptions()]
        changes = len(rows) + len(pushed) + self._leaving.changes
        late = self._late.committed + self._side.late.committed
        done = (self._writers, self._side.writers)
        return Result(
            self._plan, seconds, self._faults, changes, late, sum(one.acknowledged for one in done),
            sum(one.unanswered for one in done), truth, told, found,
        )  # fmt: skip

    def _judge_follower(self, follower: Follower, rows: Sequence[Row], truth: State) -> list[Violation]:
        is_whole = follower in self._whole()
        found = judge_deliveries(rows, follower.told, self._world.outages, is_whole=is_whole)
        named = [Violation(one.fault, f"{follower.name}: {one.detail}") for one in found]
        return [*named, *differences(Fault.COPY, follower.name, follower.copy.state(), truth)]

    @staticmethod
    def _told(follower: Follower, rows: Sequence[Row]) -> Told:
        told = follower.told
        new = [row for row in rows if row.pk > told.began]
        restarts = told.runs - 1 - follower.snapshots
        return Told(follower.name, len(told.applied), restarts, follower.snapshots, delays(new, told))

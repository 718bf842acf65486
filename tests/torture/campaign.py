"""One campaign from beginning to end, and its table."""

import asyncio
import collections
import contextlib
import dataclasses
import random
import time
from collections.abc import Callable, Iterator
from typing import Final

from localcluster import Tools
from torture.hand_over import HandOver, HandOverCounts
from torture.rules import Gap, Violation, gaps, lost, stuck
from torture.schedule import HAND_OVER_KINDS, KINDS, Step, steps
from torture.traffic import Counts, Traffic
from torture.world import Ground, World, ground, world

OBSERVE_SECONDS: Final = 0.25
PROGRESS_SECONDS: Final = 10.0


@dataclasses.dataclass
class Result:
    """What a campaign found."""

    seed: int
    seconds: float
    faults: collections.Counter[str]
    rotations: int
    tokens: int
    counts: Counts
    people: int
    gaps: list[Gap]
    violations: list[Violation]
    entra: HandOverCounts | None
    """Of the hand-over; None without it."""

    def table(self) -> str:
        """For people, in Markdown."""
        done = ", ".join(f"{what} {number}" for what, number in sorted(self.faults.items()))
        rows = [
            ("seed", self.seed),
            ("minutes", f"{self.seconds / 60:.1f}"),
            ("faults", done),
            ("rotations", self.rotations),
            ("tokens", self.tokens),
            ("answers judged", self.counts.answers),
            ("served", self.counts.served),
            ("refused, rightly", self.counts.refused),
            ("service not available (no answer, 503)", self.counts.unavailable),
            ("writes acknowledged", self.counts.writes),
            ("users read back", self.people),
            ("times a Secret had no valid token", self._gaps()),
            *(self.entra.rows() if self.entra is not None else ()),
            ("**promises broken**", f"**{len(self.violations)}**"),
        ]
        return "\n".join(
            ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]
            + [f"\n{one.fault}: {one.detail}" for one in self.violations]
        )

    def _gaps(self) -> str:
        longest = max((gap.seconds for gap in self.gaps), default=0.0)
        return f"{len(self.gaps)}, the longest {longest:.0f} s" if self.gaps else "0"


def campaign(
    seed: int,
    seconds: float,
    say: Callable[[str], None],
    tools: Tools | None = None,
    scimtokens: int = 3,
    *,
    hand_over: bool = False,
) -> Result:
    """Run one.

    Args:
        seed: of faults and traffic.
        seconds: how long faults go on; starting, mending and reading back come on top of it.
        say: takes a line of progress.
        tools: built when they are not given.
        scimtokens: how many; the traffic of each is the thinner the more there are.
        hand_over: all but the first have an application in Entra, and Microsoft's side fails, too.
    """
    say("starting: control plane, PostgreSQL, two API replicas, two operators")
    with ground(tools) as on:
        return asyncio.run(_campaign(on, seed, seconds, say, scimtokens, hand_over=hand_over))


async def _campaign(
    on: Ground, seed: int, seconds: float, say: Callable[[str], None], scimtokens: int, *, hand_over: bool
) -> Result:
    async with world(on, scimtokens, seed if hand_over else None) as made:
        traffic = Traffic(made.replicas, made.all_tokens, seed, thinner=max(1.0, scimtokens / 3))
        stop = asyncio.Event()
        began = time.time()
        sending = asyncio.create_task(traffic.run(stop))
        watching = asyncio.create_task(_observe(made, stop))
        try:
            faults = await _break(made, traffic, seed, seconds, say)
            say("mending: everything runs; waiting until every ScimToken is Ready")
            await made.settled()
            left = await made.hand_over.settled(say) if made.hand_over is not None else []
        finally:
            stop.set()
            await asyncio.gather(sending, watching)
        without = _gaps(made, began)
        found = [*traffic.violations, *await _read_back(made, traffic), *stuck(without), *left]
        if made.hand_over is not None:
            found += made.hand_over.violations()
        await traffic.close()
        return Result(
            seed, time.time() - began, faults, made.tokens.rotations,
            sum(known.token.published_at is not None for known in made.tokens.known),
            traffic.counts, len(traffic.people), without, found,
            made.hand_over.counts() if made.hand_over is not None else None,
        )  # fmt: skip


async def _observe(made: World, stop: asyncio.Event) -> None:
    while not stop.is_set():
        await made.tokens.observe()
        if made.hand_over is not None:
            await made.hand_over.observe()
        await asyncio.sleep(OBSERVE_SECONDS)


async def _break(
    made: World, traffic: Traffic, seed: int, seconds: float, say: Callable[[str], None]
) -> "collections.Counter[str]":
    faults: collections.Counter[str] = collections.Counter()
    dice = random.Random(seed)
    deadline = time.monotonic() + seconds
    told = time.monotonic()
    edits: set[asyncio.Task[None]] = set()
    names, kinds = made.names, KINDS
    if made.hand_over is not None:
        names, kinds = made.hand_over.names, HAND_OVER_KINDS
    for number, step in enumerate(steps(seed, kinds)):
        if time.monotonic() + step.wait + step.seconds > deadline:
            break
        await asyncio.sleep(step.wait)
        faults[f"{step.action} {step.target}"] += 1
        name = dice.choice(names)
        if step.action == "edit":
            edits.add(asyncio.create_task(made.edits.do(step.target, name, number)))
        elif made.hand_over is not None:
            edit = await made.hand_over.replacing(name)
            edits.add(asyncio.create_task(made.edits.do(edit, name, number)))  # a hand-over is under way
            with _disturbance(made.hand_over):
                await _hit(made, step, name)
        else:
            await _hit(made, step, name)
        if time.monotonic() - told > PROGRESS_SECONDS:
            told = time.monotonic()
            say(
                f"{deadline - told:4.0f} s left: {sum(faults.values())} faults, {made.tokens.rotations} rotations,"
                f" {traffic.counts.answers} answers judged, {len(traffic.violations)} promises broken"
            )
    await asyncio.gather(*edits)
    return faults


@contextlib.contextmanager
def _disturbance(hand_over: HandOver) -> Iterator[None]:
    hand_over.disturbances += 1
    try:
        yield
    finally:
        hand_over.disturbances -= 1


async def _hit(made: World, step: Step, scimtoken: str) -> None:
    match step.action:
        case "kill":
            await made.kill(await made.name_of(step.target), step.seconds)
        case "freeze":
            await made.freeze([await made.name_of(step.target)], step.seconds)
        case "fail-over":
            await made.database.fail_over(step.seconds)
        case "read-only":
            await made.database.read_only(step.seconds)
        case "restore":
            await made.restore(scimtoken)
        case _:
            assert made.hand_over is not None
            await made.hand_over.hit(step, scimtoken)


async def _read_back(made: World, traffic: Traffic) -> list[Violation]:
    """Everybody, through each replica, with a token that is in its time."""
    found: list[Violation] = []
    for replica in made.replicas:
        _, plaintext = traffic.accepted()[-1]
        found += lost(traffic.people.values(), await traffic.read_back(plaintext, replica))
    return found


def _gaps(made: World, began: float) -> list[Gap]:
    now = max(time.time(), began)
    return [
        gap
        for name in made.names
        for gap in gaps([known.token for known in made.tokens.known if known.owner == name], now)
    ]

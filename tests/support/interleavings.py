"""Every interleaving of reconcilers over one world: the explorer of the model test.

The real ``Reconciler`` runs against in-memory ports; each port call is a point where another may go on. Schedules are
explored by replaying prefixes; those that lead to the same world and the same histories are explored once.
"""

import copy
import types
from collections.abc import Callable, Coroutine, Generator, Iterator
from typing import Any

import pytest
import structlog

from scim_operator.api.scimtoken import REPLACES_ANNOTATION
from scim_operator.controller.reconciler import Reconciler
from support.operator_ports import FakeApi, FakeCluster, FakeVerifier, Point
from support.operator_world import ENDPOINT, INSTALLATION, KEY, LEDGER_KEY, PLAINTEXTS, World


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Tens of thousands of runs need no log; for the modules that import it."""
    with structlog.testing.capture_logs():
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
        yield
    structlog.reset_defaults()


MOST_NODES = 40_000
MATTERS = frozenset({"GET", "secret", "create", "replace", "adopt", "delete", "PUT", "DELETE"})


@types.coroutine
def switch(label: str) -> Generator[str, None, None]:
    """Hand control to the explorer."""
    yield label


async def point(label: str) -> None:
    """Switch before every call whose moment matters to another reconciler: the reads of revision and Secret,
    and all writes. The others are done in one go with the call before them.
    """
    if label in MATTERS:
        await switch(label)


class Swapped(Reconciler):
    """Reads ScimToken and Secret before the revision: the order that fails."""

    async def observe(self, key: Any) -> Any:
        from scim_operator.controller.state import State

        cluster = await self._read_cluster(key)
        return State(self._signer, await self._get_connection(key), *cluster)


async def no_pause(_seconds: float) -> None:
    """A lost write is followed by another reconcile at once."""


def reconciler(
    world: World, name: str, kind: type[Reconciler] = Reconciler, point: Point = point
) -> Reconciler:
    """One over ``world``; ``name`` is in all that it makes."""
    numbers = iter(range(100))
    names = iter(range(100))
    return kind(
        api=FakeApi(world, point),
        cluster=FakeCluster(world, point),
        verifier=FakeVerifier(world, point),
        endpoint=ENDPOINT,
        ledger_key=LEDGER_KEY,
        installation_id=INSTALLATION,
        new_token=lambda kind: f"{PLAINTEXTS[kind]}-{name}{next(numbers)}",
        new_id=lambda: f"{name}{next(names)}",
        pause=no_pause,
        clock=lambda: world.now,
        secret_names=lambda _key: world.secrets.keys(),
    )


def settled(**spec: Any) -> World:
    """A world with one published token."""
    world = World()
    world.apply(**spec)
    run_to_end(reconciler(world, "first", Reconciler).reconcile(KEY))
    assert world.secret()["token"] == "token-first0"
    return world


def run_to_end(coroutine: Coroutine[Any, Any, Any]) -> None:
    while True:
        try:
            coroutine.send(None)
        except StopIteration:
            return


Schedule = tuple[int, ...]
"""Who made the first call, who the second, and so on."""
Scenario = tuple[Callable[[], World], Callable[[World], None]]
"""How the world begins, and what somebody does to it at any moment."""


Actor = Coroutine[Any, Any, Any]
MakeActors = Callable[[World, type[Reconciler], Callable[[World], None], str], list[Actor]]
"""Makes those who act on a world; see ``actors``."""


def actors(
    world: World, kind: type[Reconciler], interfere: Callable[[World], None], names: str
) -> list[Actor]:
    async def work(name: str, times: int) -> None:
        one = reconciler(world, name, kind)
        for _ in range(times):
            await switch("begin")
            await one.reconcile(KEY)

    async def somebody() -> None:
        await switch("interfere")
        interfere(world)

    return [*(work(name, 1) for name in names), somebody()]


def fingerprint(world: World, label: str | None = None) -> object:
    """The part of the world that the answer to ``label`` tells, and to reads that follow it in one go (all
    parts without a label). Of the status nothing: no decision about a token rests on it.
    """
    api = (
        world.databases, world.revision, world.owner_uid, tuple((name, str(item.retires_at), str(item.last_used_at)) for name, item in sorted(world.credentials.items())),
        tuple(sorted(world.revoked)), world.oauth_client, tuple(sorted(world.cut_off)),
    )  # fmt: skip
    secrets = tuple(
        (
            name,
            item.owner,
            item.annotations.get(REPLACES_ANNOTATION),
            item.version,
            tuple(sorted(item.data.items())),
        )
        for name, item in sorted(world.secrets.items())
    )
    item: object = None
    if world.object is not None:
        annotations = tuple(sorted(world.object["metadata"]["annotations"].items()))
        item = world.uid, annotations, repr(world.object["spec"])
    if world.entra is not None:
        return _fingerprint_with_entra(world, label, (api, secrets, item))
    match label:
        case "GET" | "PUT" | "DELETE":
            return api, item
        case "secret" | "create" | "replace" | "adopt" | "list" | "delete":
            return secrets, item
        case "begin" | "interfere":
            return item
        case _:
            return api, secrets, item


def _fingerprint_with_entra(world: World, label: str | None, parts: tuple[object, object, object]) -> object:
    """The same where Entra is a part of the world: what it did shows in last uses, and decisions rest on its status."""
    api, secrets, item = parts
    held, job, uses, remembered = world.entra.fingerprint()
    match label:
        case "GET" | "PUT" | "DELETE":
            return api, item, uses, remembered, world.now
        case "secret" | "create" | "replace" | "adopt" | "list" | "delete":
            return secrets, item, remembered, job
        case "graph-validate" | "graph-validate-saved":
            return api, held, world.now
        case "graph-save" | "entra-status" | "interfere":
            return world.now
        case "begin":
            return item, world.now
        case _:
            return *parts, held, job, uses, remembered, world.now


class Run:
    """The actors in one world, moved on one call at a time."""

    def __init__(
        self,
        scenario: Scenario,
        kind: type[Reconciler],
        schedule: Schedule = (),
        names: str = "AB",
        make: MakeActors = actors,
    ) -> None:
        begin, interfere = scenario
        self.world = copy.deepcopy(begin())
        self.schedule: Schedule = ()
        self._running = make(self.world, kind, interfere, names)
        self._labels: list[Any] = [coroutine.send(None) for coroutine in self._running]
        self._history: list[tuple[object, ...]] = [() for _ in self._running]
        for actor in schedule:
            self.step(actor)

    def step(self, actor: int) -> None:
        """Let one actor make its next call."""
        label = self._labels[actor]
        self._history[actor] += ((label, fingerprint(self.world, label)),)
        self.schedule += (actor,)
        try:
            self._labels[actor] = self._running[actor].send(None)
        except StopIteration:
            self._labels[actor] = None

    @property
    def able(self) -> list[int]:
        """Who can still go on."""
        return [number for number, label in enumerate(self._labels) if label is not None]

    @property
    def key(self) -> object:
        """All that can matter later: the world, and what each actor has been told."""
        return fingerprint(self.world), tuple(self._history)

    def close(self) -> None:
        """Forget the actors."""
        for coroutine in self._running:
            coroutine.close()


def states(
    scenario: Scenario, kind: type[Reconciler], names: str = "AB", make: MakeActors = actors
) -> Iterator[Run]:
    """Every state that any schedule leads to, once, depth first.

    A run goes on as long as its next state is new; only a branch taken later is replayed from the start.
    """
    seen: set[object] = set()
    stack: list[Schedule] = [()]
    run = Run(scenario, kind, names=names, make=make)
    while stack:
        schedule = stack.pop()
        if schedule and run.schedule == schedule[:-1]:
            run.step(schedule[-1])
        elif run.schedule != schedule:
            run.close()
            run = Run(scenario, kind, schedule, names, make)
        if run.key in seen:
            continue
        seen.add(run.key)
        assert len(seen) < MOST_NODES, "the space of states is larger than thought; is something unbounded?"
        yield run
        stack += [(*schedule, actor) for actor in run.able]
    run.close()


def explore(
    scenario: Scenario,
    kind: type[Reconciler],
    violated: Callable[[World], str | None],
    make: MakeActors = actors,
) -> tuple[int, str | None]:
    """How many states there are, and the first violation."""
    count = 0
    for count, run in enumerate(states(scenario, kind, make=make), 1):
        fault = violated(run.world)
        if fault is not None:
            return count, f"{fault} after {run.schedule}"
    return count, None

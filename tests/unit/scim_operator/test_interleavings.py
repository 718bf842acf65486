"""Two reconcilers, every interleaving: no published token is ever not accepted.

The real ``Reconciler`` runs against in-memory ports; each port call is a point where the other may go on.
All schedules are explored, those of a paused ex-leader whose write lands late among them, by replaying
prefixes; schedules that lead to the same world and the same histories are explored once.
"""

import copy
import functools
import types
from collections.abc import Callable, Coroutine, Generator, Iterator
from typing import Any

import pytest
import structlog

from scim_operator.models import REVOKE_ANNOTATION, ROTATE_ANNOTATION
from scim_operator.reconcile import Reconciler
from support.operator_world import ENDPOINT, KEY, FakeApi, FakeCluster, FakeProver, World

MOST_NODES = 40_000
MATTERS = frozenset({"GET", "secret", "create", "replace", "PUT", "DELETE"})


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
        from scim_operator.reconcile import _World

        cluster = await self._read_cluster(key)
        return _World(await self._get_connection(key), *cluster)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Tens of thousands of runs need no log."""
    with structlog.testing.capture_logs():
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
        yield
    structlog.reset_defaults()


async def no_pause(_seconds: float) -> None:
    """A lost write is followed by a new look at once."""


def reconciler(world: World, name: str, kind: type[Reconciler]) -> Reconciler:
    numbers = iter(range(100))
    names = iter(range(100))
    return kind(
        api=FakeApi(world, point),
        cluster=FakeCluster(world, point),
        prover=FakeProver(world, point),
        endpoint=ENDPOINT,
        new_token=lambda: f"token-{name}{next(numbers)}",
        new_id=lambda: f"{name}{next(names)}",
        pause=no_pause,
        clock=lambda: world.now,
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


Scenario = tuple[Callable[[], World], Callable[[World], None]]
"""How the world begins, and what somebody does to it at any moment."""


def actors(
    world: World, kind: type[Reconciler], interfere: Callable[[World], None]
) -> list[Coroutine[Any, Any, Any]]:
    async def work(name: str, times: int) -> None:
        one = reconciler(world, name, kind)
        for _ in range(times):
            await switch("begin")
            await one.reconcile(KEY)

    async def somebody() -> None:
        await switch("interfere")
        interfere(world)

    return [work("A", 1), work("B", 1), somebody()]


def fingerprint(world: World, label: str | None = None) -> object:
    """The part of the world that the answer to ``label`` tells, and to reads that follow it in one go (all
    parts without a label). Of the status nothing: no decision about a token rests on it.
    """
    api = (
        world.revision, tuple((name, str(item.retires_at)) for name, item in sorted(world.credentials.items())),
        tuple(sorted(world.revoked)),
    )  # fmt: skip
    secrets = tuple(
        (name, item.version, tuple(sorted(item.data.items()))) for name, item in sorted(world.secrets.items())
    )
    item = tuple(sorted(world.object["metadata"]["annotations"].items())) if world.object else None
    match label:
        case "GET" | "PUT" | "DELETE":
            return api, item
        case "secret" | "create" | "replace":
            return secrets, item
        case "begin" | "interfere":
            return item
        case _:
            return api, secrets, item


def replay(
    scenario: Scenario, kind: type[Reconciler], schedule: tuple[int, ...]
) -> tuple[World, object, list[int]]:
    """Run a schedule; the world then, a key of all that can matter later, and who can still go on."""
    begin, interfere = scenario
    world = copy.deepcopy(begin())
    running = actors(world, kind, interfere)
    labels: list[Any] = [coroutine.send(None) for coroutine in running]
    history: list[list[object]] = [[] for _ in running]
    for actor in schedule:
        history[actor].append((labels[actor], fingerprint(world, labels[actor])))
        try:
            labels[actor] = running[actor].send(None)
        except StopIteration:
            labels[actor] = None
    key = (fingerprint(world), tuple(map(tuple, history)))
    able = [number for number, label in enumerate(labels) if label is not None]
    for coroutine in running:
        coroutine.close()
    return world, key, able


def explore(
    scenario: Scenario, kind: type[Reconciler], violated: Callable[[World], str | None]
) -> tuple[int, str | None]:
    """Depth first through all schedules; how many states, and the first violation."""
    seen: set[object] = set()
    stack: list[tuple[int, ...]] = [()]
    while stack:
        schedule = stack.pop()
        world, key, able = replay(scenario, kind, schedule)
        if key in seen:
            continue
        seen.add(key)
        assert len(seen) < MOST_NODES, "the space of states is larger than thought; is something unbounded?"
        fault = violated(world)
        if fault is not None:
            return len(seen), f"{fault} after {schedule}"
        stack += [(*schedule, actor) for actor in able]
    return len(seen), None


def any_published_is_refused(world: World) -> str | None:
    refused = [token for token in world.published if not world.accepts(token)]
    return f"published and refused: {refused}" if refused else None


def the_present_one_is_refused(world: World) -> str | None:
    token = world.secret().get("token")
    return f"in the Secret and refused: {token}" if token is not None and not world.accepts(token) else None


def nothing(_world: World) -> None:
    """Nobody does anything."""


@functools.cache
def rotation_asked() -> World:
    world = settled()
    world.annotate(ROTATE_ANNOTATION, "please")
    return world


@functools.cache
def revocation_standing() -> World:
    world = settled()
    world.annotate(REVOKE_ANNOTATION, "all-superseded")
    return world


@functools.cache
def no_overlap() -> World:
    return settled(overlap="0s")


@functools.cache
def brand_new() -> World:
    world = World()
    world.apply()
    return world


def another_rotation(world: World) -> None:
    world.annotate(ROTATE_ANNOTATION, "again")


def secret_deleted(world: World) -> None:
    world.secrets.clear()


def database_lost(world: World) -> None:
    world.lose_database()


@pytest.mark.parametrize(
    ("scenario", "violated"),
    [
        ((brand_new, nothing), any_published_is_refused),
        ((rotation_asked, another_rotation), any_published_is_refused),
        ((rotation_asked, secret_deleted), any_published_is_refused),
        ((revocation_standing, another_rotation), the_present_one_is_refused),
        ((no_overlap, another_rotation), the_present_one_is_refused),
    ],
    ids=[
        "first token",
        "rotation and another",
        "rotation while the Secret is deleted",
        "rotation under a revocation",
        "rotation without overlap",
    ],
)
def test_no_interleaving_of_two_reconcilers_rejects_a_published_token(
    scenario: Scenario, violated: Callable[[World], str | None]
) -> None:
    states, fault = explore(scenario, Reconciler, violated)
    assert fault is None
    assert states > 30


def test_the_exploration_finds_the_fault_when_the_secret_is_read_before_the_revision() -> None:
    _, fault = explore((revocation_standing, another_rotation), Swapped, the_present_one_is_refused)
    assert fault is not None


def test_each_end_is_settled_whoever_came_last() -> None:
    """After any end one more reconcile finds a published, accepted, registered token and nothing to do."""
    ends = 0
    stack: list[tuple[int, ...]] = [()]
    seen: set[object] = set()
    while stack:
        schedule = stack.pop()
        world, key, able = replay((rotation_asked, another_rotation), Reconciler, schedule)
        if key in seen:
            continue
        seen.add(key)
        stack += [(*schedule, actor) for actor in able]
        if not able:
            ends += 1
            run_to_end(reconciler(world, "last", Reconciler).reconcile(KEY))
            secret = world.secret()
            assert world.accepts(secret["token"])
            assert "next-token" not in secret
            assert world.condition()["status"] == "True"
    assert ends > 10

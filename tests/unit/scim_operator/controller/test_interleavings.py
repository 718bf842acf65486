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

from scim_operator.api.scimtoken import REPLACES_ANNOTATION, REVOKE_ANNOTATION, ROTATE_ANNOTATION, ScimToken
from scim_operator.controller.reconciler import Reconciler
from support.operator_world import ENDPOINT, KEY, LEDGER_KEY, FakeApi, FakeCluster, FakeVerifier, World

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


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Tens of thousands of runs need no log."""
    with structlog.testing.capture_logs():
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
        yield
    structlog.reset_defaults()


async def no_pause(_seconds: float) -> None:
    """A lost write is followed by another reconcile at once."""


def reconciler(world: World, name: str, kind: type[Reconciler]) -> Reconciler:
    numbers = iter(range(100))
    names = iter(range(100))
    return kind(
        api=FakeApi(world, point),
        cluster=FakeCluster(world, point),
        verifier=FakeVerifier(world, point),
        endpoint=ENDPOINT,
        ledger_key=LEDGER_KEY,
        new_token=lambda: f"token-{name}{next(numbers)}",
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


def actors(
    world: World, kind: type[Reconciler], interfere: Callable[[World], None], names: str
) -> list[Coroutine[Any, Any, Any]]:
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
        world.databases, world.revision, world.owner_uid, tuple((name, str(item.retires_at)) for name, item in sorted(world.credentials.items())),
        tuple(sorted(world.revoked)),
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
    match label:
        case "GET" | "PUT" | "DELETE":
            return api, item
        case "secret" | "create" | "replace" | "adopt" | "list" | "delete":
            return secrets, item
        case "begin" | "interfere":
            return item
        case _:
            return api, secrets, item


class Run:
    """The actors in one world, moved on one call at a time."""

    def __init__(
        self, scenario: Scenario, kind: type[Reconciler], schedule: Schedule = (), names: str = "AB"
    ) -> None:
        begin, interfere = scenario
        self.world = copy.deepcopy(begin())
        self.schedule: Schedule = ()
        self._running = actors(self.world, kind, interfere, names)
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


def states(scenario: Scenario, kind: type[Reconciler], names: str = "AB") -> Iterator[Run]:
    """Every state that any schedule leads to, once, depth first.

    A run goes on as long as its next state is new; only a branch taken later is replayed from the start.
    """
    seen: set[object] = set()
    stack: list[Schedule] = [()]
    run = Run(scenario, kind, names=names)
    while stack:
        schedule = stack.pop()
        if schedule and run.schedule == schedule[:-1]:
            run.step(schedule[-1])
        elif run.schedule != schedule:
            run.close()
            run = Run(scenario, kind, schedule, names)
        if run.key in seen:
            continue
        seen.add(run.key)
        assert len(seen) < MOST_NODES, "the space of states is larger than thought; is something unbounded?"
        yield run
        stack += [(*schedule, actor) for actor in run.able]
    run.close()


def explore(
    scenario: Scenario, kind: type[Reconciler], violated: Callable[[World], str | None]
) -> tuple[int, str | None]:
    """How many states there are, and the first violation."""
    count = 0
    for count, run in enumerate(states(scenario, kind), 1):
        fault = violated(run.world)
        if fault is not None:
            return count, f"{fault} after {run.schedule}"
    return count, None


def any_published_is_refused(world: World) -> str | None:
    refused = [token for token in world.published if not world.accepts(token)]
    return f"published and refused: {refused}" if refused else None


def the_present_one_is_refused(world: World) -> str | None:
    token = world.secret().get("token")
    return f"in the Secret and refused: {token}" if token is not None and not world.accepts(token) else None


def wanted_name(world: World) -> str:
    assert world.object is not None
    return ScimToken.from_object(world.object).secret_name


def nothing(_world: World) -> None:
    """Nobody does anything."""


@functools.cache
def rotation_asked() -> World:
    world = settled()
    world.annotate(ROTATE_ANNOTATION, "please")
    return world


@functools.cache
def at_rest() -> World:
    return settled()


@functools.cache
def revocation_standing() -> World:
    world = settled()
    world.annotate(REVOKE_ANNOTATION, "all-superseded")
    return world


@functools.cache
def restored() -> World:
    """Secret and ScimToken came back from a backup, and a rotation is asked for."""
    world = copy.deepcopy(rotation_asked())
    world.disown()
    world.restore()
    return world


@functools.cache
def half_rotated() -> World:
    """The new token is in the Secret and registered, and not promoted yet."""
    world = copy.deepcopy(rotation_asked())
    world.proof_fails = True
    run_to_end(reconciler(world, "half", Reconciler).reconcile(KEY))
    assert "next-token" in world.secret()
    world.proof_fails = False
    return world


@functools.cache
def renaming() -> World:
    """In the middle of a rotation the Secret is to have another name."""
    world = copy.deepcopy(half_rotated())
    renamed(world)
    return world


@functools.cache
def brand_new() -> World:
    world = World()
    world.apply()
    return world


def another_rotation(world: World) -> None:
    world.annotate(ROTATE_ANNOTATION, "again")


def secret_deleted(world: World) -> None:
    world.secrets.clear()


def owner_reference_lost(world: World) -> None:
    world.disown()


def renamed(world: World) -> None:
    world.apply(secret={"name": "other"})


def renamed_back(world: World) -> None:
    world.apply()


def database_lost(world: World) -> None:
    world.lose_database()


def made_anew(world: World) -> None:
    """``kubectl replace --force``; the old one's Secret is collected."""
    world.recreate()


def made_anew_before_the_secret_is_collected(world: World) -> None:
    world.recreate(collected=False)


@pytest.mark.parametrize(
    ("scenario", "violated"),
    [
        ((brand_new, nothing), any_published_is_refused),
        ((rotation_asked, nothing), any_published_is_refused),
        ((rotation_asked, secret_deleted), any_published_is_refused),
        ((rotation_asked, owner_reference_lost), any_published_is_refused),
        ((restored, nothing), any_published_is_refused),
        ((at_rest, renamed), any_published_is_refused),
        ((half_rotated, renamed), any_published_is_refused),
        ((renaming, renamed_back), any_published_is_refused),
        ((revocation_standing, another_rotation), the_present_one_is_refused),
    ],
    ids=[
        "first token",
        "rotation",
        "rotation while the Secret is deleted",
        "rotation while the Secret loses its owner",
        "rotation after a restore",
        "another name for the Secret",
        "another name during a rotation",
        "the name is changed back during a rotation",
        "rotation under a revocation",
    ],
)
def test_no_interleaving_of_two_reconcilers_rejects_a_published_token(
    scenario: Scenario, violated: Callable[[World], str | None]
) -> None:
    count, fault = explore(scenario, Reconciler, violated)
    assert fault is None
    assert count > 30


def test_the_exploration_finds_the_fault_when_the_secret_is_read_before_the_revision() -> None:
    _, fault = explore((revocation_standing, another_rotation), Swapped, the_present_one_is_refused)
    assert fault is not None


@pytest.mark.parametrize(
    ("begin", "interfere"),
    [
        (rotation_asked, nothing),
        (rotation_asked, database_lost),
        (rotation_asked, owner_reference_lost),
        (restored, nothing),
        (half_rotated, renamed),
        (renaming, renamed_back),
    ],
    ids=[
        "undisturbed",
        "database lost",
        "owner lost",
        "restored",
        "renamed",
        "renamed back",
    ],
)
def test_each_end_is_settled_whoever_came_last(
    begin: Callable[[], World], interfere: Callable[[World], None]
) -> None:
    """After any end one more reconcile brings it about that all that was ever published is accepted."""
    ends = 0
    for run in states((begin, interfere), Reconciler):
        if not run.able:
            ends += 1
            world = copy.deepcopy(run.world)
            run_to_end(reconciler(world, "last", Reconciler).reconcile(KEY))
            [secret] = [item.data for item in world.secrets.values()]
            assert world.secret(wanted_name(world)) == secret
            assert world.accepts(secret["token"])
            assert "next-token" not in secret
            assert world.condition()["status"] == "True"
            assert any_published_is_refused(world) is None
    assert ends > 10


@pytest.mark.parametrize(
    ("begin", "interfere", "names"),
    [
        (rotation_asked, made_anew, "A"),
        (rotation_asked, made_anew_before_the_secret_is_collected, "A"),
        (revocation_standing, made_anew_before_the_secret_is_collected, "A"),
        (at_rest, made_anew, "AB"),
    ],
)
def test_a_scimtoken_made_anew_at_any_moment_ends_all_tokens_of_the_one_before(
    begin: Callable[[], World], interfere: Callable[[World], None], names: str
) -> None:
    ends = 0
    for run in states((begin, interfere), Reconciler, names):
        if not run.able:
            ends += 1
            world = copy.deepcopy(run.world)
            for name in [name for name, secret in world.secrets.items() if secret.owner != world.uid]:
                del world.secrets[name]  # the garbage collector has come
            run_to_end(reconciler(world, "last", Reconciler).reconcile(KEY))
            assert [token for token in world.former if world.accepts(token)] == []
            assert world.accepts(world.secret()["token"])
            assert world.owner_uid == world.uid
            assert world.condition()["status"] == "True"
    assert ends > 3


def test_a_name_changed_and_changed_back_moves_the_token_and_issues_none() -> None:
    for run in states((at_rest, renamed), Reconciler):
        if not run.able:
            for undo in (nothing, renamed_back):
                world = copy.deepcopy(run.world)
                undo(world)
                run_to_end(reconciler(world, "last", Reconciler).reconcile(KEY))
                assert {name: item.data["token"] for name, item in world.secrets.items()} == {
                    wanted_name(world): "token-first0"
                }

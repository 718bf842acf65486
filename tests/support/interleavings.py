"""Reconcilers over one world, and what each call of theirs tells: what the explorer of the model tests moves on.

The real ``Reconciler`` runs against in-memory ports; each port call is a point where another may go on.
"""

import types
from collections.abc import Callable, Coroutine, Generator, Iterator
from typing import Any, Final, Self

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


MATTERS = frozenset({"GET", "secret", "create", "replace", "adopt", "delete", "PUT", "DELETE"})


@types.coroutine
def switch(label: str) -> Generator[str, None, None]:
    """Hand control to the explorer."""
    yield label


class AtOnce(str):
    """The label of a call that is done in one go with the one before it."""

    __slots__ = ()


class Anew(str):
    """No call: an attempt ended with a conflict, and what its actor was told until then it has forgotten.

    Attributes:
        memory: what another attempt depends on besides what it will be told.
    """

    __slots__ = ("memory",)
    memory: tuple[int, ...]

    def __new__(cls, *memory: int) -> Self:
        made = super().__new__(cls, "anew")
        made.memory = memory
        return made


async def point(label: str) -> None:
    """Switch before every call whose moment matters to another reconciler: the reads of revision and Secret,
    and all writes.
    """
    await switch(label if label in MATTERS else AtOnce(label))


SWITCHING: Final = point
"""The explorer's, which goes on with another at each of these."""


class Counted:
    """0, 1, 2 and so on."""

    def __init__(self) -> None:
        self.count = 0

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        self.count += 1
        return self.count - 1


class Attempts:
    """A reconciler's attempts at one reconcile; after a conflict it begins the next, and has forgotten the last.

    Args:
        made: how much it has made of what is numbered.
    """

    def __init__(self, *made: Counted) -> None:
        self._made, self._ended = made, Counted()
        self._one: object = None
        self._at_first: dict[str, object] = {}

    def remember_nothing(self, one: object) -> None:
        """Whose attempts these are."""
        self._one, self._at_first = one, dict(vars(one))

    async def forget(self, _seconds: float) -> None:
        """Its pause after a conflict."""
        assert vars(self._one) == self._at_first, (
            "a reconciler that remembers an attempt has not forgotten it"
        )
        next(self._ended)
        await switch(Anew(self._ended.count, *(one.count for one in self._made)))


async def no_pause(_seconds: float) -> None:
    """A lost write is followed by another attempt at once."""


class Swapped(Reconciler):
    """Reads ScimToken and Secret before the revision: the order that fails."""

    async def observe(self, key: Any) -> Any:
        from scim_operator.controller.state import State

        cluster = await self._read_cluster(key)
        return State(self._signer, await self._get_connection(key), *cluster)


def reconciler(
    world: World, name: str, kind: type[Reconciler] = Reconciler, point: Point = point
) -> Reconciler:
    """One over ``world``; ``name`` is in all that it makes. A lost write is followed by another attempt at once."""
    numbers, names = Counted(), Counted()
    attempts = Attempts(numbers, names)
    one = kind(
        api=FakeApi(world, point),
        cluster=FakeCluster(world, point),
        verifier=FakeVerifier(world, point),
        endpoint=ENDPOINT,
        ledger_key=LEDGER_KEY,
        installation_id=INSTALLATION,
        new_token=lambda kind: f"{PLAINTEXTS[kind]}-{name}{next(numbers)}",
        new_id=lambda: f"{name}{next(names)}",
        pause=attempts.forget if point is SWITCHING else no_pause,
        clock=lambda: world.now,
        secret_names=lambda _key: world.secrets.keys(),
    )
    attempts.remember_nothing(one)
    return one


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


Actor = Coroutine[Any, Any, Any]
MakeActors = Callable[[World, type[Reconciler], Callable[[World], None], str], list[Actor]]
"""Makes those who act on a world; see ``actors``."""


def actors(
    world: World, kind: type[Reconciler], interfere: Callable[[World], None], names: str
) -> list[Actor]:
    async def work(name: str) -> None:
        one = reconciler(world, name, kind)
        await switch("begin")
        await one.reconcile(KEY)

    async def somebody() -> None:
        await switch("interfere")
        interfere(world)

    return [*(work(name) for name in names), somebody()]


def fingerprint(world: World, label: str | None = None) -> object:
    """The part of the world that the answer to ``label`` tells (all parts without a label). Of the status nothing: no
    decision about a token rests on it.
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
        case "begin" | "interfere" | "token":
            return item
        case "status" | "finalizer" | "namespace":
            return world.object is None
        case "verify":
            return api
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
        case "graph-save" | "status" | "entra-status" | "finalizer" | "namespace" | "interfere":
            return world.now, world.object is None
        case "graph-jobs" | "graph-job":
            return job, world.now
        case "verify":
            return api, world.now
        case "begin" | "token":
            return item, remembered, world.now
        case _:
            return *parts, held, job, uses, remembered, world.now

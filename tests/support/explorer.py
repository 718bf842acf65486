"""Every interleaving of actors over one world: the explorer of the model tests.

Schedules that lead to the same world, with each actor told the same, are explored once.
"""

import copy
import dataclasses
import functools
import pickle
from collections.abc import Callable, Iterator
from typing import Any, Final

from scim_operator.controller.reconciler import Reconciler
from support.interleavings import Actor, Anew, AtOnce, MakeActors, Scenario, actors, fingerprint
from support.operator_world import World

MOST_STATES: Final = 60_000
NEW_VERSIONS: Final = frozenset({"create", "replace", "adopt"})
"""Calls whose answer has the Secret's new version."""
Fingerprint = Callable[[Any, str | None], object]
"""The part of a world that the answer to a call tells; all of it without a call."""
Schedule = tuple[int, ...]
"""Who made the first call, who the second, and so on."""


@dataclasses.dataclass(frozen=True)
class State:
    """One that some schedule leads to.

    Attributes:
        world: how it is then; shared with other states, so not to be changed.
        able: who can still go on.
        schedule: the first that was found to lead here.
    """

    world: World
    able: tuple[int, ...]
    schedule: Callable[[], Schedule]


@dataclasses.dataclass(frozen=True, eq=False)
class _Told:
    """What an actor has been told so far, and with it where it stands.

    Attributes:
        actor: its number.
        before: the same before its last call, and the world in which it made that.
        label: its next call; None at its end.
    """

    actor: int
    before: "tuple[_Told, int] | None"
    label: str | None


@dataclasses.dataclass
class _Stage:
    """An actor and the world it acts on, whose number is known."""

    world: World
    actor: Actor
    number: int
    fingerprint: Fingerprint

    def call(
        self, number: int, label: str, copy_of: Callable[[int], World]
    ) -> tuple[object, str | None, tuple[int, ...] | None]:
        """Have it make its next call in another world, and all that go with it.

        Returns:
            What it was told; the label of the call after these, None at the end; and all that it remembers when it
            begins anew there, None when it goes on.
        """
        if number != self.number:
            self._become(copy_of(number))
        told: list[object] = []
        following: str | None = AtOnce(label)
        while isinstance(following, AtOnce):
            version = self.world.version if following in NEW_VERSIONS else None
            told.append((following, self.fingerprint(self.world, following), version))
            following = self._go_on()
        if isinstance(following, Anew):
            # Its first call may be made later, like each that matters, whatever it is.
            first = self._go_on()
            return tuple(told), None if first is None else str(first), following.memory
        return tuple(told), following, None

    def _go_on(self) -> str | None:
        try:
            label: str = self.actor.send(None)
        except StopIteration:
            return None
        return label

    def _become(self, other: World) -> None:
        """The same world, and the same Entra, for those who hold them, but as another one is."""
        entra = self.world.entra
        vars(self.world).update(vars(other))
        if entra is not None:
            vars(entra).update(vars(other.entra), world=self.world)
            self.world.entra = entra


class Explorer:
    """All schedules of some actors over one world, each call made once.

    What a call does depends on the world and on what its actor was told before, and on nothing else: so a state is
    the world and what each has been told, and a call that was made is not made again for another order of what the
    others did. Attempts that ended with a conflict are no part of it: the next one begins like that after any other.
    An actor that is to go on from an earlier point is begun anew and told the same.
    """

    def __init__(
        self,
        scenario: tuple[Callable[[], Any], Callable[[Any], None]],
        kind: type[Any],
        names: str = "AB",
        make: Callable[..., list[Actor]] = actors,
        fingerprint: Fingerprint = fingerprint,
    ) -> None:
        begin, interfere = scenario
        self._fingerprint = fingerprint
        self._make: Callable[[World], list[Actor]] = lambda world: make(world, kind, interfere, names)
        self._worlds: list[World] = []
        self._numbers: dict[object, int] = {}
        self._calls: dict[tuple[int, _Told], tuple[int, _Told]] = {}
        self._told: dict[tuple[_Told, object], _Told] = {}
        self._anew: dict[tuple[int, str | None, tuple[int, ...]], _Told] = {}
        self._waiting: dict[_Told, _Stage] = {}
        self._pickled: list[bytes] = []
        self._begin = self._number(copy.deepcopy(begin()))

    def states(self) -> Iterator[State]:
        """Every state that any schedule leads to, once, depth first."""
        first = self._begin, tuple(self._first_told())
        came_from: dict[object, tuple[Any, int]] = {}

        def schedule(state: object) -> Schedule:
            steps: list[int] = []
            while state in came_from:
                state, actor = came_from[state]
                steps.append(actor)
            return tuple(reversed(steps))

        seen, stack = {first}, [first]
        while stack:
            state = world, told = stack.pop()
            able = tuple(number for number, one in enumerate(told) if one.label is not None)
            yield State(self._worlds[world], able, functools.partial(schedule, state))
            for number in able:
                then, one = self._call(world, told[number])
                following = then, (*told[:number], one, *told[number + 1 :])
                if following not in seen:
                    seen.add(following)
                    came_from[following] = state, number
                    stack.append(following)
            assert len(seen) < MOST_STATES, (
                "the space of states is larger than thought; is something unbounded?"
            )

    def _first_told(self) -> Iterator[_Told]:
        world = copy.deepcopy(self._worlds[self._begin])
        for number, actor in enumerate(self._make(world)):
            yield _Told(number, None, actor.send(None))
            actor.close()

    def _call(self, world: int, told: _Told) -> tuple[int, _Told]:
        """The world and what the actor has been told, after its next call."""
        done = self._calls.get((world, told))
        if done is None:
            done = self._calls[world, told] = self._make_call(world, told)
        return done

    def _make_call(self, number: int, told: _Told) -> tuple[int, _Told]:
        assert told.label is not None
        stage = self._waiting.pop(told, None) or self._again(told)
        answer, label, memory = stage.call(number, told.label, self._copy)
        then = self._told.get((told, answer))
        if then is None:
            then = _Told(told.actor, (told, number), label)
            if memory is not None:
                then = self._anew.setdefault((told.actor, label, memory), then)
            self._told[told, answer] = then
            if label is not None:
                self._waiting[then] = stage
        assert then.label == label, "what an actor does depends on more than what it was told"
        stage.number = self._number(stage.world)
        return stage.number, then

    def _again(self, told: _Told) -> _Stage:
        """An actor that stands there."""
        path: list[tuple[_Told, int]] = []
        while told.before is not None:
            path.append(told.before)
            told = told.before[0]
        world = self._copy(self._begin)
        others = self._make(world)
        actor = others.pop(told.actor)
        for other in others:
            other.close()
        actor.send(None)
        stage = _Stage(world, actor, self._begin, self._fingerprint)
        for before, number in reversed(path):
            stage.call(number, str(before.label), self._copy)
            stage.number = self._calls[number, before][0]
        return stage

    def _copy(self, number: int) -> World:
        world: World = pickle.loads(self._pickled[number])
        return world

    def _number(self, world: World) -> int:
        """That of all worlds which are like this one, for actors and for who checks them."""
        published = tuple(sorted(world.published.items()))
        key = self._fingerprint(world, None), world.version, world.now, published, frozenset(world.former)
        if key not in self._numbers:
            self._numbers[key] = len(self._worlds)
            self._pickled.append(pickle.dumps(world))
            self._worlds.append(self._copy(-1))
        return self._numbers[key]


def states(
    scenario: Scenario, kind: type[Reconciler], names: str = "AB", make: MakeActors = actors
) -> Iterator[State]:
    """Every state that any schedule leads to, once, depth first."""
    return Explorer(scenario, kind, names, make).states()


def ends(
    scenario: Scenario, kind: type[Reconciler], names: str = "AB", make: MakeActors = actors
) -> list[World]:
    """Every world that any schedule ends in, once, to go on with."""
    found = {id(state.world): state.world for state in states(scenario, kind, names, make) if not state.able}
    return [copy.deepcopy(world) for world in found.values()]


def explore(
    scenario: Scenario,
    kind: type[Reconciler],
    violated: Callable[[World], str | None],
    make: MakeActors = actors,
) -> tuple[int, str | None]:
    """How many states there are, and the first violation."""
    count = 0
    for count, state in enumerate(states(scenario, kind, make=make), 1):
        fault = violated(state.world)
        if fault is not None:
            return count, f"{fault} after {state.schedule()}"
    return count, None

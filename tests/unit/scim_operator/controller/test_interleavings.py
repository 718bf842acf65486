"""Two reconcilers, every interleaving: no published token is ever not accepted.

The real ``Reconciler`` runs against in-memory ports; each port call is a point where the other may go on.
All schedules are explored, those of a paused ex-leader whose write lands late among them; schedules that lead
to the same world and the same histories are explored once.
"""

import copy
import functools
from collections.abc import Callable
from datetime import timedelta

import pytest

from scim_operator.api.custom_object import ROTATE_ANNOTATION
from scim_operator.api.scimtoken import REVOKE_ANNOTATION, ScimToken
from scim_operator.controller.reconciler import Reconciler
from support.explorer import ends, explore, states
from support.interleavings import Anew, Scenario, Swapped, fingerprint, quiet, reconciler, run_to_end, settled
from support.operator_world import KEY, World

__all__ = ["quiet"]

FIRST, SECOND = "token-first0", "token-second0"


def any_published_is_refused(world: World) -> str | None:
    refused = [token for token in world.published if not world.accepts(token)]
    return f"published and refused: {refused}" if refused else None


def any_but_the_first_is_refused(world: World) -> str | None:
    refused = [token for token in world.published if token != FIRST and not world.accepts(token)]
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


@functools.cache
def left() -> World:
    """Clients have gone over to the second token, and the first was idle for two hours: it is about to end."""
    world = settled(overlap="untilInUse")
    world.now += timedelta(hours=1)
    world.annotate(ROTATE_ANNOTATION, "please")
    run_to_end(reconciler(world, "second", Reconciler).reconcile(KEY))
    world.now += timedelta(hours=1)
    world.use(SECOND)
    world.now += timedelta(hours=1)
    return world


@functools.cache
def clung_to() -> World:
    """The same, but a client came with the first token half an hour ago."""
    world = copy.deepcopy(left())
    world.now -= timedelta(minutes=30)
    world.use(FIRST)
    world.now += timedelta(minutes=30)
    return world


def another_rotation(world: World) -> None:
    world.annotate(ROTATE_ANNOTATION, "again")


def first_used(world: World) -> None:
    world.use(FIRST)


def second_used(world: World) -> None:
    world.use(SECOND)


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
        ((left, first_used), any_but_the_first_is_refused),
        ((left, another_rotation), any_but_the_first_is_refused),
        ((left, renamed), any_but_the_first_is_refused),
        ((left, owner_reference_lost), any_but_the_first_is_refused),
        ((clung_to, second_used), any_published_is_refused),
        ((clung_to, another_rotation), any_published_is_refused),
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
        "the end of what is left while it is used",
        "the end of what is left during a rotation",
        "the end of what is left, another name for the Secret",
        "the end of what is left while the Secret loses its owner",
        "what is not left stays while the other is used",
        "what is not left stays during a rotation",
    ],
)
def test_no_interleaving_of_two_reconcilers_rejects_a_published_token(
    scenario: Scenario, violated: Callable[[World], str | None]
) -> None:
    count, fault = explore(scenario, Reconciler, violated)
    assert fault is None
    assert count > 30


def reached() -> tuple[int, set[object], set[object]]:
    """How many states there are, the worlds of all of them, and those of ends."""
    found = [
        (not state.able, (fingerprint(state.world), tuple(sorted(state.world.published.items()))))
        for state in states((left, another_rotation), Reconciler)
    ]
    return len(found), {world for _, world in found}, {world for ended, world in found if ended}


def test_attempts_that_ended_with_a_conflict_are_forgotten_and_every_world_is_found_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    number, *worlds = reached()
    monkeypatch.setattr("support.interleavings.SWITCHING", None)  # so that all attempts are remembered
    number_of_all, *all_worlds = reached()
    assert all_worlds == worlds
    assert number < number_of_all / 2


def test_the_exploration_would_lose_worlds_if_it_forgot_what_an_attempt_has_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, worlds, _ = reached()
    monkeypatch.setattr("support.interleavings.Anew", lambda *_: Anew())
    assert reached()[1] != worlds


def test_the_exploration_finds_the_fault_when_the_secret_is_read_before_the_revision() -> None:
    _, fault = explore((revocation_standing, another_rotation), Swapped, the_present_one_is_refused)
    assert fault is not None


def test_the_exploration_finds_the_fault_when_a_token_ends_that_a_client_still_uses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("scim_operator.planning.token_lifecycle.is_followed", lambda *_: True)
    _, fault = explore((clung_to, nothing), Reconciler, any_published_is_refused)
    assert fault is not None


@pytest.mark.parametrize("interfere", [nothing, first_used, another_rotation, renamed])
def test_what_is_left_has_ended_whoever_came_last_and_stays_so(interfere: Callable[[World], None]) -> None:
    """Or it is used before anybody looks: then it goes on."""
    worlds = ends((left, interfere), Reconciler)
    for world in worlds:
        was_ended = not world.accepts(FIRST)
        run_to_end(reconciler(world, "last", Reconciler).reconcile(KEY))
        assert world.condition()["status"] == "True"
        assert any_but_the_first_is_refused(world) is None
        assert world.accepts(FIRST) is not was_ended
        assert was_ended or interfere is not nothing
    assert len(worlds) > 1


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
    worlds = ends((begin, interfere), Reconciler)
    for world in worlds:
        run_to_end(reconciler(world, "last", Reconciler).reconcile(KEY))
        [secret] = [item.data for item in world.secrets.values()]
        assert world.secret(wanted_name(world)) == secret
        assert world.accepts(secret["token"])
        assert "next-token" not in secret
        assert world.condition()["status"] == "True"
        assert any_published_is_refused(world) is None
    assert len(worlds) > 1


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
    worlds = ends((begin, interfere), Reconciler, names)
    for world in worlds:
        for name in [name for name, secret in world.secrets.items() if secret.owner != world.uid]:
            del world.secrets[name]  # the garbage collector has come
        run_to_end(reconciler(world, "last", Reconciler).reconcile(KEY))
        assert [token for token in world.former if world.accepts(token)] == []
        assert world.accepts(world.secret()["token"])
        assert world.owner_uid == world.uid
        assert world.condition()["status"] == "True"
    assert len(worlds) > 1


def test_a_name_changed_and_changed_back_moves_the_token_and_issues_none() -> None:
    worlds = ends((at_rest, renamed), Reconciler)
    assert len(worlds) > 1
    for end in worlds:
        for undo in (nothing, renamed_back):
            world = copy.deepcopy(end)
            undo(world)
            run_to_end(reconciler(world, "last", Reconciler).reconcile(KEY))
            assert {name: item.data["token"] for name, item in world.secrets.items()} == {
                wanted_name(world): "token-first0"
            }

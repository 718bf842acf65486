"""Two reconcilers, every interleaving, while ``spec.auth`` is another and client secrets are rotated: what stands in the
Secret is accepted at every moment, and access tokens end only where somebody asked for it.
"""

import copy
import dataclasses
import functools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from scim_operator.api.custom_object import ROTATE_ANNOTATION
from scim_operator.api.scimtoken import REVOKE_ANNOTATION
from scim_operator.controller.reconciler import Reconciler
from scim_operator.planning.token_lifecycle import TokenLifecycle
from support.explorer import ends, explore
from support.interleavings import quiet, reconciler, run_to_end
from support.operator_world import KEY, World

__all__ = ["quiet"]

Begin = Callable[[], World]
Interfere = Callable[[World], None]
BEARER: dict[str, Any] = {}
OAUTH: dict[str, Any] = {"auth": {"type": "OAuthClientCredentials"}}
SPECS: dict[str, dict[str, Any]] = {"token": BEARER, "secret": OAUTH}
for _name, _subjects in {"identity": ["s1"], "wider": ["s1", "s2"], "other": ["s3"]}.items():
    SPECS[_name] = {
        "auth": {
            "type": "WorkloadIdentity",
            "workloadIdentity": {
                "tenantID": "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
                "subjects": _subjects,
                "audiences": ["api://app"],
            },
        }
    }


def settled(kind: str, overlap: str) -> World:
    world = World()
    world.apply(**SPECS[kind], overlap=overlap)
    run_to_end(reconciler(world, "first", Reconciler).reconcile(KEY))
    assert world.condition()["status"] == "True"
    return world


@functools.cache
def changing(before: str, after: str, overlap: str) -> World:
    world = settled(before, overlap)
    world.apply(**SPECS[after], overlap=overlap)
    return world


@functools.cache
def half_changed(before: str, after: str, overlap: str) -> World:
    """What is new stands in the Secret as pending and is registered, and is not published."""
    world = copy.deepcopy(changing(before, after, overlap))
    world.proof_fails = True
    run_to_end(reconciler(world, "half", Reconciler).reconcile(KEY))
    assert {"next-token", "next-client-secret"} & world.secret().keys()
    world.proof_fails = False
    return world


@functools.cache
def left(before: str, after: str) -> World:
    """Clients have gone over to what another type wants, and what was before was idle for two hours."""
    world = copy.deepcopy(changing(before, after, IN_USE))
    run_to_end(reconciler(world, "second", Reconciler).reconcile(KEY))
    world.now += timedelta(hours=1)
    [present] = [name for name in world.credentials if name.startswith("second")]
    world.use_credential(present)
    world.now += timedelta(hours=1)
    return world


@functools.cache
def asking(kind: str, annotation: str, value: str, overlap: str) -> World:
    world = settled(kind, overlap)
    world.annotate(annotation, value)
    return world


def nothing(_world: World) -> None:
    """Nobody does anything."""


def to(kind: str, overlap: str) -> Interfere:
    return lambda world: world.apply(**SPECS[kind], overlap=overlap)


def database_lost(world: World) -> None:
    world.lose_database()


def secret_deleted(world: World) -> None:
    world.secrets.clear()


def what_is_published_is_refused(world: World) -> str | None:
    """Of the Secret as it is, whatever its type."""
    data = world.secret()
    plaintext = data.get("client-secret", data.get("token"))
    if plaintext is not None:
        return None if world.accepts(plaintext) else f"in the Secret and refused: {plaintext}"
    trusts = [item for item in world.accepted() if item.kind == "WorkloadIdentity"]
    return None if trusts or "client-id" not in data else "a workload identity without any trust"


def what_was_published_is_refused(world: World) -> str | None:
    refused = [token for token in world.published if not world.accepts(token)]
    return f"published and refused: {refused}" if refused else what_is_published_is_refused(world)


def access_tokens_are_ended(world: World) -> str | None:
    ended = world.cut_off
    return f"ended with their access tokens: {list(ended)}" if ended else what_is_published_is_refused(world)


def gone_is_another_than_the_first(world: World) -> str | None:
    """With its access tokens, or published later and refused."""
    refused = [
        token for token in world.published if not token.endswith("first0") and not world.accepts(token)
    ]
    if refused:
        return f"published and refused: {refused}"
    ended = [name for name, item in world.cut_off.items() if item.kind != "BearerToken"]
    return f"ended with their access tokens: {ended}" if ended else what_is_published_is_refused(world)


ALWAYS, IN_USE = "untilExpiry", "untilInUse"
CASES: dict[str, tuple[Begin, Interfere, Callable[[World], str | None]]] = {
    "a first client secret": (lambda: _new("secret"), nothing, what_was_published_is_refused),
    "a first workload identity": (lambda: _new("identity"), nothing, what_was_published_is_refused),
    "a client secret is rotated": (
        lambda: asking("secret", ROTATE_ANNOTATION, "now", ALWAYS), nothing, what_was_published_is_refused,
    ),
    "a client secret is rotated without overlap": (
        lambda: asking("secret", ROTATE_ANNOTATION, "now", "0s"), nothing, access_tokens_are_ended,
    ),
    "a client secret is rotated while the Secret is deleted": (
        lambda: asking("secret", ROTATE_ANNOTATION, "now", ALWAYS), secret_deleted, what_was_published_is_refused,
    ),
    "a client secret is revoked, and rotated again": (
        lambda: asking("secret", REVOKE_ANNOTATION, "all-superseded", ALWAYS),
        lambda world: world.annotate(ROTATE_ANNOTATION, "now"),
        what_is_published_is_refused,
    ),
}  # fmt: skip
_FAULTS = {ALWAYS: what_was_published_is_refused, "0s": what_is_published_is_refused}
for _before, _after, _overlap in [
    ("token", "secret", ALWAYS),
    ("token", "secret", "0s"),
    ("secret", "token", "0s"),
    ("token", "identity", ALWAYS),
    ("identity", "secret", "0s"),
    ("identity", "wider", ALWAYS),
    ("identity", "other", ALWAYS),
]:
    CASES[f"{_before} to {_after}, overlap {_overlap}"] = (
        functools.partial(changing, _before, _after, _overlap),
        nothing,
        _FAULTS[_overlap],
    )
for _before, _after, _third in [
    ("token", "secret", "token"),
    ("secret", "token", "secret"),
    ("identity", "secret", "secret"),
]:
    CASES[f"{_before} is left for {_after}, then {_third}, overlap {IN_USE}"] = (
        functools.partial(left, _before, _after),
        nothing if _after == _third else to(_third, IN_USE),
        gone_is_another_than_the_first,
    )
for _overlap in (ALWAYS, "0s"):
    for _before, _after in [("token", "secret"), ("secret", "identity"), ("identity", "other")]:
        CASES[f"{_before} to {_after} and back at any moment, overlap {_overlap}"] = (
            functools.partial(changing, _before, _after, _overlap),
            to(_before, _overlap),
            what_is_published_is_refused if _after == "other" else _FAULTS[_overlap],
        )
    for _before, _after, _third in [
        ("token", "secret", "token"),
        ("token", "secret", "identity"),
        ("secret", "token", "secret"),
        ("identity", "secret", "identity"),
        ("identity", "token", "secret"),
    ]:
        CASES[f"{_before}, half to {_after}, then {_third}, overlap {_overlap}"] = (
            functools.partial(half_changed, _before, _after, _overlap),
            to(_third, _overlap),
            _FAULTS[_overlap],
        )


def _new(kind: str) -> World:
    world = World()
    world.apply(**SPECS[kind])
    return world


@pytest.mark.parametrize("case", CASES)
def test_no_interleaving_of_two_reconcilers_refuses_what_the_secret_publishes(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, interfere, violated = CASES[case]
    if (
        interfere is not nothing
    ):  # whoever has lost a write begins again with the next reconcile: fewer states
        monkeypatch.setattr("scim_operator.controller.conflicts.MAX_CONFLICTS", 1)
    count, fault = explore((begin, interfere), Reconciler, violated)
    assert fault is None
    assert count > 20


@pytest.mark.parametrize(
    ("before", "after", "interfere"),
    [
        ("token", "secret", database_lost),
        ("secret", "identity", nothing),
        ("identity", "token", nothing),
    ],
)
def test_each_end_of_a_change_is_settled_whoever_came_last(
    before: str, after: str, interfere: Interfere, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One more reconcile, and all that was ever published is accepted, and nothing is half done."""
    monkeypatch.setattr("scim_operator.controller.conflicts.MAX_CONFLICTS", 1)
    worlds = ends((lambda: changing(before, after, ALWAYS), interfere), Reconciler)
    for world in worlds:
        run_to_end(reconciler(world, "last", Reconciler).reconcile(KEY))
        assert what_was_published_is_refused(world) is None
        assert world.condition()["status"] == "True"
        assert not {"next-token", "next-client-secret"} & world.secret().keys()
        assert ("client-id" in world.secret()) is (after != "token")
        assert not world.cut_off
    assert len(worlds) > 1


def test_the_exploration_finds_what_is_pending_and_ended_before_it_leaves_the_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The order that fails: the API ends what is not to be published, and only then it is taken out of the Secret."""
    lifecycle_of = TokenLifecycle.of

    def unaware(*args: Any) -> Any:
        return dataclasses.replace(lifecycle_of(*args), abandoned=False)

    monkeypatch.setattr(TokenLifecycle, "of", unaware)
    scenario = (lambda: half_changed("token", "secret", "0s"), to("token", "0s"))
    _, fault = explore(scenario, Reconciler, what_is_published_is_refused)
    assert fault is not None

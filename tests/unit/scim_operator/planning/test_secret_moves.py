"""The token moves when ``spec.secret.name`` changes: as it is, once, and whatever comes in between."""

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scim_api.contract.admin import Connection, CredentialStatus
from scim_operator.api.custom_object import ROTATE_ANNOTATION
from scim_operator.api.scimtoken import TOKENS_ANNOTATION
from scim_operator.planning.actions import (
    DeleteOrphanedSecret,
    MoveSecret,
    ObservedSecret,
    ReplaceOrphanedSecret,
)
from scim_operator.planning.secret_moves import plan_move
from scim_operator.planning.token_ledger import LedgerEntry, TokenLedger
from support.operator_world import StoredSecret
from support.token_life import SECRET, Life, begun, life, quiet, rotated

__all__ = ["life", "quiet"]

NOW = datetime(2026, 1, 10, tzinfo=UTC)
DAY = timedelta(days=1)
OLDER = LedgerEntry("id1", "1a" * 32, NOW - 2 * DAY, NOW + DAY)
NEWER = LedgerEntry("id2", "2a" * 32, NOW - DAY, NOW + DAY)
API = Connection(namespace="team", name="entra", exists=True, revision="7", now=NOW)


def holding(entry: LedgerEntry | None, *, owned: bool = True, listed: bool = True) -> ObservedSecret:
    """A Secret with this token."""
    return ObservedSecret(
        owned=owned, deleting=False, token=entry.digest if entry else None, next_token=None,
        ledger=TokenLedger((entry,)) if entry and listed else TokenLedger(), public={}, drifted=False, labelled=True,
    )  # fmt: skip


def test_without_other_secrets_nothing_moves() -> None:
    assert plan_move(None, {}, API) is None
    assert plan_move(holding(NEWER), {}, API) is None


def test_a_missing_secret_is_made_from_the_one_of_the_former_name() -> None:
    assert plan_move(None, {"former": holding(OLDER)}, API) == MoveSecret("former")


def test_of_several_former_secrets_the_one_with_the_youngest_token_counts() -> None:
    others = {"a": holding(OLDER), "b": holding(NEWER), "c": holding(OLDER), "d": holding(None)}
    assert plan_move(None, others, API) == MoveSecret("b")


@pytest.mark.parametrize("present", [NEWER, OLDER], ids=["a younger one", "the same"])
def test_a_former_secret_goes_when_the_wanted_one_has_its_token_or_a_younger_one(
    present: LedgerEntry,
) -> None:
    former = dataclasses.replace(holding(OLDER), version="7")
    assert plan_move(holding(present), {"former": former}, API) == ReplaceOrphanedSecret("former")
    noted = dataclasses.replace(holding(present), replaces="former@7")
    assert plan_move(noted, {"former": former}, API) == DeleteOrphanedSecret("former")


@pytest.mark.parametrize("note", ["former@6", "other@7", ""])
def test_a_former_secret_goes_only_at_the_version_that_the_wanted_one_says_it_replaces(note: str) -> None:
    former = dataclasses.replace(holding(OLDER), version="7")
    noted = dataclasses.replace(holding(NEWER), replaces=note)
    assert plan_move(noted, {"former": former}, API) == ReplaceOrphanedSecret("former")


@pytest.mark.parametrize("present", [OLDER, None])
def test_a_former_secret_with_a_younger_token_is_copied_over_the_wanted_one(
    present: LedgerEntry | None,
) -> None:
    assert plan_move(holding(present), {"former": holding(NEWER)}, API) == MoveSecret("former")


def test_a_token_that_only_the_api_lists_counts_too() -> None:
    credential = CredentialStatus(
        id=NEWER.id, digest=NEWER.digest, issued_at=NEWER.issued_at, expires_at=NEWER.expires_at
    )
    api = API.model_copy(update={"credentials": (credential,)})
    unlisted = holding(NEWER, listed=False)
    assert plan_move(holding(OLDER), {"former": unlisted}, api) == MoveSecret("former")


def test_a_restored_secret_of_a_former_name_is_copied_and_never_deleted() -> None:
    restored = {"former": holding(OLDER, owned=False)}
    assert plan_move(None, restored, API) == MoveSecret("former")
    assert plan_move(holding(OLDER), restored, API) is None
    assert plan_move(holding(None), restored, API) is None


# -- with a reconciler


def renamed(life: Life, name: str, **spec: Any) -> None:
    life.world.apply(secret={"name": name}, **spec)


def names(life: Life) -> set[str]:
    return set(life.world.secrets)


def issued(life: Life) -> int:
    return life.made


async def test_a_new_secret_name_moves_the_token_as_it_is_and_the_old_secret_goes(life: Life) -> None:
    first = await begun(life, overlap="0s")
    before = life.world.secrets[SECRET]
    renamed(life, "other", overlap="0s")
    await life.reconcile()
    assert names(life) == {"other"}
    assert life.world.secret("other") == before.data
    assert life.world.secrets["other"].annotations[TOKENS_ANNOTATION] == before.annotations[TOKENS_ANNOTATION]
    assert (issued(life), life.world.live(), life.world.accepts(first)) == (1, 1, True)
    [said] = [message for _, reason, message in life.world.events if reason == "SecretMoved"]
    assert SECRET in said
    assert "other" in said
    assert life.world.object is not None
    assert life.world.object["status"]["secretName"] == "other"


async def test_superseded_tokens_move_with_it(life: Life) -> None:
    first = await begun(life)
    second = await rotated(life)
    renamed(life, "other")
    await life.reconcile()
    life.world.lose_database()
    await life.reconcile()
    assert life.world.secret("other")["token"] == second
    assert (life.world.accepts(first), life.world.accepts(second)) == (True, True)


async def test_a_rotation_under_way_moves_and_ends_under_the_new_name(life: Life) -> None:
    await begun(life)
    life.world.proof_fails = True
    await rotated(life)
    coming = life.world.secret()["next-token"]
    renamed(life, "other")
    life.world.proof_fails = False
    await life.reconcile()
    assert names(life) == {"other"}
    assert (life.world.secret("other")["token"], issued(life)) == (coming, 2)


async def test_a_name_that_is_changed_and_changed_back_keeps_the_token(life: Life) -> None:
    first = await begun(life, overlap="0s")
    for name in ("other", SECRET, "third", "other", SECRET):
        renamed(life, name, overlap="0s")
        await life.reconcile()
        assert names(life) == {name}
        assert life.world.secret(name)["token"] == first
    assert issued(life) == 1


async def test_a_name_that_is_changed_twice_before_anybody_looks_moves_once(life: Life) -> None:
    first = await begun(life)
    renamed(life, "other")
    renamed(life, "third")
    await life.reconcile()
    assert names(life) == {"third"}
    assert life.world.secret("third")["token"] == first


async def test_a_change_while_the_status_is_lost_moves_too(life: Life) -> None:
    first = await begun(life, overlap="0s")
    renamed(life, "other", overlap="0s")
    assert life.world.object is not None
    life.world.object["status"] = {}
    await life.reconcile()
    assert names(life) == {"other"}
    assert (life.world.secret("other")["token"], issued(life)) == (first, 1)


async def test_a_change_in_a_restored_cluster_moves_the_token_out_of_the_restored_secret(life: Life) -> None:
    first = await begun(life)
    renamed(life, "other")
    life.world.disown()
    life.world.restore()
    await life.reconcile()
    await life.reconcile()
    assert (life.world.secret("other")["token"], issued(life)) == (first, 1)
    assert life.world.secrets["other"].owner == "uid-2"
    assert names(life) == {"other", SECRET}, "what is not ours is not deleted"


@pytest.mark.parametrize("copied", [False, True], ids=["before the copy", "after the copy"])
async def test_a_change_back_after_a_crash_leaves_one_secret_with_the_token(life: Life, copied: bool) -> None:
    first = await begun(life, overlap="0s")
    if copied:  # killed before the old Secret was deleted and the status written
        life.world.secrets["other"] = dataclasses.replace(life.world.secrets[SECRET])
    renamed(life, SECRET, overlap="0s")
    await life.reconcile()
    assert names(life) == {SECRET}
    assert (life.world.secret()["token"], issued(life)) == (first, 1)


async def test_a_token_that_was_rotated_after_the_copy_is_the_one_that_moves_back(life: Life) -> None:
    await begun(life, overlap="0s")
    stale = dataclasses.replace(life.world.secrets[SECRET], data=life.world.secret())
    renamed(life, "other", overlap="0s")
    await life.reconcile()
    life.world.now += timedelta(minutes=1)
    life.world.annotate(ROTATE_ANNOTATION, "now")
    await life.reconcile()
    second = life.world.secret("other")["token"]
    life.world.secrets[SECRET] = stale  # the late write of an ex-leader
    renamed(life, SECRET, overlap="0s")
    await life.reconcile()
    assert names(life) == {SECRET}
    assert life.world.secret()["token"] == second
    assert life.world.accepts(second)


def foreign(life: Life, name: str) -> None:
    life.world.secrets[name] = StoredSecret({"password": "x"}, {}, {}, 1, "Deployment theirs")


async def test_a_name_that_is_somebody_elses_is_refused_and_the_old_secret_goes_on(life: Life) -> None:
    first = await begun(life)
    foreign(life, "theirs")
    renamed(life, "theirs")
    assert (await life.reconcile()).requeue
    assert life.world.secret("theirs") == {"password": "x"}
    assert life.world.secret()["token"] == first
    assert (life.world.condition()["status"], life.world.condition()["reason"]) == ("False", "SecretNotOwned")
    assert SECRET in life.world.condition()["message"]
    second = await rotated(life)
    assert second != first
    assert life.world.accepts(second)
    life.world.now += timedelta(days=61)
    await life.reconcile()
    assert life.world.secret()["token"] not in (first, second)
    assert life.world.object is not None
    assert life.world.object["status"]["secretName"] == SECRET


async def test_a_name_that_becomes_free_is_moved_to(life: Life) -> None:
    first = await begun(life)
    foreign(life, "theirs")
    renamed(life, "theirs")
    await life.reconcile()
    del life.world.secrets["theirs"]
    assert not (await life.reconcile()).requeue
    assert names(life) == {"theirs"}
    assert life.world.secret("theirs")["token"] == first
    assert life.world.condition()["status"] == "True"


async def test_a_refused_name_that_is_taken_back_leaves_everything_as_it_was(life: Life) -> None:
    await begun(life)
    foreign(life, "theirs")
    version = life.world.secrets[SECRET].version
    renamed(life, "theirs")
    await life.reconcile()
    renamed(life, SECRET)
    assert not (await life.reconcile()).requeue
    assert names(life) == {SECRET, "theirs"}
    assert life.world.secrets[SECRET].version == version


async def test_no_plaintext_is_in_what_a_move_tells(life: Life) -> None:
    await begun(life)
    renamed(life, "other")
    await life.reconcile()
    assert life.world.object is not None
    assert "sct_" not in json.dumps(life.world.object) + repr(life.world.events)

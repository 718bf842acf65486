"""Whose a Secret is: adopted when it is proven to hold this ScimToken's token, and never otherwise."""

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scim_api.contract.admin import UNKNOWN_REVISION, Connection, CredentialStatus
from scim_operator.api.scimtoken import TOKENS_ANNOTATION, ScimToken
from scim_operator.controller.workqueue import Result
from scim_operator.planning.actions import AdoptSecret, DeleteFormerSecret, ObservedSecret, Refuse
from scim_operator.planning.secret_ownership import is_proven, plan_ownership
from scim_operator.planning.token_ledger import LedgerEntry, TokenLedger
from support.token_life import SECRET, Life, begun, life, quiet, rotated

__all__ = ["life", "quiet"]

NOW = datetime(2026, 1, 10, tzinfo=UTC)
DAY = timedelta(days=1)
ENTRY = LedgerEntry("id1", "1a" * 32, NOW - DAY, NOW + DAY)
TOKEN = ScimToken.from_object({"metadata": {"name": "entra", "namespace": "team", "uid": "u"}})
RESTORED = ObservedSecret(
    owned=False, deleting=False, token=ENTRY.digest, next_token=None, ledger=TokenLedger((ENTRY,)), public={},
    drifted=False, labelled=True,
)  # fmt: skip


def credential(**changes: Any) -> CredentialStatus:
    content = {
        "id": "id1", "digest": ENTRY.digest, "issued_at": ENTRY.issued_at, "expires_at": ENTRY.expires_at,
    }  # fmt: skip
    return CredentialStatus(**(content | changes))


def connection(*credentials: CredentialStatus, **changes: Any) -> Connection:
    content: dict[str, Any] = {
        "namespace": "team", "name": "entra", "exists": True, "revision": "7", "now": NOW,
        "credentials": credentials,
    }  # fmt: skip
    return Connection(**(content | changes))


NEVER_SEEN = connection(exists=False, revision=UNKNOWN_REVISION)


def test_a_restored_secret_whose_token_the_api_accepts_is_proven() -> None:
    assert is_proven(RESTORED, connection(credential()))


def test_a_restored_secret_is_proven_when_the_api_has_never_seen_the_connection() -> None:
    assert is_proven(RESTORED, NEVER_SEEN)


def test_a_secret_that_is_owned_already_is_proven_by_the_same_rules() -> None:
    owned = dataclasses.replace(RESTORED, owned=True)
    assert is_proven(owned, connection(credential()))
    assert not is_proven(owned, connection())


@pytest.mark.parametrize("answer", [connection(credential()), NEVER_SEEN], ids=["accepted", "never seen"])
@pytest.mark.parametrize(
    "changes",
    [
        {"controller": "SealedSecret entra"},
        {"former_owner": True},
        {"labelled": False},
        {"token": None},
        {"token": "ff" * 32},
    ],
    ids=[
        "controlled",
        "of an earlier one",
        "unlabelled",
        "no token",
        "another token",
    ],
)
def test_a_secret_is_not_proven_without_each_of_the_conditions(
    changes: dict[str, Any], answer: Connection
) -> None:
    secret = dataclasses.replace(RESTORED, **changes)
    assert not is_proven(secret, answer)
    assert plan_ownership(TOKEN, secret, answer) != AdoptSecret()


@pytest.mark.parametrize(
    "ledger",
    [TokenLedger(), TokenLedger((dataclasses.replace(ENTRY, digest="ff" * 32),))],
    ids=["none", "another"],
)
def test_a_ledger_proves_only_what_the_api_cannot_know(ledger: TokenLedger) -> None:
    secret = dataclasses.replace(RESTORED, ledger=ledger)
    assert not is_proven(secret, NEVER_SEEN)
    assert is_proven(secret, connection(credential()))


@pytest.mark.parametrize(
    "answer",
    [
        connection(),
        connection(exists=False),
        connection(credential(digest="ff" * 32)),
        connection(credential(retires_at=NOW)),
        connection(credential(expires_at=NOW)),
        connection(revoked=("id1",)),
    ],
    ids=["unknown", "deleted", "another", "retired", "expired", "revoked"],
)
def test_a_token_that_the_api_does_not_accept_for_this_connection_proves_nothing(answer: Connection) -> None:
    assert not is_proven(RESTORED, answer)


def test_the_moment_at_which_a_token_retires_decides() -> None:
    assert is_proven(RESTORED, connection(credential(retires_at=NOW + timedelta(microseconds=1))))


def test_what_is_proven_is_adopted_and_what_is_owned_is_left_alone() -> None:
    assert plan_ownership(TOKEN, RESTORED, connection(credential())) == AdoptSecret()
    owned = dataclasses.replace(RESTORED, owned=True, labelled=False)
    assert plan_ownership(TOKEN, owned, connection(credential())) is None


@pytest.mark.parametrize(
    "changes",
    [{"deleting": True}, {"former_owner": True, "labelled": False}, {"owned": True, "deleting": True}],
)
def test_a_secret_on_its_way_out_is_waited_for_however_proven(changes: dict[str, Any]) -> None:
    refusal = plan_ownership(TOKEN, dataclasses.replace(RESTORED, **changes), connection(credential()))
    assert isinstance(refusal, Refuse)
    assert refusal.reason == "SecretDeleting"
    assert "waiting" in refusal.message


def test_the_secret_of_an_earlier_scim_token_is_deleted_and_not_waited_for() -> None:
    former = dataclasses.replace(RESTORED, former_owner=True)
    assert plan_ownership(TOKEN, former, connection(credential())) == DeleteFormerSecret()
    controlled = dataclasses.replace(former, controller="SealedSecret entra", former_owner=False)
    assert isinstance(plan_ownership(TOKEN, controlled, connection(credential())), Refuse)


def advice(answer: Connection = NEVER_SEEN, **changes: Any) -> str:
    refusal = plan_ownership(TOKEN, dataclasses.replace(RESTORED, **changes), answer)
    assert isinstance(refusal, Refuse)
    assert refusal.reason == "SecretNotOwned"
    assert "spec.secret.name" in refusal.message
    assert len(refusal.message) < 900, "an Event has 1,024 characters"
    return refusal.message


def test_the_advice_about_a_secret_without_labels_is_to_put_them_on_and_never_to_delete_it() -> None:
    said = advice(labelled=False)
    command = (
        "kubectl label secret entra-scim-token -n team --overwrite app.kubernetes.io/managed-by=scim-operator "
        "scim-operator.io/token=entra"
    )
    assert command in said
    assert "delete" not in said.lower()


def test_the_advice_about_a_secret_that_somebody_controls_names_who_and_never_says_to_delete_it() -> None:
    said = advice(controller="SealedSecret entra")
    assert "SealedSecret entra" in said
    assert "delete" not in said.lower()


@pytest.mark.parametrize(
    ("answer", "changes", "doubt"),
    [
        (connection(), {}, "does not accept its token"),
        (connection(), {"token": None}, "holds no token"),
        (NEVER_SEEN, {"ledger": TokenLedger()}, TOKENS_ANNOTATION),
    ],
)
def test_the_advice_about_a_secret_in_doubt_says_why_and_to_ask_the_endpoint_before_it_is_deleted(
    answer: Connection, changes: dict[str, Any], doubt: str
) -> None:
    said = advice(answer, **changes)
    assert doubt in said
    assert said.index("ask the endpoint") < said.index("Delete the Secret only when")


async def restored(life: Life, *, database_lost: bool = False) -> Result:
    """ScimToken and Secret come back from a backup, and an operator looks."""
    life.world.disown()
    life.world.restore()
    if database_lost:
        life.world.lose_database()
    return await life.reconcile()


@pytest.mark.parametrize("database_lost", [False, True])
async def test_a_restored_secret_is_adopted_with_its_token_and_superseded_ones(
    life: Life, database_lost: bool
) -> None:
    first = await begun(life)
    second = await rotated(life)
    assert not (await restored(life, database_lost=database_lost)).requeue
    assert life.world.secret()["token"] == second
    assert (life.world.accepts(first), life.world.accepts(second)) == (True, True)
    assert life.world.secrets[SECRET].owner == "uid-2"
    assert life.world.condition()["status"] == "True"
    assert [reason for _, reason, _ in life.world.events].count("SecretAdopted") == 1


async def test_a_secret_that_loses_its_owner_in_the_middle_of_a_rotation_is_adopted_and_the_rotation_ends(
    life: Life,
) -> None:
    first = await begun(life)
    life.world.proof_fails = True
    await rotated(life)
    coming = life.world.secret()["next-token"]
    life.world.disown()
    life.world.proof_fails = False
    await life.reconcile()
    assert life.world.secret()["token"] == coming
    assert (life.world.accepts(first), life.world.accepts(coming)) == (True, True)


async def test_a_secret_whose_tokens_were_revoked_with_its_scim_token_is_not_adopted(life: Life) -> None:
    token = await begun(life, deletionPolicy="Delete")
    kept = life.world.secrets[SECRET]
    life.world.delete()
    await life.reconcile()
    life.world.purging = False
    await life.reconcile()
    assert not life.world.accepts(token)
    life.world.apply()
    life.world.secrets[SECRET] = kept
    await restored(life)
    assert life.world.condition()["reason"] == "SecretNotOwned"
    assert life.world.secret()["token"] == token


async def test_a_secret_of_an_earlier_scim_token_gives_way_to_the_present_ones(life: Life) -> None:
    first = await begun(life)
    life.world.recreate(collected=False)
    await life.reconcile()
    assert life.steps.index("delete-connection") < life.steps.index("delete-former-secret")
    assert life.world.secret()["token"] != first
    assert not life.world.accepts(first)
    assert life.world.accepts(life.world.secret()["token"])
    assert life.world.secrets[SECRET].owner == "uid-2"

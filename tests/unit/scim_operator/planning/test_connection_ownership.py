"""A connection belongs to one ScimToken, by uid: another of its name ends its tokens before all else."""

import dataclasses
import json
from typing import Any

import pytest

from scim_api.contract.admin import CredentialStatus
from scim_api.contract.tokens import digest
from scim_operator.api.scimtoken import TOKENS_ANNOTATION
from scim_operator.planning.token_ledger import LedgerEntry, TokenLedger
from support.operator_world import KEY, SIGNER, days
from support.token_life import SECRET, Life, begun, life, quiet

__all__ = ["life", "quiet"]


async def test_tokens_of_a_scimtoken_that_was_deleted_and_made_anew_are_refused_first(life: Life) -> None:
    former = await begun(life)
    life.world.recreate()
    await life.reconcile()
    assert not life.world.accepts(former)
    assert life.world.accepts(life.world.secret()["token"])
    assert life.world.condition()["status"] == "True"
    assert life.steps.index("delete-connection") < life.steps.index("write-next-token")
    assert any(reason == "PredecessorRevoked" and "uid-1" in text for _, reason, text in life.world.events)


async def test_they_are_refused_although_nothing_else_can_be_done(life: Life) -> None:
    former = await begun(life)
    life.world.recreate()
    life.world.proof_fails = True
    await life.reconcile()
    assert not life.world.accepts(former)
    assert life.world.condition()["status"] == "False"


@pytest.mark.parametrize(("policy", "purged"), [("Retain", False), ("Delete", True)])
async def test_users_stay_or_go_as_the_policy_of_the_one_before_says(
    life: Life, policy: str, purged: bool
) -> None:
    await begun(life, deletionPolicy=policy)
    life.world.recreate()
    await life.reconcile()
    assert life.world.purging is purged
    assert life.world.condition()["reason"] == ("TenantPurging" if purged else "Ready")


async def test_a_connection_that_belongs_to_none_so_far_is_bound_and_goes_on(life: Life) -> None:
    token = await begun(life)
    life.world.owner_uid = ""
    await life.reconcile()
    assert (life.world.owner_uid, life.world.secret()["token"]) == ("uid-1", token)
    assert life.world.accepts(token)


async def test_a_connection_of_another_uid_goes_on_when_its_secret_has_a_token_that_is_accepted(
    life: Life,
) -> None:
    token = await begun(life)
    life.world.recreate(collected=False)
    life.world.secrets[SECRET].owner = "uid-2"
    await life.reconcile()
    assert (life.world.owner_uid, life.world.secret()["token"]) == ("uid-2", token)
    assert life.world.accepts(token)


async def test_an_api_too_old_to_know_owners_is_asked_for_nothing_new(life: Life) -> None:
    token = await begun(life)
    honest = life.world.connection
    life.world.connection = lambda: honest().model_copy(update={"owner_uid": None})  # type: ignore[method-assign]
    life.world.recreate(collected=False)
    life.world.secrets[SECRET].owner = "uid-2"
    writes = life.world.revision
    await life.reconcile()
    assert life.world.revision == writes
    assert life.world.secret()["token"] == token


async def test_the_namespace_is_read_only_while_the_connection_is_not_bound(life: Life) -> None:
    await begun(life)
    assert life.steps.count("read-namespace") == 1
    await life.reconcile()
    assert "read-namespace" not in life.steps


async def test_a_namespace_made_anew_does_not_get_the_users_of_the_one_before(life: Life) -> None:
    former = await begun(life)
    life.world.namespace_uid = "namespace-2"
    life.world.recreate()
    await life.reconcile()
    assert not life.world.accepts(former)
    ready = life.world.condition()
    assert (ready["status"], ready["reason"]) == ("False", "NamespaceMismatch")
    assert life.world.condition("Stalled")["status"] == "True"
    life.world.tenant_namespace = None  # an administrator has released it
    await life.reconcile()
    assert life.world.condition()["status"] == "True"
    assert life.world.tenant_namespace == "namespace-2"


def forged(token: str, lifetime: float, life: Life) -> TokenLedger:
    """A ledger that lists a token of somebody's own, beside those that are there."""
    held = json.loads(life.world.secrets[SECRET].annotations[TOKENS_ANNOTATION])
    held.pop("hmac")
    entry = LedgerEntry("own", digest(token).hex(), life.world.now, life.world.now + days(lifetime))
    ledger = TokenLedger.from_text(json.dumps(held))
    return dataclasses.replace(ledger, tokens=(entry, *ledger.tokens))


@pytest.mark.parametrize("part", ["token", "next-token", None])
@pytest.mark.parametrize("lifetime", [1, 3650])
async def test_a_token_of_ones_own_in_the_ledger_is_never_accepted(
    life: Life, part: str | None, lifetime: float
) -> None:
    await begun(life)
    secret = life.world.secrets[SECRET]
    secret.annotations[TOKENS_ANNOTATION] = forged("mine", lifetime, life).to_text()
    if part is not None:
        secret.data[part] = "mine"
    secret.version += 1
    await life.reconcile()
    assert not life.world.accepts("mine")
    assert life.world.accepts(life.world.secret()["token"])
    assert life.world.secret().get("next-token") is None


async def test_nor_after_the_database_is_lost(life: Life) -> None:
    token = await begun(life)
    signed = life.world.secrets[SECRET].annotations[TOKENS_ANNOTATION]
    life.world.secrets[SECRET].annotations[TOKENS_ANNOTATION] = forged("mine", 1, life).to_text()
    life.world.lose_database()
    await life.reconcile()
    assert not life.world.accepts("mine")
    assert not life.world.accepts(token)  # nobody can know it any more
    assert life.world.secrets[SECRET].annotations[TOKENS_ANNOTATION] != signed


async def test_a_secret_with_a_token_of_ones_own_before_the_first_registration_is_not_adopted(
    life: Life,
) -> None:
    """Labels and ledger as they should be, but nobody else than the operator can sign one."""
    await begun(life)
    secret = life.world.secrets[SECRET]
    secret.annotations[TOKENS_ANNOTATION] = forged("mine", 1, life).to_text()
    secret.data["token"] = "mine"
    secret.version += 1
    life.world.disown()
    life.world.restore()
    life.world.lose_database()
    await life.reconcile()
    assert life.world.condition()["reason"] == "SecretNotOwned"
    assert not life.world.accepts("mine")


async def test_with_a_new_admin_key_the_ledger_is_signed_anew_and_no_token_ends(life: Life) -> None:
    token = await begun(life)
    annotations: dict[str, Any] = life.world.secrets[SECRET].annotations
    content = json.loads(annotations[TOKENS_ANNOTATION])
    annotations[TOKENS_ANNOTATION] = json.dumps({**content, "hmac": "0" * 64})
    await life.reconcile()
    assert life.world.secret()["token"] == token
    text = life.world.secrets[SECRET].annotations[TOKENS_ANNOTATION]
    assert SIGNER.from_text(KEY, text) == TokenLedger.from_text(json.dumps(content))


async def test_a_token_that_was_written_into_the_database_is_shown_as_superseded_and_ends_with_all_of_them(
    life: Life,
) -> None:
    """Nobody can tell it from one that was issued: docs/threat-model.md says how to end it."""
    published = await begun(life)
    life.world.credentials["own"] = CredentialStatus(
        id="own",
        digest=digest("mine").hex(),
        issued_at=life.world.now,
        expires_at=life.world.now + days(3650),
    )
    life.world.revision += 1
    await life.reconcile()
    assert life.world.accepts("mine")
    assert life.world.object is not None
    shown = {item["id"]: item["state"] for item in life.world.object["status"]["tokens"]}
    assert shown["own"] == "Superseded"
    life.world.annotate("scim-operator.io/revoke", "all-superseded")
    await life.reconcile()
    assert not life.world.accepts("mine")
    assert life.world.accepts(published)

"""A ScimToken that goes with many others: nothing of it is revoked until somebody says so or an hour is over."""

from datetime import timedelta

import pytest

from scim_operator.api.custom_object import Key
from scim_operator.api.scimtoken import FORCE_DELETE_ANNOTATION, ScimToken
from scim_operator.controller.deletions import Deletions
from scim_operator.controller.reconciler import Reconciler
from scim_operator.controller.workqueue import Result
from scim_operator.planning.deletion_limit import CONFIRM_DELETION_ANNOTATION, SETTLE, DeletionLimit
from support.operator_ports import FakeApi, FakeCluster, FakeVerifier
from support.operator_world import ENDPOINT, INSTALLATION, KEY, LEDGER_KEY
from support.token_life import Life, begun, life, quiet

__all__ = ["life", "quiet"]

HOUR = timedelta(hours=1)


async def lost_with_many(life: Life, policy: str) -> str:
    """It and eleven others are deleted at the same time; its token."""
    token = await begun(life, deletionPolicy=policy)
    life.deletions = Deletions(
        DeletionLimit(5, 20), HOUR, lease=("scim-system", "scim-operator"), now=lambda: life.world.now
    )
    life.deletions.count_scimtokens(12)
    life.world.delete()
    for number in range(11):
        life.deletions.wait(Key("team", f"other-{number}"), None)
    return token


async def held(life: Life, policy: str = "Retain") -> str:
    token = await lost_with_many(life, policy)
    assert await life.reconcile() == Result(SETTLE)
    life.world.now += SETTLE
    await life.reconcile()
    assert life.deletions is not None
    assert KEY in life.deletions.held
    return token


@pytest.mark.parametrize("policy", ["Retain", "Delete"])
async def test_its_token_is_accepted_for_an_hour_and_then_it_goes(life: Life, policy: str) -> None:
    token = await held(life, policy)
    assert life.world.accepts(token)
    assert (await life.reconcile()).requeue_after == HOUR - SETTLE
    life.world.now += HOUR
    await life.reconcile()
    life.world.purging = False
    await life.reconcile()
    assert not life.world.accepts(token)
    assert life.world.object is None
    assert life.deletions is not None
    assert KEY not in life.deletions.held


async def test_one_that_is_created_again_goes_on_and_nothing_is_revoked(life: Life) -> None:
    token = await held(life)
    life.world.uid = "uid-2"
    life.world.apply(deletionPolicy="Retain")
    await life.reconcile()
    assert life.world.owner_uid == "uid-2"
    assert life.world.accepts(token)
    assert life.world.accepts(life.world.secret()["token"])
    assert life.world.condition()["status"] == "True"
    assert life.deletions is not None
    assert KEY not in life.deletions.held


async def test_one_whose_finalizer_was_taken_off_by_hand_can_be_created_again_and_keeps_its_users(
    life: Life,
) -> None:
    token = await held(life, "Delete")
    life.world.object = None
    await life.reconcile()
    assert life.world.accepts(token)
    life.world.uid = "uid-2"
    life.world.apply(deletionPolicy="Delete")
    await life.reconcile()
    assert life.world.accepts(token)
    assert not life.world.purging


async def test_one_that_is_created_again_in_a_namespace_made_anew_waits_as_if_it_were_gone(
    life: Life,
) -> None:
    token = await held(life)
    life.world.uid, life.world.namespace_uid = "uid-2", "namespace-2"
    life.world.apply(deletionPolicy="Retain")
    await life.reconcile()
    assert life.world.condition()["reason"] == "DeletionHeld"
    assert (life.world.owner_uid, life.world.tenant_namespace) == ("uid-1", "namespace-1")
    assert life.world.secrets == {}
    life.world.now += HOUR
    await life.reconcile()
    assert not life.world.accepts(token)
    assert life.world.condition()["reason"] == "NamespaceMismatch"


async def test_those_that_came_back_while_no_operator_ran_are_counted_and_go_on(life: Life) -> None:
    token = await begun(life)
    life.world.recreate()
    life.deletions = Deletions(DeletionLimit(5, 20), HOUR, now=lambda: life.world.now)
    life.deletions.count_scimtokens(12)
    for number in range(11):
        life.deletions.wait(Key("team", f"other-{number}"), None)
    assert await life.reconcile() == Result(SETTLE)
    assert life.world.secrets == {}
    life.world.now += SETTLE
    await life.reconcile()
    assert life.world.accepts(token)
    assert life.world.accepts(life.world.secret()["token"])
    assert life.world.owner_uid == "uid-2"
    assert life.world.condition()["status"] == "True"


async def test_one_alone_that_was_made_anew_ends_what_was_before_after_a_moment(life: Life) -> None:
    token = await begun(life)
    life.world.recreate()
    life.deletions = Deletions(DeletionLimit(5, 20), HOUR, now=lambda: life.world.now)
    life.deletions.count_scimtokens(12)
    assert await life.reconcile() == Result(SETTLE)
    life.world.now += SETTLE
    await life.reconcile()
    assert not life.world.accepts(token)
    assert life.world.accepts(life.world.secret()["token"])


async def test_one_that_is_still_there_says_so_with_the_remedies_in_status_and_one_event(life: Life) -> None:
    await held(life, "Delete")
    await life.reconcile()
    ready = life.world.condition()
    assert (ready["status"], ready["reason"]) == ("False", "DeletionHeld")
    assert f"kubectl annotate sct/entra -n team {CONFIRM_DELETION_ANNOTATION}=true" in ready["message"]
    assert "kubectl annotate lease/scim-operator -n scim-system" in ready["message"]
    assert [(kind, reason) for kind, reason, _ in life.world.events].count(("Warning", "DeletionHeld")) == 1
    assert life.world.object is not None
    assert [item["state"] for item in life.world.object["status"]["tokens"]] == ["Active"]


@pytest.mark.parametrize("annotation", [CONFIRM_DELETION_ANNOTATION, FORCE_DELETE_ANNOTATION])
async def test_its_annotation_lets_it_go_at_once(life: Life, annotation: str) -> None:
    token = await held(life, "Delete")
    life.world.annotate(annotation, "true")
    await life.reconcile()
    assert not life.world.accepts(token)


class Vanishing(FakeCluster):
    """The ScimToken is deleted right after its finalizer was set."""

    async def set_finalizer(self, owner: ScimToken, *, present: bool) -> None:
        await super().set_finalizer(owner, present=present)
        self._world.delete()


async def test_one_that_is_deleted_in_the_middle_of_a_reconcile_is_held_too(life: Life) -> None:
    token = await begun(life, deletionPolicy="Retain")
    life.world.apply(deletionPolicy="Delete")
    one = Reconciler(
        api=FakeApi(life.world),
        cluster=Vanishing(life.world),
        verifier=FakeVerifier(life.world),
        endpoint=ENDPOINT,
        ledger_key=LEDGER_KEY,
        installation_id=INSTALLATION,
        clock=lambda: life.world.now,
        deletions=Deletions(DeletionLimit(0, 0), HOUR, now=lambda: life.world.now),
    )
    assert await one.reconcile(KEY) == Result(SETTLE)
    assert life.world.accepts(token)


async def test_a_policy_that_was_changed_right_before_is_not_registered_while_it_is_held(life: Life) -> None:
    """Registering it would revoke the tokens."""
    token = await begun(life, deletionPolicy="Delete")
    life.deletions = Deletions(DeletionLimit(0, 0), HOUR, now=lambda: life.world.now)
    life.world.apply(deletionPolicy="Retain")
    life.world.delete()
    await life.reconcile()
    life.world.now += SETTLE
    await life.reconcile()
    assert life.world.accepts(token)

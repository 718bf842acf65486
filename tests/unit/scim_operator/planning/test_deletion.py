"""The end of a ScimToken: what is revoked, what is waited for, and who may not wait."""

from datetime import timedelta

import pytest

from scim_operator.api.scimtoken import FINALIZER, FORCE_DELETE_ANNOTATION
from scim_operator.controller.workqueue import Result
from support.token_life import Life, begun, life, quiet

__all__ = ["life", "quiet"]

SECRET = "entra-scim-token"


async def test_delete_waits_for_the_purge_and_then_lets_the_object_go(life: Life) -> None:
    life.world.apply(deletionPolicy="Delete")
    await life.reconcile()
    assert life.steps.index("set-finalizer") < life.steps.index("put-connection")
    assert life.world.object is not None
    assert life.world.object["metadata"]["finalizers"] == [FINALIZER]
    token = life.world.secret()["token"]
    life.world.delete()
    outcome = await life.reconcile()
    assert not life.world.accepts(token)
    assert life.world.object is not None
    assert outcome.requeue_after == timedelta(seconds=1)
    life.world.purging = False
    await life.reconcile()
    assert life.world.object is None


async def deleting(life: Life) -> str:
    """One with deletionPolicy Delete and people, as it is right after ``kubectl delete``; its token."""
    life.world.people = 700
    token = await begun(life, deletionPolicy="Delete")
    life.world.delete()
    return token


async def test_the_status_counts_down_while_people_are_erased(life: Life) -> None:
    await deleting(life)
    for left in (700, 200):
        life.world.people = left
        await life.reconcile()
        ready = life.world.condition()
        assert (ready["status"], ready["reason"]) == ("False", "Deleting")
        assert f"{left} users are left" in ready["message"]
        assert life.world.object is not None
        assert life.world.object["status"]["users"] == left
    assert [reason for _, reason, _ in life.world.events].count("Deleting") == 1


async def test_a_deletion_waits_for_the_api_and_says_how_to_let_go(life: Life) -> None:
    token = await deleting(life)
    life.world.api_down = True
    assert (await life.reconcile()).requeue
    ready = life.world.condition()
    assert (ready["status"], ready["reason"]) == ("False", "DeletionBlocked")
    assert "scim-operator.io/force-delete=true" in ready["message"]
    assert ("Warning", "DeletionBlocked") in {(kind, reason) for kind, reason, _ in life.world.events}
    life.world.api_down = False
    await life.reconcile()
    assert not life.world.accepts(token)
    assert life.world.purging


async def test_a_forced_deletion_does_not_wait_and_the_api_finishes_it_later(life: Life) -> None:
    token = await deleting(life)
    life.world.api_down = True
    life.world.annotate(FORCE_DELETE_ANNOTATION, "true")
    assert not (await life.reconcile()).requeue
    assert life.world.object is None
    assert life.world.accepts(token)
    life.world.api_down = False
    await life.reconcile()
    assert not life.world.accepts(token)
    assert life.world.purging


async def test_a_forced_deletion_revokes_first_where_it_can_and_does_not_wait_for_the_people(
    life: Life,
) -> None:
    token = await deleting(life)
    life.world.annotate(FORCE_DELETE_ANNOTATION, "true")
    await life.reconcile()
    assert life.world.object is None
    assert not life.world.accepts(token)
    assert life.world.purging


@pytest.mark.parametrize("value", ["", "false", "yes"])
async def test_only_true_forces(life: Life, value: str) -> None:
    await deleting(life)
    life.world.api_down = True
    life.world.annotate(FORCE_DELETE_ANNOTATION, value)
    await life.reconcile()
    assert life.world.object is not None


async def test_to_force_is_nothing_to_one_that_is_not_being_deleted(life: Life) -> None:
    token = await begun(life, deletionPolicy="Delete")
    life.world.annotate(FORCE_DELETE_ANNOTATION, "true")
    life.world.api_down = True
    await life.reconcile()
    life.world.api_down = False
    await life.reconcile()
    assert life.world.object is not None
    assert life.world.object["metadata"]["finalizers"] == [FINALIZER]
    assert life.world.accepts(token)


@pytest.mark.parametrize("policy", ["Retain", "Delete"])
async def test_a_deletion_needs_no_secret(life: Life, policy: str) -> None:
    token = await begun(life, deletionPolicy=policy)
    life.world.delete()
    life.world.secret_forbidden = True
    await life.reconcile()
    life.world.purging = False
    await life.reconcile()
    assert life.world.object is None
    assert not life.world.accepts(token)


async def test_retain_revokes_when_the_object_is_gone(life: Life) -> None:
    token = await begun(life)
    life.world.delete()
    assert await life.reconcile() == Result()
    assert not life.world.accepts(token)

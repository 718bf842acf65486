"""A spec that this version does not understand: what needs it waits and is reported, all else is done."""

from datetime import timedelta
from typing import Any

import pytest

from scim_operator.api.custom_object import ROTATE_ANNOTATION
from scim_operator.api.scimtoken import FINALIZER, FORCE_DELETE_ANNOTATION, REVOKE_ANNOTATION
from scim_operator.controller.watch_events import cached_scimtoken
from scim_operator.controller.workqueue import Result
from support.operator_world import START, days
from support.token_life import Life, begun, life, quiet, rotated

__all__ = ["life", "quiet"]

UNKNOWN = {"groups": "ReadOnly"}
WAITING = Result(requeue=True, reason="NotUnderstood")


async def upgraded(life: Life, **spec: Any) -> Result:
    """Somebody applies a value of a newer CRD; this operator reconciles."""
    life.world.apply(**{**UNKNOWN, **spec})
    return await life.reconcile()


async def test_it_is_reported_with_the_field_the_remedy_and_how_long_the_token_is_valid(life: Life) -> None:
    token = await begun(life)
    assert await upgraded(life) == WAITING
    ready, stalled = life.world.condition(), life.world.condition("Stalled")
    assert (ready["status"], ready["reason"]) == ("False", "NotUnderstood")
    assert (stalled["status"], stalled["reason"]) == ("True", "NotUnderstood")
    assert "spec.groups (should be 'Enabled' or 'Disabled')" in ready["message"]
    assert "Upgrade the operator" in ready["message"]
    assert "valid until 2026-04-01T00:00:00Z" in ready["message"]
    assert life.world.accepts(token)


async def test_one_event_and_one_status_tell_of_it(life: Life) -> None:
    await begun(life)
    for _ in range(3):
        await upgraded(life)
    assert [reason for _, reason, _ in life.world.events].count("NotUnderstood") == 1
    assert life.world.statuses == 2


async def test_what_the_status_said_stays(life: Life) -> None:
    life.world.apply(tenant="contoso", secret={"name": "mine"})
    await life.reconcile()
    assert life.world.object is not None
    before = life.world.object["status"]
    await upgraded(life, tenant="contoso", secret={"name": "mine"})
    after = life.world.object["status"]
    changed = {"conditions", "observedGeneration"}
    assert {k: v for k, v in after.items() if k not in changed} == {
        k: v for k, v in before.items() if k not in changed
    }
    kinds = [item["type"] for item in after["conditions"]]
    assert sorted(kinds) == sorted([*(item["type"] for item in before["conditions"]), "Stalled"])


async def test_it_counts_as_not_ready_and_its_rotation_as_overdue(life: Life) -> None:
    await begun(life)
    await upgraded(life)
    life.world.now += days(70)
    await life.reconcile()
    assert life.world.object is not None
    cached = cached_scimtoken(life.world.object)
    assert not cached.is_ready
    assert (cached.next_rotation, cached.expires_at) == (START + days(60), START + days(90))


@pytest.mark.parametrize(
    "spec",
    [
        {"groups": "ReadOnly"},
        {"lifetime": 90},
        {"lifetime": "90000d"},
        {"secret": ["name"]},
        {"secret": {"labels": {"a": 1}}},
        {"customFields": [{"name": "shoeSize", "type": "Money"}]},
        {"rateLimit": {"burst": "much"}},
        {"suspend": "Rotation"},
        {"deletionPolicy": "Archive"},
    ],
)
async def test_whatever_field_it_is_nothing_is_issued_and_the_token_stays_as_it_is(
    life: Life, spec: dict[str, Any]
) -> None:
    token = await begun(life)
    life.world.apply(**spec)
    life.world.annotate(ROTATE_ANNOTATION, "now")
    life.world.now += timedelta(days=70)
    assert await life.reconcile() == WAITING
    assert life.world.secret()["token"] == token
    assert life.world.accepts(token)
    assert "put-connection" not in life.steps


async def test_one_that_was_never_understood_gets_no_token_and_no_invented_status(life: Life) -> None:
    assert await upgraded(life, secret={"name": "mine"}) == WAITING
    assert (life.world.secrets, life.world.exists) == ({}, False)
    assert life.world.object is not None
    assert not {"tenant", "secretName"} & life.world.object["status"].keys()
    assert "No token in the Secret is valid" in life.world.condition()["message"]


async def test_everything_goes_on_when_it_is_understood_again(life: Life) -> None:
    first = await begun(life)
    await upgraded(life)
    life.world.annotate(ROTATE_ANNOTATION, "now")
    await life.reconcile()
    life.world.apply(groups="Enabled")
    await life.reconcile()
    assert life.world.secret()["token"] != first
    assert life.world.condition()["status"] == "True"
    assert life.world.accepts(first)
    assert life.world.object is not None
    assert "Stalled" not in {item["type"] for item in life.world.object["status"]["conditions"]}


@pytest.mark.parametrize("request_of", ["id", "all-superseded", "all-before"])
async def test_superseded_tokens_are_revoked_and_the_one_in_the_secret_stays(
    life: Life, request_of: str
) -> None:
    first = await begun(life)
    first_id = life.world.secret()["token-id"]
    life.world.now += timedelta(hours=1)
    second = await rotated(life)
    await upgraded(life)
    request = {"id": first_id, "all-before": f"all-before/{life.world.now.isoformat()}"}.get(
        request_of, request_of
    )
    life.world.annotate(REVOKE_ANNOTATION, request)
    assert await life.reconcile() == WAITING
    assert not life.world.accepts(first)
    assert life.world.accepts(second)
    assert "Revoked" in {reason for _, reason, _ in life.world.events}
    assert sorted(life.states()) == ["Active", "Revoked"]
    await life.reconcile()
    assert "put-connection" not in life.steps


async def test_the_token_in_the_secret_ends_at_once_when_it_is_revoked_and_is_replaced_later(
    life: Life,
) -> None:
    token = await begun(life)
    await upgraded(life)
    life.world.annotate(REVOKE_ANNOTATION, life.world.secret()["token-id"])
    await life.reconcile()
    assert not life.world.accepts(token)
    assert "No token in the Secret is valid" in life.world.condition()["message"]
    life.world.apply(groups="Enabled")
    await life.reconcile()
    assert life.world.secret()["token"] != token
    assert life.world.accepts(life.world.secret()["token"])


async def test_without_its_secret_nobody_can_say_what_is_superseded_and_nothing_is_revoked(
    life: Life,
) -> None:
    token = await begun(life)
    await upgraded(life)
    life.world.secrets.clear()
    life.world.annotate(REVOKE_ANNOTATION, "all-superseded")
    await life.reconcile()
    assert life.world.accepts(token)


async def test_an_invalid_revocation_is_reported_too(life: Life) -> None:
    await begun(life)
    await upgraded(life)
    life.world.annotate(REVOKE_ANNOTATION, "all-before/yesterday")
    await life.reconcile()
    assert "write an RFC 3339 time" in life.world.condition()["message"]
    assert "InvalidRevoke" in {reason for _, reason, _ in life.world.events}


@pytest.mark.parametrize("held", ["Retain", "Delete"])
async def test_a_deletion_goes_by_the_policy_that_the_api_holds(life: Life, held: str) -> None:
    token = await begun(life, deletionPolicy=held)
    await upgraded(life, deletionPolicy="Archive")
    life.world.delete()
    await life.reconcile()
    assert not life.world.accepts(token)
    assert life.world.purging is (held == "Delete")
    life.world.purging = False
    await life.reconcile()
    assert life.world.object is None


async def test_a_deletion_that_waits_for_the_api_says_so_and_can_be_forced(life: Life) -> None:
    await begun(life, deletionPolicy="Delete")
    await upgraded(life, deletionPolicy="Delete")
    assert life.world.object is not None
    assert life.world.object["metadata"]["finalizers"] == [FINALIZER]
    life.world.delete()
    life.world.api_down = True
    await life.reconcile()
    assert life.world.condition()["reason"] == "DeletionBlocked"
    life.world.annotate(FORCE_DELETE_ANNOTATION, "true")
    await life.reconcile()
    assert life.world.object is None

"""Trusts of ``spec.auth.workloadIdentity`` through the real reconciler: how they follow, come back and end."""

from typing import Any

import pytest

from scim_operator.api.scimtoken import REVOKE_ANNOTATION
from scim_operator.planning.actions import IssueReason
from support.auth_life import HOUR, PUBLIC_OF_OAUTH, events, identity, listed, ready
from support.operator_world import START, days
from support.token_life import Life, life, quiet

__all__ = ["life", "quiet"]


async def test_a_trust_is_renewed_in_years_whatever_lifetime_says(life: Life) -> None:
    await ready(life, **identity("s1"), lifetime="1h")
    [first] = life.world.credentials
    life.world.now += days(2400)
    await life.reconcile()
    assert list(life.world.credentials) == [first]
    life.world.now += days(100)
    await life.reconcile()
    assert listed(life) == [("WorkloadIdentity", "Active"), ("WorkloadIdentity", "Superseded")]
    assert life.world.cut_off.keys() == set()


async def test_a_trust_that_a_change_of_type_supersedes_stays_for_a_lifetime(life: Life) -> None:
    await ready(life, **identity("s1"))
    life.world.now += HOUR
    await ready(life, lifetime="30d")
    [trust] = [item for item in life.world.credentials.values() if item.trust is not None]
    assert trust.retires_at == START + HOUR + days(30)
    await ready(life, lifetime="30d", overlap="2h")
    assert life.world.credentials[trust.id].retires_at == START + 3 * HOUR


async def test_a_trust_that_comes_back_in_its_time_is_another_credential(life: Life) -> None:
    """A reconciler that is late may be about to end the former one."""
    await ready(life, **identity("s1"))
    [former] = life.world.credentials
    await ready(life)
    life.world.now += HOUR
    await ready(life, **identity("s1"))
    ends = {item.id: item.retires_at for item in life.world.credentials.values() if item.trust}
    assert ends.pop(former) == START + 6 * HOUR
    assert list(ends.values()) == [None]


async def test_a_wider_trust_leaves_the_former_for_six_hours(life: Life) -> None:
    await ready(life, **identity("s1"))
    [former] = life.world.credentials
    life.world.now += HOUR
    await ready(life, **identity("s1", "s2"))
    assert events(life).count(IssueReason.TRUST_CHANGED) == 1
    assert life.world.credentials[former].retires_at == START + 7 * HOUR
    life.world.now += 6 * HOUR
    await life.reconcile()
    assert listed(life) == [("WorkloadIdentity", "Active")]
    assert life.world.cut_off.keys() == set()


@pytest.mark.parametrize(
    "spec", [identity("s2"), identity("s1", cloud="USGovernment"), identity("s1", audiences=["other"])]
)
async def test_a_trust_that_takes_less_ends_the_former_at_once(life: Life, spec: dict[str, Any]) -> None:
    await ready(life, **identity("s1"))
    [former] = life.world.credentials
    assert await ready(life, **spec) == PUBLIC_OF_OAUTH
    assert former not in life.world.credentials
    assert life.world.cut_off.keys() == {former}
    assert listed(life) == [("WorkloadIdentity", "Active"), ("WorkloadIdentity", "Revoked")]


async def test_the_same_values_in_another_order_are_the_same_trust(life: Life) -> None:
    await ready(life, **identity("s1", "s2"))
    before = dict(life.world.credentials)
    await ready(life, **identity("s2", "s1"))
    assert life.world.credentials == before


async def test_a_trust_that_was_revoked_comes_again_as_another_credential(life: Life) -> None:
    await ready(life, **identity("s1"))
    [former] = life.world.credentials.values()
    life.world.now += HOUR
    life.world.annotate(REVOKE_ANNOTATION, former.id)
    await life.reconcile()
    [present] = life.world.credentials.values()
    assert present.trust == former.trust
    assert present.id != former.id
    assert present.digest != former.digest
    assert life.world.cut_off.keys() == {former.id}
    assert life.world.condition()["status"] == "True"


async def test_a_restored_secret_of_a_workload_identity_is_adopted(life: Life) -> None:
    before = await ready(life, **identity("s1"))
    trusts = dict(life.world.credentials)
    life.world.disown()
    life.world.restore()
    await life.reconcile()
    assert life.world.condition()["status"] == "True"
    assert "SecretAdopted" in events(life)
    assert life.world.secret() == before
    assert life.world.credentials.keys() == trusts.keys()

"""``overlap: untilInUse`` in single situations of a ScimToken's life: what ends when, and what people are told."""

from datetime import timedelta

from support.auth_life import identity
from support.token_life import Life, begun, life, quiet, rotated

__all__ = ["life", "quiet"]


async def test_with_until_in_use_a_token_that_stays_in_use_is_warned_of_before_its_expiry(life: Life) -> None:
    first = await begun(life, lifetime="90d", overlap="untilInUse")
    ends = life.world.published[first]
    life.world.now = ends - timedelta(days=30)
    await life.reconcile()
    due = life.world.now
    while life.world.condition("SupersededTokenInUse")["status"] != "True":
        life.world.use(first)
        if life.world.now >= due:
            outcome = await life.reconcile()
            assert outcome.requeue_after is not None
            due = life.world.now + outcome.requeue_after
        life.world.now += timedelta(minutes=40)
        assert life.world.now < ends
        assert life.world.accepts(first)
    assert life.world.now <= ends - timedelta(days=7) + timedelta(hours=3)
    assert "is refused with it from 2026-04-01" in life.world.condition("SupersededTokenInUse")["message"]


async def test_with_until_in_use_a_token_that_was_left_is_ended_and_the_status_says_so(life: Life) -> None:
    first = await begun(life, overlap="untilInUse")
    life.world.now += timedelta(hours=1)
    second = await rotated(life)
    life.world.now += timedelta(hours=2)
    life.world.use(second)
    await life.reconcile()
    assert not life.world.accepts(first)
    assert life.world.accepts(second)
    assert life.states() == ["Active", "Revoked"]
    assert (await life.reconcile()).requeue_after == timedelta(days=60) - timedelta(hours=2)


async def test_a_trust_that_was_left_for_another_type_ends_with_until_in_use(life: Life) -> None:
    life.world.apply(**identity("s1"), overlap="untilInUse")
    await life.reconcile()
    [trust] = life.world.credentials
    life.world.now += timedelta(hours=1)
    token = await begun(life, overlap="untilInUse", lifetime="30d")
    assert life.world.credentials[trust].retires_at == life.world.now + timedelta(days=30)
    life.world.now += timedelta(hours=2)
    life.world.use(token)
    await life.reconcile()
    assert [item.kind for item in life.world.accepted()] == ["BearerToken"]
    assert life.world.cut_off == {}

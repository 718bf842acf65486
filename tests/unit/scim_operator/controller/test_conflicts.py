"""A write that lost is followed by another reconcile, some times at once."""

import pytest

from scim_operator.api.custom_object import Key
from scim_operator.controller.conflicts import MAX_CONFLICTS, until_no_conflict
from scim_operator.controller.workqueue import Result
from scim_operator.planning.ports import Conflict, KubernetesRejected, KubernetesUnreachable

KEY = Key("team", "app")


class Reconciles:
    """Raises what it was given, one after the other, and then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self._errors, self.calls, self.pauses = list(errors), 0, list[float]()

    async def once(self, key: Key) -> Result:
        assert key == KEY
        self.calls += 1
        if self._errors:
            raise self._errors.pop(0)
        return Result()

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)


async def test_after_a_conflict_it_is_decided_anew() -> None:
    one = Reconciles(Conflict("409"), Conflict("412"))
    assert await until_no_conflict(KEY, one.once, one.pause) == Result()
    assert (one.calls, len(one.pauses)) == (3, 2)


async def test_after_many_conflicts_the_controllers_backoff_goes_on() -> None:
    one = Reconciles(*[Conflict("409")] * MAX_CONFLICTS)
    assert await until_no_conflict(KEY, one.once, one.pause) == Result(requeue=True, reason="Conflict")
    assert one.calls == MAX_CONFLICTS


async def test_what_kubernetes_refuses_is_tried_again_later_and_anything_else_goes_on_up() -> None:
    refused = Reconciles(KubernetesRejected("403"))
    result = await until_no_conflict(KEY, refused.once, refused.pause)
    assert result == Result(requeue=True, reason="KubernetesRejected")
    lost = Reconciles(KubernetesUnreachable("no answer"))
    with pytest.raises(KubernetesUnreachable):
        await until_no_conflict(KEY, lost.once, lost.pause)

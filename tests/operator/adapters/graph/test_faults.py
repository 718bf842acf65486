"""Whatever Microsoft's side does wrong, the adapters raise errors of ours, without a secret in them."""

from datetime import timedelta

import pytest

from entra_standin.graph import GRAPH, LOGIN, Fault
from scim_operator.planning.entra.ports import (
    TRANSIENT,
    EntraError,
)
from unit.entra_standin.token_service import CLIENT_SECRET

from .conftest import SECRET, Stage, hand_over

SIDES = pytest.mark.parametrize("path", [GRAPH, LOGIN], ids=["graph", "login"])


@SIDES
@pytest.mark.parametrize(
    "fault",
    [
        Fault.CONFLICT,
        Fault.THROTTLED,
        Fault.SERVER_ERROR,
        Fault.BAD_GATEWAY,
        Fault.UNAVAILABLE,
        Fault.GATEWAY_TIMEOUT,
        Fault.CLOSED,
        Fault.NESTED,
    ],
)
async def test_a_fault_that_goes_by_itself_is_told_as_one(stage: Stage, fault: Fault, path: str) -> None:
    stage.cloud.faults.inject(fault, path=path)
    assert (await stage.refused()).obstacle in TRANSIENT
    if fault is not Fault.THROTTLED:
        assert len(await stage.graph.jobs(stage.application, stage.identity)) == 1


async def test_a_429_says_when_and_nobody_of_the_tenant_asks_before(stage: Stage) -> None:
    stage.cloud.faults.inject(Fault.THROTTLED, retry_after=40)
    assert (await stage.refused()).retry_after == timedelta(seconds=40)
    asked = stage.cloud.requests.total
    rest = (await stage.refused()).retry_after
    assert rest is not None
    assert timedelta(seconds=20) < rest <= timedelta(seconds=40)
    assert stage.cloud.requests.total == asked


async def test_a_401_in_between_is_not_seen_with_a_cached_token(stage: Stage) -> None:
    await stage.graph.jobs(stage.application, stage.identity)
    stage.cloud.faults.inject(Fault.UNAUTHORIZED)
    assert len(await stage.graph.jobs(stage.application, stage.identity)) == 1


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.HANGING])
@SIDES
async def test_no_fault_brings_anything_but_an_error_of_ours(stage: Stage, fault: Fault, path: str) -> None:
    stage.cloud.faults.inject(fault, path=path, times=None, seconds=0.01, retry_after=1)
    try:
        await hand_over(stage, stage.oauth)
        await stage.graph.start(stage.application, stage.identity, stage.job_id)
    except EntraError as error:
        assert SECRET not in error.message
        assert CLIENT_SECRET not in error.message

"""Hand-overs run beside the reconciles, and only while this process leads."""

import asyncio
from typing import cast

from prometheus_client import CollectorRegistry

from scim_operator.api.entra import EntraSpec
from scim_operator.api.status import EntraStatus, QuarantineStatus, ScimTokenStatus
from scim_operator.controller.entra_controller import EntraController
from scim_operator.controller.entra_reconciler import EntraReconciler
from scim_operator.controller.workqueue import Result
from scim_operator.planning.ports import Key
from scim_operator.settings import OperatorSettings
from support.entra_world import ENTRA
from support.operator_world import ENDPOINT, KEY, START

SETTINGS = OperatorSettings(endpoint_url=ENDPOINT, admin_url="http://scim-api-internal:8081")
LABELS = {"namespace": KEY.namespace, "name": KEY.name}


class Recorded:
    """In the place of an ``EntraReconciler``."""

    def __init__(self) -> None:
        self.calls: list[Key] = []

    async def reconcile(self, key: Key) -> Result:
        self.calls.append(key)
        return Result()


async def test_it_hands_over_while_it_leads_and_not_after_that() -> None:
    controller, work = EntraController(SETTINGS, CollectorRegistry()), Recorded()
    running = asyncio.create_task(controller.run())
    try:
        controller.add(KEY, has_entra=True)
        await asyncio.sleep(0)
        assert work.calls == []
        controller.resume(cast("EntraReconciler", work))
        async with asyncio.timeout(10):
            while not work.calls:
                await asyncio.sleep(0)
        controller.pause()
        controller.add(KEY, has_entra=True)
        for _ in range(20):
            await asyncio.sleep(0)
        assert work.calls == [KEY]
    finally:
        running.cancel()
        await controller.drain(1.0)


def test_what_is_known_of_an_application_is_shown_until_this_process_no_longer_leads() -> None:
    registry = CollectorRegistry()
    controller = EntraController(SETTINGS, registry)
    quarantine = QuarantineStatus(reason="Unknown", disabled_at=START)
    status = ScimTokenStatus(
        entra=EntraStatus(job_state="Quarantine", quarantine=quarantine, last_success_at=START)
    )
    controller.show(KEY, EntraSpec.model_validate(ENTRA), status)
    name = "scim_operator_entra_job_disabled_timestamp_seconds"
    assert registry.get_sample_value(name, LABELS) == START.timestamp()
    assert registry.get_sample_value("scim_operator_entra_handed_over", LABELS) is None
    controller.pause()
    assert registry.get_sample_value(name, LABELS) is None


async def test_one_that_was_deleted_is_looked_at_once_more_and_one_that_never_named_an_application_is_not() -> (
    None
):
    controller, work = EntraController(SETTINGS, CollectorRegistry()), Recorded()
    gone = Key("team", "gone")
    running = asyncio.create_task(controller.run())
    try:
        controller.resume(cast("EntraReconciler", work))
        controller.show(gone, EntraSpec.model_validate(ENTRA), ScimTokenStatus(entra=EntraStatus()))
        controller.add(KEY, has_entra=False)
        controller.add(gone, has_entra=False)
        async with asyncio.timeout(10):
            while not work.calls:
                await asyncio.sleep(0)
        assert work.calls == [gone]
    finally:
        running.cancel()
        await controller.drain(1.0)

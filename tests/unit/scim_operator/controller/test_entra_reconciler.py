"""Handing over to Entra over one world in memory: what Entra holds follows what the Secret publishes."""

from datetime import timedelta

import pytest

from scim_operator.controller.entra_reconciler import JOB_IS_KEPT, EntraReconciler
from scim_operator.controller.workqueue import Result
from scim_operator.planning.entra.ports import EntraError, Obstacle
from support.entra_world import ENTRA, FakeGraph
from support.hand_over_setting import PERIOD, Setting, settled
from support.operator_ports import FakeApi, FakeCluster
from support.operator_world import ENDPOINT, KEY, LEDGER_KEY


async def test_entra_gets_what_the_secret_publishes_and_is_seen_to_use_it() -> None:
    here = await settled()
    await here.hand_over_now()
    assert here.held == here.world.secret()["token"]
    assert here.entra.endpoint == ENDPOINT
    assert here.told("HandedOver") == ("True", "InUse")
    assert here.status["handedOver"]["credentialID"] == here.world.secret()["token-id"]
    assert here.used == [KEY]


async def test_entra_tries_it_before_it_saves_it_and_what_it_saved_after_that() -> None:
    here = await settled()
    await here.hand_over_now()
    assert [call for call in here.entra.calls if call != "jobs"] == ["validate", "save", "validate-saved"]


@pytest.mark.parametrize("spread", [0.0, 0.25, 0.99])
async def test_after_a_start_nothing_is_asked_before_the_first_look_which_comes_within_a_period(
    spread: float,
) -> None:
    here = await settled()
    await here.hand_over_now()
    here.entra.calls.clear()
    here.hand_over = of_a_new_process(here, spread)
    first = PERIOD * spread
    if first:
        assert (await here.hand_over.reconcile(KEY)).requeue_after == first
        assert here.entra.calls == []
    here.world.now += first
    for looks in (1, 2, 3):
        assert (await here.hand_over.reconcile(KEY)).requeue_after == PERIOD
        assert here.entra.calls == ["jobs"] * looks
        here.world.now += PERIOD


def of_a_new_process(here: Setting, spread: float) -> EntraReconciler:
    """What remembers nothing."""

    def monotonic() -> float:
        return here.world.now.timestamp()

    return EntraReconciler(
        api=FakeApi(here.world),
        cluster=FakeCluster(here.world),
        graph=FakeGraph(here.entra),
        endpoint=ENDPOINT,
        ledger_key=LEDGER_KEY,
        check_period=PERIOD,
        clock=monotonic,
        spread=lambda: spread,
    )


async def test_a_hand_over_reads_the_job_once() -> None:
    here = await settled()
    await here.hand_over_now()
    assert here.entra.calls == ["jobs", "validate", "save", "validate-saved"]


async def test_a_job_that_was_read_before_the_spec_changed_is_read_again() -> None:
    here = await settled()
    await here.hand_over.reconcile(KEY)
    here.entra.calls.clear()
    here.world.apply(entra=ENTRA | {"jobID": "scim.2"}, overlap="24h")
    await here.hand_over_now()
    assert here.entra.calls == ["job", "validate-saved"]


async def test_a_job_that_was_read_a_while_ago_is_read_again() -> None:
    here = await settled()
    await here.hand_over.reconcile(KEY)
    here.entra.calls.clear()
    here.world.now += timedelta(seconds=JOB_IS_KEPT)
    await here.hand_over_now()
    assert here.entra.calls == ["jobs", "validate-saved"]


async def test_a_rotation_is_handed_over_and_nothing_after_that_but_looks() -> None:
    here = await settled()
    await here.hand_over_now()
    await here.rotate("1")
    before = here.held
    await here.hand_over_now()
    assert here.held == here.world.secret()["token"] != before
    here.entra.calls.clear()
    await here.look_again()
    assert here.entra.calls == ["jobs"]
    written = here.world.entra_statuses
    await here.look_again()
    assert here.world.entra_statuses == written


async def test_a_trial_before_the_save_is_no_use_of_what_was_saved() -> None:
    """Entra answers the save well and keeps the old one: both Test Connections pass."""
    here = await settled()
    await here.hand_over_now()
    await here.rotate("1")
    here.entra.drops_saves = True
    await here.hand_over_now()
    assert here.told("HandedOver") == ("False", "NotInUse")
    here.entra.drops_saves = False
    await here.look_again()
    assert here.told("HandedOver") == ("True", "InUse")
    assert here.held == here.world.secret()["token"]


async def test_what_entra_refuses_is_not_saved() -> None:
    here = await settled()
    here.entra.obstacles["validate"] = EntraError(Obstacle.CREDENTIALS_REFUSED, "404 from /Groups")
    result = await here.hand_over_now()
    assert result.requeue
    assert here.held is None
    assert here.told("HandedOver") == ("False", "CredentialsRefused")
    assert "404 from /Groups" in here.world.condition("HandedOver")["message"]


@pytest.mark.parametrize("call", ["jobs", "validate", "save", "validate-saved"])
@pytest.mark.parametrize("obstacle", list(Obstacle))
async def test_what_fails_is_told_and_done_later(call: str, obstacle: Obstacle) -> None:
    here = await settled()
    here.entra.obstacles[call] = EntraError(obstacle, "what to do")
    result = await here.hand_over_now()
    status, reason = here.told("HandedOver")
    assert reason == obstacle.value
    assert status == ("Unknown" if obstacle is Obstacle.UNREACHABLE else "False")
    assert result.requeue
    here.entra.obstacles.clear()
    await here.look_again()
    assert here.told("HandedOver") == ("True", "InUse")


async def test_the_wait_that_microsoft_asks_for_is_kept() -> None:
    here = await settled()
    wait = timedelta(seconds=77)
    here.entra.obstacles["save"] = EntraError(Obstacle.UNREACHABLE, "429", retry_after=wait)
    assert await here.hand_over.reconcile(KEY) == Result(wait)


STEPS = [
    "entra-read-job",
    "entra-validate-new",
    "entra-save",
    "entra-get-connection:2",
    "entra-validate-saved",
    "entra-apply-status",
]


@pytest.mark.parametrize("step", STEPS)
async def test_a_crash_before_any_step_is_harmless(step: str) -> None:
    class Crash(BaseException):
        pass

    name, _, count = step.partition(":")
    steps: list[str] = []

    def crash(reached: str) -> None:
        steps.append(reached)
        if reached == name and steps.count(name) == int(count or 1):
            raise Crash

    here = await settled(trace=crash)
    with pytest.raises(Crash):
        await here.hand_over_now()
    assert here.held is None or here.world.accepts(here.held)
    await here.hand_over_now()
    assert here.held == here.world.secret()["token"]
    assert here.told("HandedOver") == ("True", "InUse")


async def test_several_jobs_are_told_apart_by_name() -> None:
    here = await settled()
    here.entra.jobs = 2
    await here.hand_over_now()
    assert here.told("HandedOver") == ("False", "SeveralJobs")
    assert "spec.entra.jobID" in here.world.condition("HandedOver")["message"]
    here.world.apply(entra=ENTRA | {"jobID": "scim.2"}, overlap="24h")
    await here.look_again()
    assert here.told("HandedOver") == ("True", "InUse")
    assert here.status["jobID"] == "scim.2"


async def test_no_job_yet_is_told_with_where_to_make_one() -> None:
    here = await settled()
    here.entra.jobs = 0
    await here.hand_over_now()
    assert here.told("HandedOver") == ("False", "JobNotFound")
    assert here.told("Provisioning") == ("False", "NoJob")
    assert "set mode Automatic" in here.world.condition("Provisioning")["message"]


async def test_validate_only_tries_each_credential_once_and_never_writes() -> None:
    here = await settled(handOver="ValidateOnly")
    for _ in range(3):
        await here.look_again()
    assert here.told("HandedOver") == ("False", "ValidateOnly")
    assert here.entra.calls.count("validate") == 1
    assert here.held is None
    await here.rotate("1")
    await here.look_again()
    assert here.entra.calls.count("validate") == 2


async def test_off_looks_at_the_job_and_no_more() -> None:
    here = await settled(handOver="Off")
    await here.look_again()
    assert set(here.entra.calls) == {"jobs"}
    assert here.told("HandedOver") == ("False", "Off")
    assert here.told("Provisioning") == ("Unknown", "NotRun")


async def test_a_workload_identity_has_nothing_to_hand_over() -> None:
    here = await settled()
    identity = {"tenantID": ENTRA["tenantID"], "subjects": ["s"], "audiences": ["a"]}
    auth = {"type": "WorkloadIdentity", "workloadIdentity": identity}
    here.world.apply(entra=ENTRA, overlap="24h", auth=auth)
    await here.main.reconcile(KEY)
    await here.look_again()
    assert here.told("HandedOver") == ("True", "NothingToHandOver")
    assert here.held is None


async def test_client_credentials_are_handed_over_as_such() -> None:
    here = await settled()
    here.world.apply(entra=ENTRA, overlap="24h", auth={"type": "OAuthClientCredentials"})
    await here.main.reconcile(KEY)
    await here.look_again()
    assert here.held == here.world.secret()["client-secret"]
    assert here.told("HandedOver") == ("True", "InUse")


async def test_an_older_credential_that_a_backup_has_put_back_is_handed_over_again() -> None:
    here = await settled()
    await here.hand_over_now()
    backup = dict(here.world.secrets["entra-scim-token"].data)
    status = dict(here.status)
    await here.rotate("1")
    await here.look_again()
    newer = here.held
    here.world.secrets["entra-scim-token"].data = backup
    assert here.world.object is not None
    here.world.object["status"]["entra"] = status
    await here.main.reconcile(KEY)
    await here.look_again()
    assert here.held == backup["token"] != newer


async def test_a_credential_that_somebody_pasted_back_is_replaced_after_the_next_cycle() -> None:
    here = await settled()
    await here.hand_over_now()
    old = here.held
    await here.rotate("1")
    await here.hand_over_now()
    here.entra.holds = old
    here.world.now += timedelta(minutes=40)
    assert here.entra.cycle()
    await here.look_again(timedelta(seconds=10))
    assert here.held == here.world.secret()["token"] != old


async def test_another_application_is_handed_it_too() -> None:
    here = await settled()
    await here.hand_over_now()
    here.entra.holds = None
    other = "11111111-2222-3333-4444-555555555555"
    here.world.apply(entra=ENTRA | {"servicePrincipalID": other}, overlap="24h")
    await here.look_again()
    assert here.held == here.world.secret()["token"]
    assert here.status["handedOver"]["servicePrincipalID"] == other


async def test_an_application_that_is_taken_out_of_the_spec_leaves_nothing_in_the_status() -> None:
    here = await settled()
    await here.hand_over_now()
    here.world.apply(overlap="24h")
    await here.hand_over.reconcile(KEY)
    assert not here.status
    assert not here.kinds & {"HandedOver", "Provisioning"}


async def test_the_two_halves_of_the_status_leave_each_other_alone() -> None:
    here = await settled()
    await here.hand_over_now()
    before = here.status
    await here.rotate("1")
    assert here.status == before
    assert here.told("Ready") == ("True", "Ready")
    written = here.world.statuses
    await here.main.reconcile(KEY)
    assert here.world.statuses == written

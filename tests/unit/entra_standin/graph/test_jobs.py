"""A job's cycles, and the quarantine that bad credentials, outages and failures lead to."""

import dataclasses
from typing import Any

import httpx
import pytest

from entra_standin.__main__ import changed_people, changed_teams
from entra_standin.directory import Person, six_people
from entra_standin.graph import Application, ExecutionState, Job, MicrosoftCloud
from entra_standin.graph.ids import from_posix, graph_time
from entra_standin.quarantine import Reason
from unit.entra_standin.faulty_service import TOKEN, error
from unit.entra_standin.graph.graph_client import Clock, GraphClient
from unit.entra_standin.token_service import World

INVALID = "SystemForCrossDomainIdentityManagementInvalidCredentials"
QUARANTINE = "Quarantine"


@pytest.fixture
def job(application: Application) -> Job:
    """It runs."""
    [job] = application.jobs
    job.start()
    return job


def state_of(job: Job) -> ExecutionState:
    execution = job.run_cycle()
    assert execution is not None
    return execution.state


def at(clock: Clock, *, hours: float = 0) -> str:
    return graph_time(from_posix(clock() + 3600 * hours))


# -- cycles -----------------------------------------------------------------------------------------
def test_the_first_cycle_provisions_people_and_groups_and_the_second_only_asks(
    job: Job, world: World
) -> None:
    assert state_of(job) is ExecutionState.SUCCEEDED
    assert len(world.scim.users) == 6
    assert len(world.scim.groups) == 3
    assert len(job.ids) == 6
    world.scim.requests.clear()
    assert state_of(job) is ExecutionState.SUCCEEDED
    assert {request.method for request in world.scim.requests} == {"GET"}


def test_changes_of_the_directory_are_sent_by_the_next_cycle(
    job: Job, application: Application, world: World
) -> None:
    state_of(job)
    application.people, application.teams = (
        changed_people(application.people),
        changed_teams(application.teams),
    )
    assert state_of(job) is ExecutionState.SUCCEEDED
    assert "id-radia" not in world.scim.users
    assert world.scim.users["id-ada"]["title"] == "Countess"
    application.people, application.teams = (), ()
    assert state_of(job) is ExecutionState.SUCCEEDED
    assert world.scim.users == world.scim.groups == {}


def test_groups_may_come_later_than_people(job: Job, application: Application, world: World) -> None:
    teams, application.teams = application.teams, ()
    assert state_of(job) is ExecutionState.SUCCEEDED
    assert world.scim.groups == {}
    application.teams = teams
    assert state_of(job) is ExecutionState.SUCCEEDED
    assert len(world.scim.groups) == 3


def test_a_service_without_groups_gets_none(job: Job, world: World) -> None:
    del world.scim.schemas[2]
    assert state_of(job) is ExecutionState.SUCCEEDED
    assert world.scim.groups == {}


def test_a_job_without_assigned_users_succeeds_and_sends_nothing(
    job: Job, application: Application, world: World
) -> None:
    application.people = application.teams = ()
    application.credentials = {}
    assert state_of(job) is ExecutionState.SUCCEEDED
    assert world.scim.requests == []


def test_a_failure_of_one_entry_leaves_the_job_active_and_is_tried_again(
    graph: GraphClient, job: Job, application: Application, world: World
) -> None:
    fault = world.scim.fault
    world.scim.fault = lambda request, answer: (
        error(500, detail="not this one")
        if request.method == "POST" and b"Radia" in request.content
        else answer
    )
    assert state_of(job) is ExecutionState.ENTRY_LEVEL_ERRORS
    status = graph.status(application, job)
    assert status["code"] == "Active"
    assert status["lastExecution"]["state"] == "EntryLevelErrors"
    assert status["lastExecution"]["countEscrowed"] == 1
    world.scim.fault = fault
    assert state_of(job) is ExecutionState.SUCCEEDED
    assert len(world.scim.users) == 6


def test_members_that_could_not_be_added_are_added_by_the_next_cycle(job: Job, world: World) -> None:
    def lose(request: httpx.Request, answer: httpx.Response) -> httpx.Response:
        if request.method != "PATCH" or "/Groups/" not in request.url.path:
            return answer
        world.scim.groups[request.url.path.rpartition("/")[2]]["members"] = set()
        return error(500, detail="not now")

    world.scim.fault = lose
    assert state_of(job) is ExecutionState.ENTRY_LEVEL_ERRORS
    world.scim.fault = lambda _request, answer: answer
    assert state_of(job) is ExecutionState.SUCCEEDED
    assert len(world.scim.groups["id-team-all"]["members"]) == 6


def test_status_shows_the_last_cycles(
    graph: GraphClient, job: Job, application: Application, clock: Clock
) -> None:
    state_of(job)
    first = graph.status(application, job)
    assert first["lastExecution"] == first["lastSuccessfulExecution"]
    assert first["lastExecution"]["countExported"] == 6 + 4 + 3 + 2
    assert first["lastExecution"]["error"] is None
    assert first["steadyStateFirstAchievedTime"] == first["lastExecution"]["timeEnded"] == at(clock)
    assert first["synchronizedEntryCountByType"] == [{"key": "User to User", "value": 6}]
    clock.advance(hours=0.5)
    state_of(job)
    second = graph.status(application, job)
    assert second["steadyStateFirstAchievedTime"] == at(clock, hours=-0.5)
    assert second["steadyStateLastAchievedTime"] == at(clock)
    assert second["countSuccessiveCompleteFailures"] == 0


def test_a_job_that_does_not_run_runs_no_cycle(job: Job, world: World) -> None:
    job.pause()
    assert job.run_cycle() is None
    assert world.scim.requests == []


def test_cycles_are_due_every_forty_minutes(job: Job, cloud: MicrosoftCloud, clock: Clock) -> None:
    assert len(cloud.run_due()) == 1
    assert cloud.run_due() == []
    clock.advance(seconds=2399)
    assert cloud.run_due() == []
    clock.advance(seconds=1)
    assert len(cloud.run_due()) == 1


def test_a_running_cycle_can_be_shown_as_in_progress(
    graph: GraphClient, job: Job, application: Application, world: World
) -> None:
    seen: list[str] = []

    def watch(_request: httpx.Request, answer: httpx.Response) -> httpx.Response:
        seen.append(job.state)
        return answer

    world.scim.fault = watch
    state_of(job)
    assert set(seen) == {"Active"}
    seen.clear()
    graph.cloud.behaviour.shows_in_progress = True
    state_of(job)
    assert set(seen) == {"InProgress"}
    assert graph.status(application, job)["code"] == "Active"


# -- quarantine -------------------------------------------------------------------------------------
def test_bad_credentials_quarantine_at_once_and_say_so(
    graph: GraphClient, job: Job, application: Application, clock: Clock
) -> None:
    application.credentials["SecretToken"] = "wrong-token"
    assert state_of(job) is ExecutionState.FAILED
    status: Any = graph.status(application, job)
    assert status["code"] == QUARANTINE
    assert status["lastExecution"]["state"] == "Failed"
    assert status["lastExecution"]["error"] == status["quarantine"]["error"]
    quarantine = status["quarantine"]
    assert quarantine["reason"] == "EncounteredQuarantineException"
    assert quarantine["error"]["code"] == INVALID
    assert quarantine["error"]["tenantActionable"] is True
    assert "wrong-token" not in str(status)
    assert quarantine["currentBegan"] == quarantine["seriesBegan"] == at(clock)
    assert quarantine["seriesCount"] == 1
    assert quarantine["nextAttempt"] == at(clock, hours=6)
    assert status["countSuccessiveCompleteFailures"] == 1


def test_retries_come_after_6_12_and_24_hours_and_daily_until_the_job_is_disabled_after_28_days(
    graph: GraphClient, job: Job, application: Application, cloud: MicrosoftCloud, clock: Clock
) -> None:
    application.credentials["SecretToken"] = "wrong-token"
    began, runs = clock(), []
    for _ in range(30 * 24):
        if cloud.run_due():
            runs.append(round((clock() - began) / 3600))
        clock.advance(hours=1)
    assert runs == [0, 6, 12, *range(24, 28 * 24, 24)]
    graph.sign_in()
    shown = graph.sync(application, "GET", f"/jobs/{job.id}").json()
    assert shown["schedule"]["state"] == "Disabled"
    assert shown["status"]["code"] == QUARANTINE
    assert shown["status"]["quarantine"]["seriesCount"] == len(runs)
    assert shown["status"]["quarantine"]["nextAttempt"] == "0001-01-01T00:00:00Z"
    application.credentials["SecretToken"] = TOKEN
    assert cloud.run_due() == []
    assert graph.sync(application, "POST", f"/jobs/{job.id}/start").status_code == 204
    assert len(cloud.run_due()) == 1
    assert graph.status(application, job)["quarantine"] is None


@pytest.fixture
def quarantined(job: Job, application: Application) -> Job:
    """Its credentials work again."""
    application.credentials["SecretToken"] = "wrong-token"
    state_of(job)
    application.credentials["SecretToken"] = TOKEN
    assert job.state == QUARANTINE
    return job


def test_a_succeeding_cycle_ends_a_quarantine(quarantined: Job, cloud: MicrosoftCloud, clock: Clock) -> None:
    clock.advance(hours=6)
    [execution] = cloud.run_due()
    assert execution.state is ExecutionState.SUCCEEDED
    assert quarantined.state == "Active"
    assert quarantined.quarantine is None


@pytest.mark.parametrize(
    ("verb", "body", "ends"),
    [
        ("start", None, True),
        ("restart", {"criteria": {"resetScope": "QuarantineState"}}, True),
        ("restart", {"criteria": {"resetScope": "Full"}}, True),
        ("restart", None, True),
        ("restart", {"criteria": {"resetScope": "Watermark"}}, False),
        ("pause", None, False),
    ],
    ids=["start", "restart-quarantine", "restart-full", "restart", "restart-watermark", "pause"],
)
def test_verbs_end_a_quarantine_or_not(
    graph: GraphClient, quarantined: Job, application: Application, verb: str, body: Any, ends: bool
) -> None:
    assert graph.sync(application, "POST", f"/jobs/{quarantined.id}/{verb}", body).status_code == 204
    assert (graph.status(application, quarantined)["quarantine"] is None) is ends


def test_a_start_in_quarantine_makes_a_cycle_due_at_once(quarantined: Job, cloud: MicrosoftCloud) -> None:
    assert cloud.run_due() == []
    quarantined.start()
    assert len(cloud.run_due()) == 1


def test_a_start_with_credentials_that_are_still_bad_begins_another_quarantine(
    quarantined: Job, application: Application, clock: Clock
) -> None:
    application.credentials["SecretToken"] = "still-wrong"
    clock.advance(hours=5)
    quarantined.start()
    state_of(quarantined)
    assert quarantined.quarantine is not None
    assert quarantined.quarantine.since == from_posix(clock())
    assert quarantined.quarantine.count == 1


@pytest.mark.parametrize(
    ("scope", "is_initial"),
    [("QuarantineState", False), ("Watermark", True), ("Full", True), ("Escrows", False)],
)
def test_a_restart_from_the_watermark_asks_for_everybody_again(
    graph: GraphClient, job: Job, application: Application, world: World, scope: str, is_initial: bool
) -> None:
    state_of(job)
    world.scim.requests.clear()
    body = {"criteria": {"resetScope": scope}}
    graph.sync(application, "POST", f"/jobs/{job.id}/restart", body)
    state_of(job)
    by_id = [request for request in world.scim.requests if "/Users/" in request.url.path]
    assert bool(by_id) is is_initial


def test_a_start_that_overtakes_a_failing_cycle_is_not_undone_by_it(
    job: Job, application: Application, world: World, cloud: MicrosoftCloud
) -> None:
    def overtake(_request: httpx.Request, _answer: httpx.Response) -> httpx.Response:
        job.restart()
        return error(401, detail="unknown token")

    world.scim.fault = overtake
    assert state_of(job) is ExecutionState.FAILED
    assert job.quarantine is None
    world.scim.fault = lambda _request, answer: answer
    assert len(cloud.run_due()) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_an_outage_quarantines_after_three_cycles_and_ends_by_itself(
    job: Job, world: World, cloud: MicrosoftCloud, clock: Clock, status: int
) -> None:
    retry = {"retry-after": "1"}

    def out(_request: httpx.Request, _answer: httpx.Response) -> httpx.Response:
        answer = error(status, detail="not now")
        answer.headers.update(retry)
        return answer

    world.scim.fault = out
    for successive in (1, 2):
        cloud.run_due()
        assert (job.state, job.successive_failures) == ("Active", successive)
        clock.advance(seconds=2400)
    cloud.run_due()
    assert job.quarantine is not None
    assert job.quarantine.reason is Reason.BAD_CREDENTIALS
    world.scim.fault = lambda _request, answer: answer
    clock.advance(hours=6)
    cloud.run_due()
    assert (job.state, job.successive_failures) == ("Active", 0)


def test_an_endpoint_out_of_reach_is_an_outage(
    job: Job, application: Application, cloud: MicrosoftCloud
) -> None:
    cloud.behaviour.outage_cycles = 2
    application.credentials["BaseAddress"] = "http://127.0.0.1:9/scim/v2"
    state_of(job)
    assert job.state == "Active"
    state_of(job)
    assert job.state == QUARANTINE
    assert job.history[-1].failure is not None
    assert job.history[-1].failure.code == "SystemForCrossDomainIdentityManagementServiceUnavailable"


def test_missing_credentials_are_bad_credentials(job: Job, application: Application) -> None:
    application.credentials = {}
    assert state_of(job) is ExecutionState.FAILED
    assert job.state == QUARANTINE


def test_too_many_failures_quarantine(
    graph: GraphClient, job: Job, application: Application, world: World
) -> None:
    world.scim.fault = lambda request, answer: error(500, detail="no") if request.method == "POST" else answer
    assert state_of(job) is ExecutionState.FAILED
    quarantine = graph.status(application, job)["quarantine"]
    assert quarantine["reason"] == "EncounteredEscrowProportionThreshold"


def test_too_many_deletes_quarantine_and_delete_nothing_until_they_are_forced(
    graph: GraphClient, job: Job, application: Application, world: World
) -> None:
    state_of(job)
    application.delete_threshold, application.people, application.teams = 2, application.people[:3], ()
    assert state_of(job) is ExecutionState.FAILED
    assert graph.status(application, job)["quarantine"]["reason"] == "TooManyDeletes"
    assert len(world.scim.users) == 6
    job.start()
    assert state_of(job) is ExecutionState.FAILED, "a start asks again"
    body = {"criteria": {"resetScope": "ForceDeletes"}}
    assert graph.sync(application, "POST", f"/jobs/{job.id}/restart", body).status_code == 204
    assert state_of(job) is ExecutionState.SUCCEEDED
    assert len(world.scim.users) == 3
    application.delete_threshold, application.people = 0, application.people[:2]
    assert state_of(job) is ExecutionState.FAILED, "the force was for one cycle"


@pytest.mark.parametrize("reason", list(Reason))
def test_a_job_can_be_put_in_quarantine_for_any_reason(
    graph: GraphClient,
    job: Job,
    application: Application,
    cloud: MicrosoftCloud,
    clock: Clock,
    reason: Reason,
) -> None:
    job.put_in_quarantine(reason)
    shown = graph.status(application, job)
    assert shown["code"] == QUARANTINE
    assert shown["quarantine"]["reason"] == reason.value
    assert cloud.run_due() == []
    clock.advance(hours=6)
    assert len(cloud.run_due()) == 1
    assert job.state == "Active"


def test_a_person_without_mail_is_no_failure(job: Job, application: Application) -> None:
    ghost = Person("ghost", "ghost@contoso.example", None, "Ghost")
    application.people = (*(dataclasses.replace(one, manager=None) for one in six_people()), ghost)
    assert state_of(job) is ExecutionState.SUCCEEDED

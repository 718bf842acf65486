"""What status and conditions say of Entra's side."""

import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from scim_api.contract.admin import CredentialStatus
from scim_operator.api.custom_object import Key
from scim_operator.api.entra import EntraSpec
from scim_operator.api.scimtoken import ScimToken
from scim_operator.api.status import Condition, EntraStatus
from scim_operator.planning.entra import entra_status
from scim_operator.planning.entra.hand_over import HandOverState
from scim_operator.planning.entra.ports import EntraError, Execution, Job, Obstacle, Quarantine
from support.entra_world import ENTRA
from support.operator_world import ENDPOINT, START

TOKEN = ScimToken.from_object({"metadata": {"name": "entra", "namespace": "team"}, "spec": {"entra": ENTRA}})
JOB = Job("scim.1", "scim", "Active", "Active")
HOUR = timedelta(hours=1)


def state(job: Job | None = None, status: EntraStatus | None = None, **spec: Any) -> HandOverState:
    known = status or EntraStatus()
    return HandOverState(
        spec=EntraSpec.model_validate(ENTRA | spec),
        endpoint=ENDPOINT,
        now=START,
        status=known if job is None else entra_status.with_job(known, job, START),
        published=None,
        others=(),
        is_api_known=True,
        is_look_overdue=False,
        check_due=True,
        check_period=timedelta(minutes=5),
        job=job,
    )


def provisioning(here: HandOverState, error: EntraError | None = None, token: ScimToken = TOKEN) -> Condition:
    return entra_status.conditions(token, here, error, START)[1]


@pytest.mark.parametrize(
    ("job", "status", "reason", "told"),
    [
        (JOB, "Unknown", "NotRun", "has not ended a cycle yet"),
        (dataclasses.replace(JOB, code="NotRun"), "Unknown", "NotRun", "has not run yet"),
        (dataclasses.replace(JOB, schedule_state="Paused"), "False", "Paused", "somebody has paused the job"),
        (dataclasses.replace(JOB, schedule_state="Disabled"), "Unknown", "NotRun", "has not run yet"),
        (
            dataclasses.replace(
                JOB, schedule_state="Disabled", last_execution=Execution("Succeeded", START, START, 1)
            ),
            "False",
            "Disabled",
            "nobody is provisioned",
        ),
        (
            dataclasses.replace(JOB, last_execution=Execution("Succeeded", START, START + HOUR, 12)),
            "True",
            "Active",
            "its last cycle ended at 2026-01-01T01:00:00Z with Succeeded, 12 objects sent",
        ),
        (
            dataclasses.replace(JOB, last_execution=Execution("EntryLevelErrors", START, None, None)),
            "True",
            "Active",
            "its last cycle ended with EntryLevelErrors",
        ),
        (
            dataclasses.replace(JOB, last_execution=Execution("Failed", START, START, 0, "Code", "why")),
            "False",
            "CycleFailed",
            "failed at 2026-01-01T00:00:00Z: Code: why",
        ),
        (dataclasses.replace(JOB, code="SomethingNew"), "Unknown", "NotRun", "has not ended a cycle yet"),
    ],
)
def test_a_job_is_told_in_words(job: Job, status: str, reason: str, told: str) -> None:
    found = provisioning(state(job))
    assert (found.status, found.reason) == (status, reason)
    assert told in found.message


@pytest.mark.parametrize(
    ("owner", "told"),
    [
        (Key("team", "other"), "ScimToken other hands"),
        (Key("secret-project", "other"), "of another namespace hands"),
    ],
)
def test_an_application_that_is_taken_is_told_without_a_word_of_other_namespaces(
    owner: Key, told: str
) -> None:
    published = CredentialStatus(id="t1", digest="0" * 64, issued_at=START, expires_at=START + HOUR)
    here = dataclasses.replace(state(), owner=owner, published=published)
    found = entra_status.conditions(TOKEN, here, None, START)[0]
    assert (found.status, found.reason) == ("False", "ApplicationTaken")
    assert told in found.message
    assert "secret-project" not in found.message


def test_a_quarantine_tells_why_since_when_and_until_when() -> None:
    quarantine = Quarantine(
        "EncounteredQuarantineException", START, START + 6 * HOUR, "InvalidCredentials", "401"
    )
    found = provisioning(state(dataclasses.replace(JOB, quarantine=quarantine)))
    assert found.reason == "Quarantined"
    for part in (
        "since 2026-01-01T00:00:00Z (EncounteredQuarantineException)",
        "InvalidCredentials: 401",
        "tries again at 2026-01-01T06:00:00Z",
        "disables the job at 2026-01-29T00:00:00Z",
        "starts it as soon as Entra's Test Connection passes",
    ):
        assert part in found.message


def test_a_job_that_its_quarantine_has_disabled_is_started_by_the_operator_and_says_so() -> None:
    quarantine = Quarantine("EncounteredQuarantineException", START, START)
    found = provisioning(state(dataclasses.replace(JOB, schedule_state="Disabled", quarantine=quarantine)))
    assert found.reason == "Disabled"
    assert "has disabled the job after quarantine since 2026-01-01T00:00:00Z" in found.message
    assert "the operator starts it as soon as Entra's Test Connection passes" in found.message
    assert "tries again" not in found.message


def test_a_quarantine_without_a_date_keeps_the_one_it_was_first_seen_at() -> None:
    job = dataclasses.replace(JOB, quarantine=Quarantine("Unknown", None, None))
    first = entra_status.with_job(EntraStatus(), job, START)
    second = entra_status.with_job(first, job, START + HOUR)
    assert second.quarantine == first.quarantine


def test_a_short_silence_of_graph_leaves_the_condition_as_it_was() -> None:
    before = provisioning(
        state(dataclasses.replace(JOB, last_execution=Execution("Succeeded", START, START, 1)))
    )
    status = TOKEN.status.model_copy(update={"conditions": (before,)})
    token = TOKEN.model_copy(update={"status": status})
    silent = EntraError(Obstacle.UNREACHABLE, "no answer")
    assert provisioning(state(), silent, token) == before
    for_long = dataclasses.replace(state(), is_look_overdue=True)
    assert provisioning(for_long, silent, token).reason == "GraphUnreachable"
    refused = EntraError(Obstacle.PERMISSION_MISSING, "grant it")
    assert provisioning(state(), refused, token).reason == "PermissionMissing"


def test_recoveries_are_counted_until_a_cycle_succeeds() -> None:
    status = entra_status.with_recovery(entra_status.with_recovery(EntraStatus(), START), START + HOUR)
    assert (status.recoveries, status.recovered_at) == (2, START + HOUR)
    still = entra_status.with_job(status, dataclasses.replace(JOB, last_success_at=START), START)
    assert still.recoveries == 2
    cured = entra_status.with_job(status, dataclasses.replace(JOB, last_success_at=START + 2 * HOUR), START)
    assert (cured.recoveries, cured.recovered_at) == (None, None)


def test_long_texts_of_graph_are_cut_to_what_the_crd_takes() -> None:
    long = "x" * 5000
    job = Job(
        long, "scim", long, "Active", Execution(long, START, START, 1, long, long), None, Quarantine(long, START, None, long, long)
    )  # fmt: skip
    status = entra_status.with_job(EntraStatus(), job, START)
    EntraStatus.model_validate(status.model_dump())


def test_the_same_again_changes_nothing() -> None:
    here = state(JOB)
    found = entra_status.conditions(TOKEN, here, None, START)
    assert not entra_status.is_same(TOKEN, here.status, found)
    written = TOKEN.status.model_copy(update={"entra": here.status, "conditions": found})
    token = TOKEN.model_copy(update={"status": written})
    again = entra_status.conditions(token, here, None, START + HOUR)
    assert entra_status.is_same(token, here.status, again)

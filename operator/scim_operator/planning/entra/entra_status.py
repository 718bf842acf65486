"""From what was seen and done at Microsoft's side to ``status.entra`` and its conditions. Pure.

``HandedOver``: Entra has the published credential and comes with it. ``Provisioning``: the job runs and its last cycle
succeeded. Neither touches Ready: the Secret is good whatever Entra does with it.
"""

from datetime import datetime
from typing import Final, Literal

from scim_operator.api.custom_object import Key
from scim_operator.api.scimtoken import ScimToken, format_time
from scim_operator.api.status import (
    HANDED_OVER,
    PROVISIONING,
    Condition,
    CycleStatus,
    EntraStatus,
    QuarantineStatus,
)
from scim_operator.planning.entra import hand_over
from scim_operator.planning.entra.hand_over import HandOverState
from scim_operator.planning.entra.ports import TRANSIENT, EntraError, Execution, Job, Obstacle
from scim_operator.planning.entra.recovery import DISABLED_AFTER, PROTECTIVE_REASONS
from scim_operator.planning.kind_texts import NOUNS, remedy

PASSING: Final = frozenset({"Off", "ValidateOnly", "Pending", "Saved"})
"""Reasons of what is not so yet, or by the spec's own choice: no Event tells of them."""
MAX_ERROR: Final = 512
MAX_CODE: Final = 64
Fields = tuple[Literal["True", "False", "Unknown"], str, str]
"""Status, reason and message of a condition."""


def with_job(status: EntraStatus, job: Job, now: datetime) -> EntraStatus:
    """The status with the job as it is.

    Args:
        status: before.
        job: as Graph shows it.
        now: for the beginning of a quarantine that Graph does not date.
    """
    has_succeeded = (
        status.recovered_at is not None
        and job.last_success_at is not None
        and job.last_success_at > status.recovered_at
    )
    return status.model_copy(
        update={
            **({"recoveries": None, "recovered_at": None} if has_succeeded else {}),
            "job_id": job.id[:128],
            "job_state": _state_of(job)[:MAX_CODE],
            "last_cycle": _cycle(job.last_execution),
            "last_success_at": job.last_success_at or status.last_success_at,
            "quarantine": _quarantine(job, status.quarantine, now),
        }
    )


def with_recovery(status: EntraStatus, now: datetime) -> EntraStatus:
    """The status after the job was started out of its quarantine."""
    return status.model_copy(update={"recoveries": (status.recoveries or 0) + 1, "recovered_at": now})


def _state_of(job: Job) -> str:
    if job.schedule_state == "Disabled" and job.quarantine is None and job.last_execution is None:
        return "NotRun"
    if job.schedule_state in ("Disabled", "Paused"):
        return job.schedule_state
    return "Quarantine" if job.quarantine is not None else job.code


def _cycle(execution: Execution | None) -> CycleStatus | None:
    if execution is None:
        return None
    return CycleStatus(
        state=execution.state[:MAX_CODE] or "Unknown",
        ended_at=execution.ended_at,
        exported=execution.exported,
        error=_error(execution.error_code, execution.error_message),
    )


def _quarantine(job: Job, before: QuarantineStatus | None, now: datetime) -> QuarantineStatus | None:
    found = job.quarantine
    if found is None:
        return None
    since = found.began_at or (before.since if before is not None else None) or now
    return QuarantineStatus(
        reason=found.reason[:128],
        since=since,
        next_attempt_at=found.next_attempt_at,
        disabled_at=since + DISABLED_AFTER,
        error=_error(found.error_code, found.error_message),
    )


def _error(code: str | None, message: str | None) -> str | None:
    return ": ".join(filter(None, (code, message)))[:MAX_ERROR] or None


def conditions(
    token: ScimToken, state: HandOverState, error: EntraError | None, now: datetime
) -> tuple[Condition, ...]:
    """``HandedOver`` and ``Provisioning``, with ``lastTransitionTime`` kept where the status is the same.

    Args:
        token: the ScimToken, with the conditions of before.
        state: at the end of the pass.
        error: what stopped the pass.
        now: for ``lastTransitionTime``.
    """
    found = (
        (HANDED_OVER, _handed_over(token, state, error)),
        (PROVISIONING, _provisioning(token, state, error)),
    )
    return tuple(_condition(token, kind, fields, now) for kind, fields in found)


def _condition(token: ScimToken, kind: str, fields: Fields, now: datetime) -> Condition:
    return Condition.judged(token.status.condition(kind), now, token.metadata.generation, kind, *fields)


def _handed_over(token: ScimToken, state: HandOverState, error: EntraError | None) -> Fields:
    published, given = state.published, state.status.handed_over
    if state.spec.hand_over == "Off":
        return "False", "Off", "spec.entra.handOver is Off: a person gives Entra each new credential"
    if not state.is_api_known:
        return _kept(token, HANDED_OVER) or ("Unknown", "NotPublished", "the SCIM API does not answer")
    if published is None:
        return "Unknown", "NotPublished", "the Secret holds nothing yet that could be handed over"
    if published.kind == "WorkloadIdentity":
        return (
            "True",
            "NothingToHandOver",
            "Entra signs in with an identity of its own: there is no secret to hand over",
        )
    what = f"{NOUNS[published.kind]} {published.id}"
    if state.owner is not None:
        return "False", Obstacle.APPLICATION_TAKEN.value, _taken(token, state.owner, what)
    if hand_over.is_current(state) and given is not None and given.in_use_at is not None:
        at, used = format_time(given.at), format_time(given.in_use_at)
        return "True", "InUse", f"Entra has {what} since {at}, and came with it at {used}"
    if error is not None:
        message = f"{what} is not handed over: {error.message}"
        return "Unknown" if error.obstacle in TRANSIENT else "False", error.obstacle.value, message
    if state.spec.hand_over == "ValidateOnly":
        passes = "Entra's Test Connection passes" if state.is_tried else "Entra has not tried"
        advice = remedy(token, published.kind)
        return "False", "ValidateOnly", f"{passes} with {what}. It is not saved by itself: {advice}"
    return _not_in_use(state, what)


def _taken(token: ScimToken, owner: Key, what: str) -> str:
    other = (
        f"ScimToken {owner.name}"
        if owner.namespace == token.key.namespace
        else "a ScimToken of another namespace"
    )
    return (
        f"{what} is not handed over: {other} hands its credentials to the same enterprise application, which has one "
        "endpoint at a time. Name another application as spec.entra.servicePrincipalID, or take spec.entra out of one of "
        "the two"
    )


def _not_in_use(state: HandOverState, what: str) -> Fields:
    given = state.status.handed_over
    if given is None or not hand_over.is_current(state):
        return "False", "Pending", f"{what} is about to be handed over"
    at = format_time(given.at)
    if state.now < given.at + hand_over.SETTLES_WITHIN:
        return "False", "Saved", f"Entra has saved {what} at {at}; waiting until it comes with it"
    message = (
        f"Entra took {what} at {at}, and has not come with it since. It is saved again at the next check; the one before "
        "stays accepted as overlap says"
    )
    return "False", "NotInUse", message


def _provisioning(token: ScimToken, state: HandOverState, error: EntraError | None) -> Fields:
    before = None if state.is_look_overdue else _kept(token, PROVISIONING)
    if state.job is not None:
        return _job_fields(token, state)
    if error is not None and error.obstacle is Obstacle.JOB_NOT_FOUND:
        return "False", "NoJob", error.message
    if error is not None and (before is None or error.obstacle not in TRANSIENT):
        return "Unknown", error.obstacle.value, f"the provisioning job can't be looked at: {error.message}"
    return before or ("Unknown", "NotChecked", "the provisioning job has not been looked at yet")


def _kept(token: ScimToken, kind: str) -> Fields | None:
    before = token.status.condition(kind)
    return None if before is None else (before.status, before.reason, before.message)


def _job_fields(token: ScimToken, state: HandOverState) -> Fields:
    status = state.status
    cycle, quarantine = status.last_cycle, status.quarantine
    match status.job_state:
        case "Disabled":
            if quarantine is not None:
                told = f"Entra has disabled the job after {_quarantine_message(token, state, quarantine)}"
                return "False", "Disabled", told
            return "False", "Disabled", f"the job is disabled: nobody is provisioned. {_start_advice(token)}"
        case "Paused":
            return (
                "False",
                "Paused",
                f"somebody has paused the job: nobody is provisioned. {_start_advice(token)}",
            )
        case "Quarantine" if quarantine is not None:
            told = f"the job is in {_quarantine_message(token, state, quarantine)}"
            return "False", "Quarantined", told
        case "NotConfigured" | "NotRun" | "NotStarted":
            return "Unknown", "NotRun", f"the job has not run yet. {_start_advice(token)}"
        case _:
            pass
    if cycle is None:
        return "Unknown", "NotRun", "the job is active and has not ended a cycle yet"
    ended = f" at {format_time(cycle.ended_at)}" if cycle.ended_at is not None else ""
    if cycle.state == "Failed":
        return (
            "False",
            "CycleFailed",
            f"the last cycle failed{ended}: {cycle.error or 'Entra does not say why'}",
        )
    told = f"the job is active; its last cycle ended{ended} with {cycle.state}"
    return "True", "Active", told if cycle.exported is None else f"{told}, {cycle.exported} objects sent"


def _start_advice(token: ScimToken) -> str:
    name = token.key
    return f"Start it in Entra (Enterprise application, Provisioning, Start provisioning); {name} looks again within minutes"


def _quarantine_message(token: ScimToken, state: HandOverState, quarantine: QuarantineStatus) -> str:
    since = "" if quarantine.since is None else f" since {format_time(quarantine.since)}"
    told = [f"quarantine{since} ({quarantine.reason})"]
    if quarantine.error is not None:
        told.append(quarantine.error)
    if quarantine.next_attempt_at is not None and state.status.job_state != "Disabled":
        told.append(f"Entra tries again at {format_time(quarantine.next_attempt_at)}")
    if quarantine.disabled_at is not None and state.status.job_state != "Disabled":
        told.append(f"and disables the job at {format_time(quarantine.disabled_at)}")
    if quarantine.reason in PROTECTIVE_REASONS:
        told.append(
            "Entra has stopped to protect data or because somebody asked for it, so that the operator does not start it: "
            f"look at the provisioning log first. {_start_advice(token)}"
        )
    elif state.spec.on_quarantine == "Report":
        told.append(f"spec.entra.onQuarantine is Report. {_start_advice(token)}")
    else:
        told.append("the operator starts it as soon as Entra's Test Connection passes")
    return "; ".join(told)


def is_same(token: ScimToken, status: EntraStatus, found: tuple[Condition, ...]) -> bool:
    """Whether writing them would change anything that the API server stores."""
    before = token.status
    wanted = before.model_copy(update={"entra": status, "conditions": found})
    return wanted.only_entra() == before.only_entra()

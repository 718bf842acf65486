"""Decides the next step of handing a credential over to Microsoft Entra, and of looking after its job. Pure.

``plan`` is asked again after each step with what came of it, as ``planner.plan`` is; each step may be the last before a
crash, and doing one twice changes nothing. Entra's side can't be read back, since Graph shows saved secrets as ``*``:
what was saved is remembered in ``status.entra``, and is taken for true only when Entra comes with it at our endpoint.
"""

import dataclasses
from datetime import datetime, timedelta
from typing import Final

from scim_api.contract.admin import CredentialStatus
from scim_operator.api.auth import LONGEST_ACCESS_TOKEN
from scim_operator.api.custom_object import Key
from scim_operator.api.entra import EntraSpec
from scim_operator.api.status import EntraStatus, HandOverStatus
from scim_operator.planning.entra.ports import Job
from scim_operator.planning.entra.recovery import Recovery, next_recovery

USE_IS_WRITTEN_WITHIN: Final = timedelta(seconds=15)
"""The SCIM API writes last uses every 5 seconds, so that a use shows after that at the latest."""
SETTLES_WITHIN: Final = timedelta(seconds=60)
"""How long Entra may take to come with what it saved, when its Test Connection was asked for."""
SOON: Final = timedelta(seconds=2)
LATER: Final = timedelta(seconds=15)
NEXT_SECOND: Final = timedelta(seconds=1)


@dataclasses.dataclass(frozen=True, slots=True)
class ReadJob:
    """Find the provisioning job and see how it is."""


@dataclasses.dataclass(frozen=True, slots=True)
class ValidateNew:
    """Have Entra try the published credential before it saves it."""


@dataclasses.dataclass(frozen=True, slots=True)
class SaveNew:
    """Have Entra save the published credential, and remember that."""


@dataclasses.dataclass(frozen=True, slots=True)
class ValidateSaved:
    """Have Entra try what it has saved."""


@dataclasses.dataclass(frozen=True, slots=True)
class RecordUse:
    """Remember that Entra came with what it was given."""


@dataclasses.dataclass(frozen=True, slots=True)
class Recover:
    """Have a job in quarantine run again."""

    recovery: Recovery


@dataclasses.dataclass(frozen=True, slots=True)
class RunFullCycle:
    """Begin anew with a whole initial cycle, because the annotation asks for it."""

    request: str


@dataclasses.dataclass(frozen=True, slots=True)
class ProvisionOnDemand:
    """Have Entra provision one user now, because the annotation asks for it."""

    request: str
    """``<object id>``, or ``<object id>/<anything>`` for the same user once more."""


@dataclasses.dataclass(frozen=True, slots=True)
class Rest:
    """Nothing is left to do for now."""

    requeue_after: timedelta


Step = (
    ReadJob
    | ValidateNew
    | SaveNew
    | ValidateSaved
    | RecordUse
    | Recover
    | RunFullCycle
    | ProvisionOnDemand
    | Rest
)


@dataclasses.dataclass(frozen=True, slots=True)
class HandOverState:
    """What is so, and what this pass has done about it."""

    spec: EntraSpec
    endpoint: str
    """The SCIM base URL."""
    now: datetime
    """The database's clock, which last uses are written by."""
    status: EntraStatus
    """As it was read, with what this pass has added."""
    published: CredentialStatus | None
    """The credential that the Secret publishes, as the SCIM API accepts it; None while there is none."""
    others: tuple[CredentialStatus, ...]
    """The other accepted ones."""
    is_api_known: bool
    """Whether the SCIM API has answered; without it nothing is handed over, and the job is looked at all the same."""
    is_look_overdue: bool
    """Whether the last look at the job is so old that nobody should rely on it."""
    check_due: bool
    """Whether the job is to be looked at in this pass."""
    check_period: timedelta
    owner: Key | None = None
    """The other ScimToken that hands its credentials to the same application: this one hands over nothing."""
    full_cycle: str | None = None
    """The annotation's value."""
    provision_on_demand: str | None = None
    """The annotation's value."""
    job: Job | None = None
    """As this pass has read it."""
    is_tried: bool = False
    """Whether Entra's Test Connection has passed with the published credential: in this pass, or, where a person saves
    it, since this process began."""
    is_saved_tried: bool = False
    """Whether it has passed with what Entra has saved, since it was saved."""
    is_saved_refused: bool = False
    """Whether it has not passed with that, in this pass, although the published credential is accepted."""
    has_checked: bool = False
    """Whether it has passed with what Entra has saved, in this pass."""
    has_recovered: bool = False
    """Whether this pass has had the job started."""


def plan(state: HandOverState) -> Step:
    """The next step: hand over first, then do what is asked for, then look after the job."""
    step = _hand_over(state) or _requests(state)
    if step is not None:
        return step
    if state.check_due and state.job is None:
        return ReadJob()
    return _recover(state) or Rest(_pause(state))


def is_current(state: HandOverState) -> bool:
    """Whether what Entra was given last is what the Secret publishes, as far as anybody can know."""
    given, published = state.status.handed_over, state.published
    if given is None or published is None or state.is_saved_refused:
        return False
    if given.at > state.now + NEXT_SECOND:  # the clock was set back: nothing could be told from later uses
        return False
    if (given.credential_id, given.service_principal_id, given.endpoint) != (
        published.id,
        state.spec.service_principal_id,
        state.endpoint,
    ):
        return False
    # After a restored backup the Secret publishes an older one again, and Entra has the newer one.
    newer = [item for item in state.others if item.issued_at > published.issued_at]
    return all(given.at > item.issued_at for item in newer) and not _went_back(state, given)


def has_something_to_hand_over(state: HandOverState) -> bool:
    """Whether the published credential is of a kind that Entra is given, and the spec says who gives it."""
    published = state.published
    return state.spec.hand_over != "Off" and published is not None and published.kind != "WorkloadIdentity"


def _hand_over(state: HandOverState) -> Step | None:
    if not has_something_to_hand_over(state):
        return None
    given = state.status.handed_over
    if not is_current(state) or given is None or (state.check_due and _is_overdue(state, given)):
        return _give(state)
    if given.in_use_at is not None:
        return None
    if is_in_use(state, given):
        return RecordUse()
    if state.now <= given.at:  # what Entra tried before it saved must not count as a use of what it saved
        return Rest(NEXT_SECOND)
    if state.is_saved_tried:
        return None
    return ValidateSaved() if state.job is not None else ReadJob()


def has_saved_to_try(state: HandOverState) -> bool:
    """Whether the next pass has Entra try what this one had it save."""
    given = state.status.handed_over
    return is_current(state) and given is not None and given.in_use_at is None and not state.is_saved_tried


def _give(state: HandOverState) -> Step | None:
    if state.owner is not None:
        return None
    if not state.is_tried:
        return ReadJob() if state.job is None else ValidateNew()
    return SaveNew() if state.spec.hand_over == "Automatic" else None


def is_in_use(state: HandOverState, given: HandOverStatus) -> bool:
    """Whether Entra has come with what it was given after it had saved it. Its Test Connection with what is saved
    counts: only Entra has the credential, and the same test passes with one that was saved before.
    """
    published = state.published
    return published is not None and published.last_used_at is not None and published.last_used_at > given.at


def _is_overdue(state: HandOverState, given: HandOverStatus) -> bool:
    """Whether Entra should have come with it by now, and has not: it took the new one and kept the old one. Where many
    are handed over at once, what was saved may not have been tried for a while: then that comes first.
    """
    return (
        state.spec.hand_over == "Automatic"
        and given.in_use_at is None
        and state.is_saved_tried
        and not state.has_checked
        and not is_in_use(state, given)
        and state.now >= given.at + SETTLES_WITHIN
    )


def _went_back(state: HandOverState, given: HandOverStatus) -> bool:
    """Whether a cycle that began after the hand-over came with another credential: somebody has saved an older one."""
    execution = state.job.last_execution if state.job is not None else None
    began = None if execution is None else execution.began_at
    used = state.published.last_used_at if state.published is not None else None
    return began is not None and any(
        item.last_used_at is not None
        and item.last_used_at >= began >= given.at + _lingers(item)
        and (used is None or used < item.last_used_at)
        for item in state.others
    )


def _lingers(item: CredentialStatus) -> timedelta:
    """For how long after a hand-over Entra may come with what it had before: an access token lives on."""
    return LONGEST_ACCESS_TOKEN if item.kind == "ClientSecret" else SETTLES_WITHIN


def _requests(state: HandOverState) -> Step | None:
    """What the annotations ask for, once for each value."""
    full_cycle, on_demand = state.full_cycle, state.provision_on_demand
    if full_cycle is not None and full_cycle != state.status.answered_full_cycle:
        return RunFullCycle(full_cycle) if state.job is not None else ReadJob()
    if on_demand is not None and on_demand != state.status.answered_provision_on_demand:
        return ProvisionOnDemand(on_demand) if state.job is not None else ReadJob()
    return None


def _recover(state: HandOverState) -> Step | None:
    if (
        state.owner is not None
        or state.job is None
        or state.spec.on_quarantine != "Recover"
        or state.has_recovered
    ):
        return None
    recovery = next_recovery(state.job, state.status, state.now, state.check_period)
    if recovery is None:
        return None
    return Recover(recovery) if state.has_checked else ValidateSaved()


def _pause(state: HandOverState) -> timedelta:
    given = state.status.handed_over
    if given is None or given.in_use_at is not None or not state.is_saved_tried:
        return state.check_period
    waited = state.now - given.at
    if waited < USE_IS_WRITTEN_WITHIN:
        return SOON
    return LATER if waited < SETTLES_WITHIN or state.has_checked else state.check_period


def may_save_again(state: HandOverState) -> bool:
    """Whether what Entra has saved and refuses is to be replaced by the published credential, which is accepted: not
    while a save may still be on its way through Microsoft's replicas.
    """
    given = state.status.handed_over
    return (
        state.spec.hand_over == "Automatic"
        and has_something_to_hand_over(state)
        and (given is None or state.now >= given.at + SETTLES_WITHIN)
    )


def saved(state: HandOverState, now: datetime) -> HandOverStatus:
    """What to remember of a credential that Entra has just saved.

    Args:
        state: with the published credential.
        now: the database's clock, after that; kept as the next whole second, since a status has no smaller unit.
    """
    assert state.published is not None  # noqa: S101 (it was saved)
    return HandOverStatus(
        credential_id=state.published.id,
        service_principal_id=state.spec.service_principal_id,
        endpoint=state.endpoint,
        at=now.replace(microsecond=0) + NEXT_SECOND,
    )


def used(state: HandOverState) -> HandOverStatus | None:
    """The same with the moment when Entra came with it."""
    given, published = state.status.handed_over, state.published
    if given is None or published is None:
        return None
    return given.model_copy(update={"in_use_at": published.last_used_at})

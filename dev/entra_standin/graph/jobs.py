"""A provisioning job: its cycles, its quarantine, and what start, pause and restart do to it."""

import collections
import dataclasses
import enum
import threading
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Final

from entra_standin import quarantine
from entra_standin.errors import EntraError, Unreachable
from entra_standin.graph import cycles
from entra_standin.graph.connection import Failure, Incomplete, failure_of
from entra_standin.graph.cycles import Cycle, Watermark
from entra_standin.graph.ids import from_posix, new_guid
from entra_standin.quarantine import Quarantine, Reason

if TYPE_CHECKING:
    from entra_standin.graph.applications import Application

_HISTORY: Final = 1000
_DELETES: Final = Failure(
    "TooManyDeletes", "The number of deletions is above the threshold of accidental deletions prevention."
)
_ESCROWED: Final = Failure("QuarantineEscrowProportion", "Too many of the operations failed.")


class ScheduleState(enum.StrEnum):
    """``schedule.state``."""

    ACTIVE = "Active"
    DISABLED = "Disabled"
    PAUSED = "Paused"


class ResetScope(enum.StrEnum):
    """What ``restart`` does away with."""

    NONE = "None"
    CONNECTOR_DATA_STORE = "ConnectorDataStore"
    ESCROWS = "Escrows"
    WATERMARK = "Watermark"
    QUARANTINE_STATE = "QuarantineState"
    FULL = "Full"
    FORCE_DELETES = "ForceDeletes"


DEFAULT_SCOPE: Final = frozenset({ResetScope.QUARANTINE_STATE, ResetScope.WATERMARK, ResetScope.ESCROWS})


class ExecutionState(enum.StrEnum):
    """``lastExecution.state``."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    ENTRY_LEVEL_ERRORS = "EntryLevelErrors"


@dataclasses.dataclass(frozen=True)
class Execution:
    """A cycle that ended.

    Attributes:
        id: ``activityIdentifier``.
        began: when.
        ended: when.
        state: how.
        failure: why it failed; None when it did not.
        cycle: what it did; None when it could not begin.
        people: how many were assigned.
        reason: for quarantine.
    """

    id: str
    began: datetime
    ended: datetime
    state: ExecutionState
    failure: Failure | None
    cycle: Cycle | None
    people: int
    reason: Reason | None


class Job:
    """A synchronization job of an application.

    Attributes:
        id: as Graph has it.
        template_id: what it was made of.
        schedule: whether it runs.
        quarantine: None when it is healthy.
        history: its executions, the newest last, at most 1,000.
        next_run: when its next cycle is due; None when it does not run.
        successive_failures: cycles in a row that could not begin.
        steady_since: when a cycle succeeded first after a start from the beginning.
        is_running: whether a cycle runs at this moment.
    """

    def __init__(self, application: "Application", template_id: str) -> None:
        self.id = f"{template_id}.{application.tenant_id.replace('-', '')}.{new_guid()}"
        self.template_id = template_id
        self.schedule = ScheduleState.DISABLED
        self.quarantine: Quarantine | None = None
        self.history: collections.deque[Execution] = collections.deque(maxlen=_HISTORY)
        self.next_run: datetime | None = None
        self.successive_failures = 0
        self.steady_since: datetime | None = None
        self.is_running = False
        self.was_started = False
        self._application = application
        self._watermark: Watermark | None = None
        self._generation = 0
        self._forces_deletes = False
        self._cycling, self._changing = threading.Lock(), threading.RLock()

    def __repr__(self) -> str:
        return f"Job({self.id!r}, {self.state!r})"

    @property
    def credentials(self) -> dict[str, str]:
        """What Entra holds now, by key, in plain text: for tests."""
        return dict(self._application.credentials)

    @property
    def ids(self) -> dict[str, str]:
        """The service's id of each person by key, as of the last complete cycle."""
        return dict(self._watermark.ids) if self._watermark else {}

    @property
    def last_execution(self) -> Execution | None:
        """The newest."""
        return self.history[-1] if self.history else None

    @property
    def last_success(self) -> Execution | None:
        """The newest that succeeded."""
        done = (one for one in reversed(self.history) if one.state is ExecutionState.SUCCEEDED)
        return next(done, None)

    @property
    def state(self) -> str:
        """``status.code``."""
        if self.quarantine is not None:
            return "Quarantine"
        if self.schedule is ScheduleState.PAUSED:
            return "Paused"
        if self.is_running and self._application.behaviour.shows_in_progress:
            return "InProgress"
        if not self.was_started:
            return "NotRun"
        return "Active" if self.schedule is ScheduleState.ACTIVE else "Paused"

    # -- verbs --------------------------------------------------------------------------------------
    def start(self) -> None:
        """Run, from where it stopped; ends a quarantine."""
        with self._changing:
            is_healthy = self.schedule is ScheduleState.ACTIVE and self.quarantine is None
            self._end_quarantine()
            self.schedule, self.was_started = ScheduleState.ACTIVE, True
            if not is_healthy or self.next_run is None:
                self.next_run = self._now()
                self._generation += 1

    def pause(self) -> None:
        """Run no further cycle; the present one finishes."""
        with self._changing:
            self.schedule, self.next_run = ScheduleState.PAUSED, None

    def restart(self, scope: Iterable[ResetScope] = DEFAULT_SCOPE) -> None:
        """Run, without what the scope names."""
        scopes = set(scope)
        with self._changing:
            if scopes & {ResetScope.FULL, ResetScope.WATERMARK}:
                self._watermark = None
            if scopes & {ResetScope.FULL, ResetScope.QUARANTINE_STATE, ResetScope.FORCE_DELETES}:
                self._end_quarantine()
            self._forces_deletes = ResetScope.FORCE_DELETES in scopes
            self.schedule, self.was_started = ScheduleState.ACTIVE, True
            self.next_run = self._now()
            self._generation += 1

    def put_in_quarantine(self, reason: Reason) -> None:
        """Whatever the reason is; ends as every quarantine does."""
        with self._changing:
            now = self._now()
            self.quarantine = quarantine.after_cycle(self.quarantine, reason, now)
            self.next_run = quarantine.next_cycle(now, self.quarantine, self._application.schedule)

    # -- cycles -------------------------------------------------------------------------------------
    def is_due(self, now: datetime) -> bool:
        """Whether a cycle is to be run, or the job to be disabled."""
        return self.next_run is not None and self.next_run <= now and not self.is_running

    def run_cycle(self) -> Execution | None:
        """Run a cycle now, due or not; None when the job does not run, or a cycle runs already."""
        if not self._cycling.acquire(blocking=False):
            return None
        try:
            with self._changing:
                if self.schedule is not ScheduleState.ACTIVE:
                    return None
                self.is_running = True
                before, credentials, generation = self._watermark, self.credentials, self._generation
            execution, watermark = self._execute(before, credentials)
            with self._changing:
                self.history.append(execution)
                if generation == self._generation:
                    self._settle(execution, watermark)
            self._application.record_execution(self, execution)
            return execution
        finally:
            self.is_running = False
            self._cycling.release()

    def _execute(
        self, before: Watermark | None, credentials: dict[str, str]
    ) -> tuple[Execution, Watermark | None]:
        began, people = self._now(), self._application.people
        cycle: Cycle | None = None
        reason: Reason | None = None
        failure: Failure | None = None
        try:
            if deletes := self._too_many_deletes(before):
                failure, reason = _DELETES, deletes
            elif people or before:
                with self._application.connector.client(
                    credentials, application=self._application.service_principal_id
                ) as client:
                    cycle = cycles.run(client, before, people, self._application.teams)
                reason = cycle.people.reason
            else:
                cycle = cycles.nobody()
        except EntraError as error:
            failure = failure_of(error)
            reason = self._reason_of(error)
        if cycle is not None and reason is not None:
            failure = _ESCROWED
        state = ExecutionState.SUCCEEDED
        if failure is not None:
            state = ExecutionState.FAILED
        elif cycle is not None and cycle.failures:
            state = ExecutionState.ENTRY_LEVEL_ERRORS
        execution = Execution(new_guid(), began, self._now(), state, failure, cycle, len(people), reason)
        return execution, cycle.watermark if cycle else before

    def _too_many_deletes(self, before: Watermark | None) -> Reason | None:
        kept = {person.key for person in self._application.people}
        gone = [person for person in before.people if person.key not in kept] if before else []
        threshold = None if self._forces_deletes else self._application.delete_threshold
        return quarantine.reason_of_deletes(len(gone), threshold)

    def _reason_of(self, error: EntraError) -> Reason | None:
        """Why a cycle that could not begin leads to quarantine; None as long as it is an outage."""
        if isinstance(error, Incomplete):
            return Reason.BAD_CREDENTIALS
        status = 0 if isinstance(error, Unreachable) else getattr(error, "status", 0)
        return quarantine.reason_of_test(status) or quarantine.reason_of_outage(
            self.successive_failures + 1, self._application.behaviour.outage_cycles
        )

    def _settle(self, execution: Execution, watermark: Watermark | None) -> None:
        """What a cycle leads to, unless start or restart has overtaken it."""
        could_begin = execution.cycle is not None
        self.successive_failures = 0 if could_begin else self.successive_failures + 1
        self._watermark = watermark
        self._forces_deletes = self._forces_deletes and execution.state is not ExecutionState.SUCCEEDED
        if execution.state is ExecutionState.SUCCEEDED and self.steady_since is None:
            self.steady_since = execution.ended
        if could_begin or execution.reason is not None:
            self.quarantine = quarantine.after_cycle(self.quarantine, execution.reason, execution.ended)
        if self.schedule is not ScheduleState.ACTIVE:
            return
        self.next_run = quarantine.next_cycle(execution.ended, self.quarantine, self._application.schedule)
        if self.next_run is None:
            self.schedule = ScheduleState.DISABLED

    def _end_quarantine(self) -> None:
        self.quarantine, self.successive_failures = None, 0

    def _now(self) -> datetime:
        return from_posix(self._application.clock())

"""Provisioning cycles: the order in which Entra asks, creates, changes and reads back."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from entra_standin import quarantine
from entra_standin.checks import Resource
from entra_standin.client import EntraClient
from entra_standin.dialects import MANAGER, Value
from entra_standin.directory import Person
from entra_standin.errors import EntraError, Finding, Rejected, Unreachable
from entra_standin.mapping import attributes, changes_between, differences

_UNPROCESSABLE: Final = 422
_CONFLICT: Final = 409


@dataclasses.dataclass(frozen=True)
class CycleReport:
    """What a cycle did, in people's keys.

    Attributes:
        created: were not there.
        matched: were there already, and were not made a second time.
        updated: were changed by a PATCH.
        deleted: are gone for good.
        skipped: lack the matching attribute; Entra calls them ``UnprocessableEntry``.
        failures: refusals and requests without an answer, as messages.
        findings: answers that Entra would not take, as messages.
        ids: the service's id by key.
        sent: requests of this cycle that got an answer.
        rejected: how many of these answers were 400 and above, by status.
        reason: for quarantine, or ``None``.
        not_connected: what the query that begins a cycle ended in, when the cycle could not begin.
    """

    created: tuple[str, ...]
    matched: tuple[str, ...]
    updated: tuple[str, ...]
    deleted: tuple[str, ...]
    skipped: tuple[str, ...]
    failures: tuple[str, ...]
    findings: tuple[str, ...]
    ids: Mapping[str, str]
    sent: int
    rejected: Mapping[int, int]
    reason: quarantine.Reason | None
    not_connected: EntraError | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing failed and nothing was found."""
        return not self.failures and not self.findings

    def lines(self) -> list[str]:
        """The report for people, one fact a line."""
        counts = ("created", "matched", "updated", "deleted", "skipped")
        refused = ", ".join(f"{count} x {status}" for status, count in sorted(self.rejected.items()))
        return [
            *(f"{name}: {len(getattr(self, name))}" for name in counts),
            f"requests: {self.sent}, refused: {refused or 'none'}",
            *(f"failure: {text}" for text in self.failures),
            *(f"finding: {text}" for text in self.findings),
            *([f"quarantine: {self.reason}"] if self.reason else []),
        ]


def initial_cycle(client: EntraClient, people: Iterable[Person]) -> CycleReport:
    """Everybody: query, then POST, or PATCH when found, then GET by id; managers last.

    A restart runs it again: those who are there are matched and not duplicated.
    """
    run, everybody = _Run(client), tuple(people)
    if run.connected():
        for person in everybody:
            run.attempt(run.provision, person)
        for person in everybody:
            run.attempt(run.set_manager, person)
    return run.report()


def incremental_cycle(client: EntraClient, before: Iterable[Person], after: Iterable[Person]) -> CycleReport:
    """Only what changed between two states of the directory.

    Those who are new are provisioned as in an initial cycle, those who changed get a PATCH of just the
    changes, and those who are gone are deleted.
    """
    run = _Run(client)
    known, wanted = {person.key: person for person in before}, tuple(after)
    if run.connected():
        for person in wanted:
            old = known.get(person.key)
            if old is None:
                run.attempt(run.provision, person)
            else:
                run.attempt(functools.partial(run.update, old), person)
        for person in wanted:
            old = known.get(person.key)
            if run.has_created(person) or (old and old.manager != person.manager):
                run.attempt(run.set_manager, person)
        kept = {person.key for person in wanted}
        for key, person in known.items():
            if key not in kept:
                run.attempt(run.delete, person)
    return run.report()


class _Run:
    """One cycle while it runs; ``attempt`` keeps one person's trouble from ending it for the others."""

    def __init__(self, client: EntraClient) -> None:
        self._client = client
        self._sent_before, self._rejected_before = client.sent, client.rejected.copy()
        self._created: list[str] = []
        self._matched: list[str] = []
        self._updated: list[str] = []
        self._deleted: list[str] = []
        self._skipped: list[str] = []
        self._failures: list[str] = []
        self._findings: list[str] = []
        self._ids: dict[str, str] = {}
        self._attempted = self._failed = 0
        self._reason: quarantine.Reason | None = None
        self._not_connected: EntraError | None = None

    def connected(self) -> bool:
        """Begin with Test Connection's query, as every cycle does."""
        try:
            self._client.find_nobody()
        except EntraError as error:
            self._note(error)
            self._not_connected = error
            if isinstance(error, Rejected | Finding):
                self._reason = quarantine.reason_of_test(error.status)
            return False
        return True

    def attempt(self, step: Callable[[Person], None], person: Person) -> None:
        """Do one operation for one person."""
        self._attempted += 1
        try:
            step(person)
        except EntraError as error:
            if isinstance(error, Rejected) and error.status == _UNPROCESSABLE and not self._has_match(person):
                self._skipped.append(person.key)
            else:
                self._failed += 1
                self._note(error)

    def provision(self, person: Person) -> None:
        """Query, POST or PATCH, and read back."""
        wanted = attributes(person)
        found = self._find(person)
        if found is None:
            self._ids[person.key] = self._create(person)["id"]
            self._created.append(person.key)
        else:
            self._ids[person.key] = found["id"]
            self._matched.append(person.key)
            self._patch(person, differences(found, wanted))
        self._read_back(person, wanted)

    def update(self, old: Person, new: Person) -> None:
        """PATCH what changed; a person who is not there any more is made again."""
        changes = changes_between(attributes(old), attributes(new))
        found = self._find(old)
        if found is None:
            self.provision(new)
            return
        self._ids[new.key] = found["id"]
        self._patch(new, changes)
        if changes:
            self._read_back(new, changes)

    def set_manager(self, person: Person) -> None:
        """Point to the manager, who has an id by now, or take the reference away."""
        if person.key not in self._ids or (person.manager is not None and person.manager not in self._ids):
            return
        wanted: dict[str, Value] = {MANAGER: self._ids[person.manager] if person.manager else None}
        now = self._client.get(self._ids[person.key])
        if missing := differences(now, wanted):
            self._patch(person, missing)
            self._read_back(person, wanted)

    def delete(self, person: Person) -> None:
        """Delete, and make sure that nobody finds them any more."""
        found = self._find(person)
        if found is None:
            return
        self._client.delete(found["id"])
        self._deleted.append(person.key)
        if self._find(person) is not None:
            self._findings.append(f"DELETE /Users/{found['id']}: the user is still found")

    def has_created(self, person: Person) -> bool:
        """Whether this cycle made the person, who then has no manager yet."""
        return person.key in self._created

    def report(self) -> CycleReport:
        """What happened."""
        return CycleReport(
            created=tuple(self._created),
            matched=tuple(self._matched),
            updated=tuple(dict.fromkeys(self._updated)),
            deleted=tuple(self._deleted),
            skipped=tuple(self._skipped),
            failures=tuple(self._failures),
            findings=tuple(self._findings),
            ids=self._ids,
            sent=self._client.sent - self._sent_before,
            rejected=dict(self._client.rejected - self._rejected_before),
            reason=self._reason or quarantine.reason_of_cycle(self._attempted, self._failed),
            not_connected=self._not_connected,
        )

    def _find(self, person: Person) -> Resource | None:
        value = self._client.matching.value_of(person)
        return self._client.find(value) if value else None

    def _create(self, person: Person) -> Resource:
        """POST; once more when no answer came. The first one may have arrived: then the second is refused
        as a duplicate (409), and the user that the first one made is looked for.
        """
        try:
            return self._client.create(person)
        except Unreachable:
            try:
                return self._client.create(person)
            except Rejected as refused:
                made = self._find(person) if refused.status == _CONFLICT else None
                if made is None:
                    raise
                return made

    def _has_match(self, person: Person) -> bool:
        return bool(self._client.matching.value_of(person))

    def _patch(self, person: Person, changes: Mapping[str, Value]) -> None:
        if changes:
            self._client.patch(self._ids[person.key], changes)
            self._updated.append(person.key)

    def _read_back(self, person: Person, wanted: Mapping[str, Value]) -> None:
        """Values are stored and returned as sent; those that are not are reported by path, without the value."""
        resource = self._client.get(self._ids[person.key])
        for path in differences(resource, wanted):
            self._findings.append(f"GET /Users/{resource['id']}: {path} is not what was sent")

    def _note(self, error: EntraError) -> None:
        (self._findings if isinstance(error, Finding) else self._failures).append(str(error))

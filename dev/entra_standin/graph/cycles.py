"""One cycle of a job: the stand-in's cycles of people and groups, from what was provisioned before."""

import dataclasses
from collections.abc import Mapping
from typing import Final

from entra_standin.client import EntraClient
from entra_standin.cycle import CycleReport, incremental_cycle, initial_cycle
from entra_standin.dialects import GROUP_SCHEMA
from entra_standin.directory import Person, Team
from entra_standin.discovery import discover
from entra_standin.errors import EntraError
from entra_standin.groups import GroupReport, incremental_groups, initial_groups

_NOBODY: Final = CycleReport((), (), (), (), (), (), (), {}, 0, {}, None)


@dataclasses.dataclass(frozen=True)
class Watermark:
    """What was provisioned, so that the next cycle sends changes alone.

    Attributes:
        people: as they were.
        teams: as they were.
        ids: the service's id of each person by key.
        groups: whether the service has groups.
    """

    people: tuple[Person, ...]
    teams: tuple[Team, ...]
    ids: Mapping[str, str]
    groups: bool


@dataclasses.dataclass(frozen=True)
class Cycle:
    """What a cycle did.

    Attributes:
        people: its report.
        groups: its report on groups; None without groups.
        watermark: for the next cycle; None when something failed, so that it does everything again.
    """

    people: CycleReport
    groups: GroupReport | None
    watermark: Watermark | None

    @property
    def failures(self) -> tuple[str, ...]:
        """Everything that went wrong, as messages."""
        groups = (*self.groups.failures, *self.groups.findings) if self.groups else ()
        return (*self.people.failures, *self.people.findings, *groups)

    @property
    def exported(self) -> int:
        """Changes of users and groups."""
        done = self.people
        users = len(done.created) + len(done.updated) + len(done.deleted)
        groups = self.groups
        return users + (len(groups.created) + len(groups.changed) + len(groups.deleted) if groups else 0)


def nobody() -> Cycle:
    """The cycle of a job without assigned users: it succeeds, and sends nothing."""
    return Cycle(_NOBODY, None, None)


def run(
    client: EntraClient, before: Watermark | None, people: tuple[Person, ...], teams: tuple[Team, ...]
) -> Cycle:
    """An initial cycle, or an incremental one when there was one before.

    Args:
        client: the connection.
        before: what the last complete cycle left.
        people: who is assigned now.
        teams: which groups are assigned now.

    Raises:
        EntraError: the cycle could not begin.
    """
    report = (
        initial_cycle(client, people) if before is None else incremental_cycle(client, before.people, people)
    )
    if report.not_connected is not None:
        raise report.not_connected
    if not report.ok:
        return Cycle(report, None, before)
    if not teams and not (before and before.teams):
        return Cycle(
            report, None, Watermark(people, (), report.ids, groups=before.groups if before else False)
        )
    try:
        has_groups = before.groups if before and before.teams else GROUP_SCHEMA in discover(client)
    except EntraError as error:
        return Cycle(dataclasses.replace(report, failures=(str(error),)), None, before)
    if not has_groups:
        return Cycle(report, None, Watermark(people, teams, report.ids, groups=False))
    groups = (
        incremental_groups(client, before.teams, teams, report.ids)
        if before and before.teams
        else initial_groups(client, teams, report.ids)
    )
    after = Watermark(people, teams, report.ids, groups=True) if groups.ok else before
    return Cycle(report, groups, after)

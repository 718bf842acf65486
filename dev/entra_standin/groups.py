"""Groups, as Entra provisions them: made bare, read bare, members added and removed after all users."""

import dataclasses
import functools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import httpx

from entra_standin.checks import Answer, Resource
from entra_standin.client import EntraClient
from entra_standin.dialects import GROUP_SCHEMA, add_members_body, remove_members_body, rename_body
from entra_standin.directory import Team
from entra_standin.errors import EntraError, Finding

_ENTRA_GROUP: Final = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"
_BARE: Final = {"excludedAttributes": "members"}


@dataclasses.dataclass(frozen=True)
class GroupReport:
    """What a cycle did with groups, in their keys.

    Attributes:
        created: were not there.
        matched: were there already.
        changed: got another name or other members.
        deleted: are gone.
        failures: refusals and requests without an answer, as messages.
        findings: answers that Entra would not take, as messages.
        ids: the service's id by key.
    """

    created: tuple[str, ...]
    matched: tuple[str, ...]
    changed: tuple[str, ...]
    deleted: tuple[str, ...]
    failures: tuple[str, ...]
    findings: tuple[str, ...]
    ids: Mapping[str, str]

    @property
    def ok(self) -> bool:
        """Whether nothing failed and nothing was found."""
        return not self.failures and not self.findings

    def lines(self) -> list[str]:
        """The report for people, one fact a line."""
        counts = ("created", "matched", "changed", "deleted")
        return [
            *(f"groups {name}: {len(getattr(self, name))}" for name in counts),
            *(f"failure: {text}" for text in self.failures),
            *(f"finding: {text}" for text in self.findings),
        ]


# -- requests ---------------------------------------------------------------------------------------
def find_group(client: EntraClient, name: str) -> Resource | None:
    """Look for a group by its name, without members.

    Raises:
        Finding: also when several, or another one, or members come.
    """
    answer = _query(client, f"displayName eq {_quoted(name)}")
    found = answer.resources("Group")
    if len(found) > 1:
        answer.finding(f"{len(found)} groups have the same displayName")
    if not found:
        return None
    if found[0]["displayName"].casefold() != name.casefold():
        answer.finding("the group found does not have the name of the filter")
    return _bare(answer, found[0])


def create_group(client: EntraClient, team: Team) -> Resource:
    """POST a group without members, with Entra's noise."""
    body = {
        "schemas": [GROUP_SCHEMA, _ENTRA_GROUP],
        "externalId": team.key,
        "displayName": team.display_name,
        "meta": {"resourceType": "Group"},
    }
    answer = client.send("POST", "/Groups", body=body)
    answer.expect([httpx.codes.CREATED])
    made = answer.created("Group")
    if made.get("members"):
        answer.finding("a group that was made without members has some")
    return made


def read_group(client: EntraClient, group_id: str) -> Resource:
    """Read a group by id, without its members."""
    answer = client.send("GET", _path(group_id), _BARE)
    answer.expect([httpx.codes.OK])
    return _bare(answer, _the_same(answer, answer.resource("Group"), group_id))


def rename_group(client: EntraClient, group_id: str, name: str) -> None:
    """Give a group another name."""
    _patch(client, group_id, rename_body(name, client.dialect))


def add_members(client: EntraClient, group_id: str, members: Sequence[str]) -> None:
    """Add members by their ids, several in one operation."""
    _patch(client, group_id, add_members_body(members, client.dialect))


def remove_members(client: EntraClient, group_id: str, members: Sequence[str]) -> None:
    """Remove members by their ids."""
    _patch(client, group_id, remove_members_body(members, client.dialect))


def has_member(client: EntraClient, group_id: str, member: str) -> bool:
    """The reference check: does this group have this member?"""
    answer = _query(client, f'id eq "{group_id}" and members[value eq "{member}"]')
    found = answer.resources("Group")
    if len(found) > 1 or any(group["id"] != group_id for group in found):
        answer.finding("the reference check found another group")
    return bool(found)


def delete_group(client: EntraClient, group_id: str) -> None:
    """Delete for good."""
    answer = client.send("DELETE", _path(group_id))
    answer.expect([httpx.codes.NO_CONTENT])
    answer.nothing()


# -- cycles -----------------------------------------------------------------------------------------
def initial_groups(client: EntraClient, teams: Iterable[Team], people: Mapping[str, str]) -> GroupReport:
    """Every group: query, then POST or match, read by id, then its missing members in one request.

    Args:
        client: the connection.
        teams: the groups.
        people: the service's id of each person by key, from the cycle of the users.
    """
    run = _Run(client, people)
    for team in teams:
        run.attempt(run.provision, team)
    return run.report()


def incremental_groups(
    client: EntraClient, before: Iterable[Team], after: Iterable[Team], people: Mapping[str, str]
) -> GroupReport:
    """Only what changed between two states: names, members who came or went, groups that are gone.

    Args:
        client: the connection.
        before: the groups as the service has them.
        after: the groups as they are now.
        people: as in ``initial_groups``; those who left the directory are gone from their groups already.
    """
    run, wanted = _Run(client, people), tuple(after)
    known = {team.key: team for team in before}
    for team in wanted:
        old = known.pop(team.key, None)
        if old is None:
            run.attempt(run.provision, team)
        else:
            run.attempt(functools.partial(run.update, old), team)
    for team in known.values():
        run.attempt(run.delete, team)
    return run.report()


class _Run:
    """One cycle while it runs; one group's trouble does not end it for the others."""

    def __init__(self, client: EntraClient, people: Mapping[str, str]) -> None:
        self._client, self._people = client, people
        self._done: dict[str, list[str]] = {name: [] for name in ("created", "matched", "changed", "deleted")}
        self._failures: list[str] = []
        self._findings: list[str] = []
        self._ids: dict[str, str] = {}

    def attempt(self, step: Callable[[Team], None], team: Team) -> None:
        """Do one operation for one group."""
        try:
            step(team)
        except EntraError as error:
            (self._findings if isinstance(error, Finding) else self._failures).append(str(error))

    def provision(self, team: Team) -> None:
        """Query, POST when nobody is found, read back; then the members."""
        found = find_group(self._client, team.display_name)
        self._done["matched" if found else "created"].append(team.key)
        group_id = (found or create_group(self._client, team))["id"]
        self._ids[team.key] = group_id
        self._read_back(group_id, team)
        missing = [one for one in self._members(team.members) if not has_member(self._client, group_id, one)]
        self._change(team, add=missing, remove=[])

    def update(self, old: Team, new: Team) -> None:
        """The name, then members who came and members who went."""
        found = find_group(self._client, old.display_name)
        if found is None:
            self.provision(new)
            return
        self._ids[new.key] = found["id"]
        if old.display_name != new.display_name:
            rename_group(self._client, found["id"], new.display_name)
            self._done["changed"].append(new.key)
        self._change(
            new,
            add=self._members(new.members - old.members),
            remove=self._members(old.members - new.members),
        )
        self._read_back(found["id"], new)

    def delete(self, team: Team) -> None:
        """Delete, and make sure that nobody finds it any more."""
        found = find_group(self._client, team.display_name)
        if found is None:
            return
        delete_group(self._client, found["id"])
        self._done["deleted"].append(team.key)
        if find_group(self._client, team.display_name) is not None:
            self._findings.append(f"DELETE {_path(found['id'])}: the group is still found")

    def report(self) -> GroupReport:
        """What happened."""
        done = {name: tuple(dict.fromkeys(keys)) for name, keys in self._done.items()}
        return GroupReport(
            **done, failures=tuple(self._failures), findings=tuple(self._findings), ids=self._ids
        )

    def _members(self, keys: Collection[str]) -> list[str]:
        return [self._people[key] for key in sorted(keys) if key in self._people]

    def _change(self, team: Team, *, add: list[str], remove: list[str]) -> None:
        group_id = self._ids[team.key]
        if add:
            add_members(self._client, group_id, add)
        if remove:
            remove_members(self._client, group_id, remove)
        if add or remove:
            self._done["changed"].append(team.key)
        for member, wanted in [(one, True) for one in add] + [(one, False) for one in remove]:
            if has_member(self._client, group_id, member) is not wanted:
                self._findings.append(
                    f"PATCH {_path(group_id)}: a member was not {'added' if wanted else 'removed'}"
                )

    def _read_back(self, group_id: str, team: Team) -> None:
        held = read_group(self._client, group_id)
        for name, value in (("displayName", team.display_name), ("externalId", team.key)):
            if held.get(name) != value:
                self._findings.append(f"GET {_path(group_id)}: {name} is not what was sent")


def _query(client: EntraClient, text: str) -> Answer:
    answer = client.send("GET", "/Groups", {**_BARE, "filter": text})
    answer.expect([httpx.codes.OK])
    return answer


def _patch(client: EntraClient, group_id: str, body: Any) -> None:
    answer = client.send("PATCH", _path(group_id), body=body)
    answer.expect([httpx.codes.NO_CONTENT])
    answer.nothing()


def _bare(answer: Answer, group: Resource) -> Resource:
    if "members" in group:
        answer.finding("members come although they are excluded")
    return group


def _the_same(answer: Answer, group: Resource, group_id: str) -> Resource:
    if group["id"] != group_id:
        answer.finding("the group in the answer has another id")
    return group


def _path(group_id: str) -> str:
    return f"/Groups/{quote(group_id, safe='')}"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'

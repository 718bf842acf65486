"""Groups: the order of a cycle's requests, both dialects, and that a faulty service does not pass."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest

from entra_standin.__main__ import changed_teams, play
from entra_standin.client import EntraClient
from entra_standin.cycle import initial_cycle
from entra_standin.dialects import Dialect
from entra_standin.directory import Team, six_people, three_teams
from entra_standin.groups import GroupReport, incremental_groups, initial_groups
from unit.entra_standin.faulty_service import TOKEN, URL, Fault, Service, error, instead, on, scim

TEAMS = three_teams()
SMALL = Team("team", "Small (1)", frozenset({"ada", "grace"}))


@pytest.fixture
def people(client: EntraClient, service: Service) -> Mapping[str, str]:
    """The ids of six people who are there; their requests are forgotten."""
    ids = initial_cycle(client, six_people()).ids
    service.requests.clear()
    return ids


def asked(service: Service) -> list[str]:
    """The requests, without their queries, by method and path."""
    return [f"{one.method} {one.url.path.removeprefix('/scim/v2')}" for one in service.requests]


def test_a_group_is_asked_for_created_bare_read_bare_and_then_gets_its_members_in_one_request(
    client: EntraClient, service: Service, people: Mapping[str, str]
) -> None:
    report = initial_groups(client, [SMALL], people)
    assert report.ok, report.lines()
    assert asked(service) == [
        "GET /Groups", "POST /Groups", "GET /Groups/id-team", "GET /Groups", "GET /Groups",
        "PATCH /Groups/id-team", "GET /Groups", "GET /Groups",
    ]  # fmt: skip
    reads = [request for request in service.requests if request.method == "GET"]
    assert {request.url.params["excludedAttributes"] for request in reads} == {"members"}
    assert "members" not in service.bodies("POST")[0]
    assert service.groups["id-team"]["members"] == {"id-ada", "id-grace"}


@pytest.mark.parametrize(
    ("dialect", "operations"),
    [
        (
            Dialect.CLASSIC,
            [{"op": "Remove", "path": "members", "value": [
                {"$ref": None, "value": "id-ada"}, {"$ref": None, "value": "id-grace"}
            ]}],
        ),
        (
            Dialect.AAD_OPT_SCIM,
            [
                {"op": "remove", "path": 'members[value eq "id-ada"]'},
                {"op": "remove", "path": 'members[value eq "id-grace"]'},
            ],
        ),
    ],
)  # fmt: skip
def test_members_are_removed_in_each_dialect(
    service: Service, dialect: Dialect, operations: list[dict[str, Any]]
) -> None:
    with EntraClient(URL, TOKEN, dialect, transport=service.transport()) as client:
        people = initial_cycle(client, six_people()).ids
        initial_groups(client, [SMALL], people)
        service.requests.clear()
        report = incremental_groups(client, [SMALL], [Team("team", "Small (1)")], people)
    assert report.ok, report.lines()
    assert [body["Operations"] for body in service.bodies("PATCH")] == [operations]
    assert service.groups["id-team"]["members"] == set()


def test_a_restart_matches_the_groups_and_changes_nothing(
    client: EntraClient, service: Service, people: Mapping[str, str]
) -> None:
    initial_groups(client, TEAMS, people)
    report = initial_groups(client, TEAMS, people)
    assert (report.created, report.changed) == ((), ())
    assert report.matched == tuple(team.key for team in TEAMS)


def test_an_incremental_cycle_renames_moves_members_creates_and_deletes(
    client: EntraClient, service: Service, people: Mapping[str, str]
) -> None:
    initial_groups(client, TEAMS, people)
    report = incremental_groups(client, TEAMS, changed_teams(TEAMS), people)
    assert report.ok, report.lines()
    assert report.created == ("team-new",)
    assert report.deleted == ("team-empty",)
    assert set(report.changed) == {"team-all", "team-compilers", "team-new"}
    assert service.groups["id-team-compilers"]["displayName"] == "Compilers"
    assert service.groups["id-team-compilers"]["members"] == {"id-grace", "id-katherine"}
    assert report.lines()[0] == "groups created: 1"


def test_a_member_whom_nobody_knows_is_left_out(client: EntraClient, service: Service) -> None:
    report = initial_groups(client, [SMALL], {"ada": "id-ada"})
    assert report.ok
    assert service.groups["id-team"]["members"] == {"id-ada"}


def with_members(body: dict[str, Any]) -> dict[str, Any]:
    """Every group of an answer with a member."""
    groups = body.get("Resources", [body])
    for group in groups:
        group["members"] = [{"value": "id-ada"}]
    return body


def lies(value: list[Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """An answer to a query that finds something else."""
    return lambda body: {**body, "Resources": value, "totalResults": len(value), "itemsPerPage": len(value)}


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (on("GET", with_members), "members come although they are excluded"),
        (on("POST", with_members), "a group that was made without members has some"),
        (on("POST", lambda body: {**body, "displayName": None}), "a group has no displayName"),
        (on("POST", lambda body: {**body, "schemas": []}), "does not name the Group schema"),
        (instead("PATCH", lambda: scim(200, {})), "expected 204"),
        (instead("PATCH", lambda: httpx.Response(204, content=b"{}")), "a 204 carries no body"),
        (instead("PATCH", lambda: error(400, "invalidValue", "no such member")), "no such member"),
    ],
)
def test_a_faulty_service_does_not_pass(
    client: EntraClient, service: Service, people: Mapping[str, str], fault: Fault, message: str
) -> None:
    service.fault = fault
    report = initial_groups(client, [SMALL], people)
    assert not report.ok
    assert any(message in line for line in report.lines()), report.lines()


def test_a_patch_that_is_answered_and_not_done_is_a_finding(
    client: EntraClient, service: Service, people: Mapping[str, str]
) -> None:
    def undone(request: httpx.Request, answer: httpx.Response) -> httpx.Response:
        if request.method == "PATCH":
            service.groups["id-team"]["members"] = {"id-ada"}
        return answer

    service.fault = undone
    assert initial_groups(client, [SMALL], people).findings == (
        "PATCH /Groups/id-team: a member was not added",
    )
    report = incremental_groups(client, [SMALL], [Team("team", "Small (1)")], people)
    assert report.findings == ("PATCH /Groups/id-team: a member was not removed",)


@pytest.mark.parametrize("change", ["externalId", "displayName"])
def test_what_is_not_kept_is_found(
    client: EntraClient, service: Service, people: Mapping[str, str], change: str
) -> None:
    def forgets(request: httpx.Request, answer: httpx.Response) -> httpx.Response:
        if request.method == "GET" and request.url.path.endswith("/id-team"):
            answer = scim(200, {**json.loads(answer.content), change: "other"}, etag='W/"1"')
        return answer

    service.fault = forgets
    report = initial_groups(client, [SMALL], people)
    assert report.findings == (f"GET /Groups/id-team: {change} is not what was sent",)


def test_a_group_that_is_still_found_after_its_deletion_is_a_finding(
    client: EntraClient, service: Service, people: Mapping[str, str]
) -> None:
    initial_groups(client, [SMALL], people)
    service.fault = instead("DELETE", lambda: httpx.Response(204))
    kept = dict(service.groups)

    def undone(request: httpx.Request, answer: httpx.Response) -> httpx.Response:
        service.groups.update(kept)
        return answer

    service.fault = undone
    report = incremental_groups(client, [SMALL], [], people)
    assert report.findings == ("DELETE /Groups/id-team: the group is still found",)


def test_two_groups_of_one_name_are_a_finding(
    client: EntraClient, service: Service, people: Mapping[str, str]
) -> None:
    initial_groups(client, [SMALL], people)
    service.groups["id-twin"] = {**service.groups["id-team"], "id": "id-twin"}
    report: GroupReport = initial_groups(client, [SMALL], people)
    assert any("2 groups have the same displayName" in text for text in report.findings)


def test_a_reference_check_that_finds_another_group_is_a_finding(
    client: EntraClient, service: Service, people: Mapping[str, str]
) -> None:
    initial_groups(client, [SMALL, Team("other", "Other")], people)
    other = {name: value for name, value in service.groups["id-other"].items() if name != "members"}

    def confused(request: httpx.Request, answer: httpx.Response) -> httpx.Response:
        if "members[" in request.url.params.get("filter", ""):
            answer = scim(200, lies([other])(json.loads(answer.content)))
        return answer

    service.fault = confused
    report = initial_groups(client, [SMALL], people)
    assert any("the reference check found another group" in text for text in report.findings)


def test_a_play_without_a_group_schema_asks_for_groups_in_test_connection_alone(
    client: EntraClient, service: Service
) -> None:
    service.schemas.pop()
    told: list[str] = []
    assert play(client, told.append), told
    assert sum("/Groups" in request for request in asked(service)) == 1
    assert not any("groups" in line for line in told)


def test_a_play_ends_when_a_group_can_not_be_provisioned(client: EntraClient, service: Service) -> None:
    def fault(request: httpx.Request, answer: httpx.Response) -> httpx.Response:
        return error(501, detail="no groups here") if "/Groups" in request.url.path else answer

    service.fault = fault
    told: list[str] = []
    assert not play(client, told.append)
    assert any("no groups here" in line for line in told)

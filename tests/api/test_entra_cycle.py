"""Entra's provisioning cycles, played over HTTP against the real process, on each database."""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from entra_standin.__main__ import changed_people, changed_teams, play
from entra_standin.client import EntraClient
from entra_standin.cycle import incremental_cycle, initial_cycle
from entra_standin.dialects import GROUP_SCHEMA, Dialect
from entra_standin.directory import Person, Team, six_people, three_teams
from entra_standin.discovery import discover
from entra_standin.errors import Rejected
from entra_standin.groups import add_members, has_member, incremental_groups, initial_groups, remove_members
from entra_standin.mapping import Matching
from entra_standin.quarantine import Reason
from support.postgres import PostgresServer
from support.scim_service import Endpoint, ScimService, service_on


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def service(
    request: pytest.FixtureRequest, postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ScimService]:
    directory = tmp_path_factory.mktemp("service")
    with service_on(request.param, directory, postgres_server) as service:
        yield service


@pytest.fixture
def endpoint(service: ScimService) -> Endpoint:
    """A tenant of its own."""
    return service.connect(f"t{secrets.token_hex(6)}")


@pytest.fixture
def client(endpoint: Endpoint) -> Iterator[EntraClient]:
    with EntraClient(endpoint.url, endpoint.token) as client:
        yield client


TOLD = frozenset(
    {
        "initial cycle: created: 6",
        "initial cycle: groups created: 3",
        "incremental cycle: deleted: 1",
        "incremental cycle: groups created: 1",
        "incremental cycle: groups deleted: 1",
        "restart: created: 0",
        "restart: matched: 5",
        "restart: updated: 0",
        "restart: groups created: 0",
        "restart: groups changed: 0",
    }
)


@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize("matching", list(Matching))
def test_all_cycles_go_without_a_finding_in_each_dialect_and_matching(
    service: ScimService, dialect: Dialect, matching: Matching
) -> None:
    endpoint = service.connect(f"t{secrets.token_hex(6)}", matching=matching.value)
    told: list[str] = []
    with EntraClient(endpoint.url, endpoint.token, dialect, matching) as client:
        assert play(client, told.append), told
    assert told[0] == "Test Connection: nobody found, as it must be"
    assert set(told) > TOLD


def test_the_command_plays_them_at_entras_pace_in_the_dialect_and_matching_it_is_told(
    service: ScimService, tmp_path: Path
) -> None:
    matching, dialect = Matching.USER_NAME, Dialect.AAD_OPT_SCIM
    endpoint = service.connect(f"t{secrets.token_hex(6)}", matching=matching.value)
    (tmp_path / "token").write_text(endpoint.token, encoding="utf-8")
    options = ["--url", endpoint.url, "--token-file", str(tmp_path / "token")]
    played = subprocess.run(
        [sys.executable, "-m", "entra_standin", *options, "--dialect", dialect, "--matching", matching],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "dev")},
    )
    assert played.returncode == 0, played.stdout + played.stderr
    assert set(played.stdout.splitlines()) > TOLD
    assert endpoint.token not in played.stdout + played.stderr


def test_a_person_without_mail_is_skipped_and_the_others_are_provisioned(client: EntraClient) -> None:
    nobody = Person("ghost", "ghost@contoso.example", None, "Ghost")
    report = initial_cycle(client, [nobody, *six_people()])
    assert report.skipped == ("ghost",)
    assert len(report.created) == 6
    assert report.ok, report.lines()
    assert report.rejected == {422: 1}


def test_a_wrong_token_is_refused_in_a_form_entra_reads_and_quarantines_the_job(endpoint: Endpoint) -> None:
    wrong = endpoint.token[:-1] + ("A" if endpoint.token[-1] != "A" else "B")
    with EntraClient(endpoint.url, wrong) as client:
        report = initial_cycle(client, six_people())
    assert report.reason is Reason.BAD_CREDENTIALS
    assert report.rejected == {401: 1}
    assert report.findings == ()
    assert report.created == ()


def test_a_cycle_that_is_told_of_no_change_sends_only_queries(client: EntraClient) -> None:
    initial_cycle(client, six_people())
    report = incremental_cycle(client, six_people(), six_people())
    assert report.ok, report.lines()
    assert report.updated == ()
    assert report.sent == 1 + len(six_people())


def test_a_create_sent_by_twenty_five_at_once_makes_one_user(client: EntraClient) -> None:
    person = six_people()[0]

    def create(_: int) -> int:
        try:
            client.create(person)
        except Rejected as refused:
            return refused.status
        return 201

    with ThreadPoolExecutor(25) as pool:
        statuses = list(pool.map(create, range(25)))
    assert sorted(statuses) == [201] + [409] * 24
    assert client.find("ada@contoso.example") is not None


def test_twenty_five_at_once_add_and_remove_members_of_one_group_and_none_is_lost(
    client: EntraClient,
) -> None:
    def person(number: int) -> Person:
        name = f"p{number}@contoso.example"
        return Person(f"p{number}", name, name, f"P {number}")

    people = initial_cycle(client, [person(number) for number in range(25)]).ids
    group = initial_groups(client, [Team("team", "Team")], people).ids["team"]
    with ThreadPoolExecutor(25) as pool:
        list(pool.map(lambda one: add_members(client, group, [one]), people.values()))
        held = list(pool.map(lambda one: has_member(client, group, one), people.values()))
        assert held == [True] * 25
        gone = list(people.values())[::2]
        list(pool.map(lambda one: remove_members(client, group, [one]), gone))
        held = list(pool.map(lambda one: has_member(client, group, one), people.values()))
        assert held == [one not in gone for one in people.values()]


def test_a_deleted_person_has_left_every_group(client: EntraClient) -> None:
    people, teams = six_people(), three_teams()
    ids = initial_cycle(client, people).ids
    groups = initial_groups(client, teams, ids).ids
    assert has_member(client, groups["team-all"], ids["radia"])
    report = incremental_cycle(client, people, changed_people(people))
    assert report.deleted == ("radia",)
    assert not has_member(client, groups["team-all"], ids["radia"])
    assert has_member(client, groups["team-all"], ids["grace"]), "a disabled person stays"
    assert incremental_groups(client, teams, changed_teams(teams), report.ids).ok


def test_discovery_names_the_group_schema_unless_groups_are_disabled(
    service: ScimService, client: EntraClient
) -> None:
    assert GROUP_SCHEMA in discover(client)
    endpoint = service.connect(f"t{secrets.token_hex(6)}", groups="Disabled")
    with EntraClient(endpoint.url, endpoint.token) as without:
        assert GROUP_SCHEMA not in discover(without)

"""``users``, ``groups``, ``whois`` and ``log`` as people type them."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from click.testing import CliRunner, Result

from kubectl_scim.commands.people import TYPES
from kubectl_scim.main import cli
from scim_api.contract.change_types import ChangeType
from scim_console.model import Denied, Unreachable
from support.played_directory import PlayedDirectory, change, user
from support.played_kubectl import PlayedKubectl
from support.scimtoken_objects import scimtoken

GONE = change("2", "user.deleted", "gone")


class World:
    """What the commands find, and what they were told to look at."""

    def __init__(self) -> None:
        shared = [{"type": "work", "value": "team@example.com"}]
        self.directory = PlayedDirectory(
            [
                user("1", "ada@example.com"),
                user("2", "bob", emails=shared),
                user("3", "carol", emails=shared),
            ],
            [{"id": "g1", "displayName": "Engineers", "members": [{"value": "1"}]}],
            [change("3", "user.updated", "1", paths=["title"]), GONE, change("1", "user.created", "1")],
        )
        self.read: list[Any] = []

    @contextlib.contextmanager
    def reading(
        self, kubectl: object, token: Any, installation: str | None, say: Any
    ) -> Iterator[PlayedDirectory]:
        self.read.append((token.namespace, token.name, installation))
        say("over the network \x1b[31m")
        yield self.directory


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    played = PlayedKubectl(tmp_path)
    monkeypatch.setenv("KUBECTL", str(played.program))
    played.answer("config", out="team")
    played.answer("get", out=scimtoken())
    world = World()
    monkeypatch.setattr("kubectl_scim.reading.reading", world.reading)
    return world


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


def test_users_are_listed_with_how_many_there_are_more(world: World) -> None:
    result = run("users", "entra", "--limit", "2", "--installation-namespace", "identity")
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["USERNAME", "ada@example.com", "bob"]
    assert "2 of 3 users; --limit shows more" in result.stderr
    assert "over the network \\x1b[31m" in result.stderr
    assert world.read == [("team", "entra", "identity")]


def test_users_are_looked_for_by_a_text_and_by_a_filter(world: World) -> None:
    assert "ada@example.com" in run("users", "entra", "ADA").stdout
    assert "bob" in run("users", "entra", 'userName eq "bob"').stdout
    assert [one[0] for one in world.directory.asked] == [
        'userName co "ADA" or displayName co "ADA" or emails.value co "ADA"',
        'userName eq "bob"',
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("users", "entra", "zoe"), "no user with zoe in its name or an address"),
        (("users", "entra", 'userName eq "zoe"'), "no user for which that filter holds"),
        (("groups", "entra", "zoe"), 'no group whose displayName contains "zoe"'),
    ],
)
def test_where_nobody_is_found_it_is_told(world: World, arguments: tuple[str, ...], said: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (0, "")
    assert said in result.stderr


def test_a_tenant_without_people_says_what_to_look_at(world: World) -> None:
    world.directory = PlayedDirectory()
    said = run("users", "entra", "--context", "there").stderr
    assert "has provisioning begun? kubectl scim log --context=there entra -n team tells" in said


@pytest.mark.parametrize(("form", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_lists_are_written_for_programs(world: World, form: str, read: Any) -> None:
    users = read(run("users", "entra", "-o", form).stdout)
    assert (users["totalResults"], users["Resources"][0]["meta"]["lastModified"]) == (
        3,
        "2026-11-30T09:00:00Z",
    )
    groups = read(run("groups", "entra", "-o", form).stdout)
    assert groups["Resources"][0]["displayName"] == "Engineers"
    person = read(run("whois", "entra", "1", "-o", form).stdout)
    assert person["user"]["userName"] == "ada@example.com"
    assert [one["id"] for one in person["log"]] == ["1", "3"]
    assert (person["logComplete"], person["deletion"]) == (True, None)
    log = read(run("log", "entra", "-o", form).stdout)
    assert [one["id"] for one in log] == ["1", "2", "3"]


def test_groups_are_listed(world: World) -> None:
    assert "Engineers" in run("groups", "entra").stdout


def test_whois_shows_one_with_groups_and_log(world: World) -> None:
    result = run("whois", "entra", "ada@example.com")
    assert result.exit_code == 0
    assert 'emails[type eq "work"].value' in result.stdout
    assert "Engineers" in result.stdout
    assert result.stdout.rstrip().endswith("changed         ada@example.com  title  by team/entra t1")


def test_whois_of_somebody_deleted_says_when_and_by_whom_and_fails(world: World) -> None:
    result = run("whois", "entra", "e-gone")
    assert result.exit_code == 1
    assert result.stdout.startswith("e-gone  deleted at ")
    assert "by team/entra t1" in result.stdout
    assert json.loads(run("whois", "entra", "e-gone", "-o", "json").stdout)["deletion"]["id"] == "2"


def test_whois_of_nobody_says_what_was_tried_and_what_next(world: World) -> None:
    result = run("whois", "entra", "zoe@example.com")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "nobody has zoe@example.com as userName, e-mail, externalId or id" in result.stderr
    assert "kubectl scim log entra --type user.deleted -n team" in result.stderr


def test_whois_of_several_lists_them(world: World) -> None:
    result = run("whois", "entra", "team@example.com")
    assert result.exit_code == 2
    assert "names 2 users: bob (id 2), carol (id 3); ask by id" in result.stderr


def test_the_log_has_the_newest_last_and_names(world: World) -> None:
    lines = run("log", "entra").stdout.splitlines()
    assert [line[21:].split("  by")[0].split() for line in lines] == [
        ["created", "ada@example.com"],
        ["deleted", "externalId", "e-gone"],
        ["changed", "ada@example.com", "title"],
    ]


def test_the_log_is_asked_for_what_was_said(world: World) -> None:
    run("log", "entra", "--about", "ada@example.com", "--type", "user.updated", "--type", "user.created",
        "--credential", "t1", "--since", "2026-11-30T00:00:00Z", "--limit", "1")  # fmt: skip
    query = next(one for one in world.directory.asked if not isinstance(one, tuple))
    assert (query.about, query.credential, query.types) == ("1", "t1", {"user.updated", "user.created"})
    assert query.since.isoformat() == "2026-11-30T00:00:00+00:00"
    result = run("log", "entra", "--limit", "1")
    assert "the last 1; --limit shows more" in result.stderr


def test_an_empty_log_says_how_far_it_goes_back(world: World) -> None:
    result = run("log", "entra", "--about", "nobody")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "nothing found about nobody. The log goes back 90 days by default" in result.stderr
    shared = [{"type": "work", "value": "the team"}]
    world.directory = PlayedDirectory([user("1", "a", emails=shared), user("2", "b", emails=shared)])
    several = run("log", "entra", "--about", "the team").stderr
    assert "names 2 users: kubectl scim users entra 'the team' -n team lists them" in several


def test_a_log_that_is_followed_goes_on_where_it_was_and_shows_nothing_twice(world: World) -> None:
    world.directory.coming = [
        change("3", "user.updated", "1"),
        change("4", "user.deactivated", "1"),
        change("5", "user.created", "2"),
    ]
    result = run("log", "entra", "--follow", "--about", "1", "-o", "json")
    assert [json.loads(line)["id"] for line in result.stdout.splitlines()] == ["1", "3", "4"]
    assert world.directory.asked[-1] == ("follow", frozenset(), "head")
    assert [one["id"] for one in yaml.safe_load_all(run("log", "entra", "-f", "-o", "yaml").stdout)] == [
        "1", "2", "3", "4", "5",
    ]  # fmt: skip
    assert "disabled        ada@example.com" in run("log", "entra", "-f").stdout


def test_where_there_is_no_log_it_is_told_and_what_comes_is_followed(world: World) -> None:
    def unreachable(_query: object) -> None:
        raise Unreachable("it takes a port-forward")

    world.directory.history = unreachable  # type: ignore[method-assign, assignment]
    world.directory.coming = [change("4", "user.deactivated", "1")]
    refused, followed = run("log", "entra"), run("log", "entra", "-f")
    assert (refused.exit_code, followed.exit_code) == (2, 0)
    assert "Error: it takes a port-forward" in refused.stderr
    assert "only what happens from now on: it takes a port-forward" in followed.stderr
    assert "disabled" in followed.stdout
    assert "it takes a port-forward" in run("whois", "entra", "1").stdout


def test_a_log_that_is_followed_ends_quietly(world: World) -> None:
    def interrupted(*_arguments: object) -> None:
        raise KeyboardInterrupt

    world.directory.follow = interrupted  # type: ignore[method-assign, assignment]
    result = run("log", "entra", "--follow")
    assert result.exit_code == 0
    assert "Aborted" not in result.output


def test_the_types_of_the_log_are_the_services(world: World) -> None:
    assert get_args(ChangeType) == TYPES
    result = run("log", "entra", "--type", "user.vanished")
    assert (result.exit_code, world.read) == (2, [])
    assert "'user.vanished' is not one of 'user.created'" in result.stderr


def test_a_time_that_is_none_is_told(world: World) -> None:
    result = run("log", "entra", "--since", "yesterday")
    assert result.exit_code == 2
    assert "yesterday is no time: 2h" in result.stderr


def test_what_is_refused_is_told_and_moves_no_cursor(world: World) -> None:
    def refuse(*_arguments: object) -> None:
        raise Denied("kubectl scim rotate entra \x1b[31m")

    world.directory.users = refuse  # type: ignore[method-assign, assignment]
    for command in ("users", "whois"):
        result = run(command, "entra", "x", "--as", "ada")
        assert result.exit_code == 2
        assert result.stderr.endswith("Error: kubectl scim rotate --as=ada entra \\x1b[31m\n")
        assert result.stdout == ""

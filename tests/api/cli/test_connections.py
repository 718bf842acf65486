"""``scim-api connection``: rotation, deletion, and what an administrator mends."""

import json

import pytest
from click.testing import CliRunner

from scim_api.cli.main import main
from scim_api.contract.admin import Credential, PutConnection
from scim_api.contract.tokens import digest
from scim_api.store.change_log import Actor
from scim_api.store.errors import NamespaceMismatch
from scim_api.store.protocol import Store
from support.connection_command import ConnectionCommand as Command
from support.database import run_sql
from support.earlier_release import EarlierRelease
from support.stored import prepared


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["create", "demo/entra", "--custom-field", "post code"], "--custom-field: a name starts with"),
        (["create", "demo/entra", "--tenant", "Not A Name"], "--tenant 'Not A Name': write a name"),
        (["rotate", "demo/none"], "there is no connection demo/none; `scim-api connection list` shows all"),
        (["delete", "demo/none", "--yes"], "there is no connection demo/none"),
        (["list", "--database-url", "mysql://x"], "write sqlite:///scim.db"),
    ],
)
def test_a_mistake_is_one_line(command: Command, arguments: list[str], message: str) -> None:
    done = command.run(*arguments)
    assert done.exit_code == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("Error: ")
    assert message in line
    assert not done.stdout


def test_a_rotated_connection_accepts_both_tokens_or_only_the_new_one(command: Command) -> None:
    first = command.json("create", "demo/entra")["token"]
    second = command.json("rotate", "demo/entra")["token"]
    assert [command.opens(token) for token in (first, second)] == [True, True]
    third = command.json("rotate", "demo/entra", "--revoke-others")["token"]
    assert [command.opens(token) for token in (first, second, third)] == [False, False, True]


def test_a_client_is_given_another_secret_under_its_id(command: Command) -> None:
    first = command.json("create", "demo/entra", "--auth", "OAuthClientCredentials")
    second = command.json("rotate", "demo/entra", "--lifetime", "365d")
    assert list(second) == list(first)
    assert second["clientId"] == first["clientId"]
    assert {held.id for held in command.held().credentials} == {
        first["clientSecretId"],
        second["clientSecretId"],
    }
    third = command.json("rotate", "demo/entra", "--revoke-others")
    assert [held.id for held in command.held().credentials] == [third["clientSecretId"]]


def test_a_workload_identity_is_not_rotated_and_one_line_says_what_to_do(command: Command) -> None:
    command.json(
        "create", "demo/entra", "--auth", "WorkloadIdentity", "--subject", "s", "--audience", "a",
        "--entra-tenant", "5e1f0c7a-2b6d-4c38-9a41-7d3e8f60b9c2",
    )  # fmt: skip
    done = command.run("rotate", "demo/entra")
    assert done.exit_code == 1
    [line] = done.stderr.splitlines()
    assert "no secret that could be rotated" in line
    assert "create a second connection with the same --tenant" in line


def test_a_deleted_connection_opens_nothing_and_its_users_stay(command: Command) -> None:
    issued = command.json("create", "demo/entra")

    async def add(store: Store) -> None:
        access = await store.access(digest(issued["token"]))
        assert access is not None
        await store.create(access.tenant, "User", prepared("ada"), actor=Actor("c"))

    command.ask(add)
    done = command.run("delete", "demo/entra", "--yes")
    assert done.exit_code == 0
    assert done.stdout == "demo/entra is deleted; its tokens no longer work\n"
    assert not command.opens(issued["token"])
    command.json("create", "demo/again", "--tenant", "entra")
    assert [row["users"] for row in command.json("list")] == [1]


def test_at_a_terminal_a_deletion_is_asked_for(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    issued = command.json("create", "demo/entra")
    monkeypatch.setattr("scim_api.cli.connections.sys", type("Terminal", (), {"stdin": _Terminal()}))
    for answer, left in (("n\n", True), ("y\n", False)):
        done = CliRunner().invoke(
            main, ["connection", "delete", "demo/entra", "--database-url", command.url], input=answer
        )
        assert "End every token of demo/entra now?" in done.output
        assert command.opens(issued["token"]) is left


def test_a_namespace_made_anew_is_given_the_users_of_the_one_before(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = command.run("release-namespace", "demo")
    assert refused.exit_code == 1
    assert "no tenant of a namespace demo" in refused.stderr
    issued = command.json("create", "demo/entra")
    held = command.held().credentials[0]

    def bind(uid: str) -> PutConnection:
        kept = Credential.model_validate(held.model_dump())
        return PutConnection(tenant="entra", credentials=(kept,), namespace_uid=uid)

    command.ask(lambda store: store.put_connection("demo", "entra", bind("first"), if_match=None))
    command.ask(lambda store: store.delete_connection("demo", "entra", if_match=None))
    fresh = PutConnection(tenant="entra", namespace_uid="second")
    with pytest.raises(NamespaceMismatch):
        command.ask(lambda store: store.put_connection("demo", "entra", fresh, if_match=None))
    monkeypatch.setattr("scim_api.cli.connections.sys", type("Terminal", (), {"stdin": _Terminal()}))
    arguments = ["connection", "release-namespace", "demo", "--database-url", command.url]
    assert CliRunner().invoke(main, arguments, input="n\n").exit_code == 1
    done = CliRunner().invoke(main, arguments, input="y\n")
    assert (done.exit_code, done.output.splitlines()[-1]) == (0, "released: demo/entra")
    command.ask(lambda store: store.put_connection("demo", "entra", fresh, if_match=None))
    assert not command.opens(issued["token"])


class _Terminal:
    @staticmethod
    def isatty() -> bool:
        return True


def test_duplicates_are_listed_with_an_exit_code_of_their_own(command: Command) -> None:
    assert command.run("create", "demo/entra").exit_code == 0
    none = command.run("duplicates")
    assert (none.exit_code, none.stdout, none.stderr) == (0, "", "no duplicates\n")
    assert command.run("duplicates", "--json").stdout == "[]\n"

    async def share(_store: Store) -> list[str]:
        bodies = [
            {
                "userName": name,
                "emails": [{"type": "work", "value": value} for value in (f"{name}@x", "one@x")],
            }
            for name in ("ada", "bob")
        ]
        [[tenant]] = await run_sql(command.url, "SELECT pk FROM tenant")
        return await EarlierRelease(command.url, tenant).create("User", *bodies)

    ids = command.ask(share)
    told = command.run("duplicates")
    assert told.exit_code == 3
    heading, *lines = told.stdout.splitlines()
    assert heading == 'demo/entra  User  emails[type eq "work"].value  "one@x"'
    assert [line.strip() for line in lines] == ids
    asked = command.run("duplicates", "--json")
    assert asked.exit_code == 3
    assert json.loads(asked.stdout) == [
        {
            "tenant": "demo/entra",
            "resourceType": "User",
            "attribute": 'emails[type eq "work"].value',
            "value": "one@x",
            "ids": ids,
        }
    ]


def test_the_help_of_duplicates_says_what_to_do(command: Command) -> None:
    text = " ".join(command.run("duplicates", "--help").stdout.split())
    for words in ("Entra's matching query finds several and stops", "exit code is 0", "jq -r '.[].ids[]'"):
        assert words in text

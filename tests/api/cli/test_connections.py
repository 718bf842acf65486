"""``scim-api connection``: what it prints, what it stores, and which names and times it takes."""

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from scim_api.cli.main import main
from scim_api.contract.admin import Connection, Credential, PutConnection
from scim_api.contract.tokens import digest
from scim_api.store.errors import NamespaceMismatch
from scim_api.store.factory import create_store
from scim_api.store.protocol import CredentialUse, Store
from support.database import run_sql
from support.earlier_release import EarlierRelease
from support.stored import prepared

RFC3339 = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


class Command:
    """The command on one SQLite file."""

    def __init__(self, directory: Path) -> None:
        self.url = f"sqlite:///{directory / 'scim.db'}"

    def run(self, *arguments: str) -> Result:
        environment = {"SCIM_API_DATABASE_URL": self.url}
        return CliRunner().invoke(main, ["connection", *arguments], env=environment)

    def json(self, *arguments: str) -> Any:
        done = self.run(*arguments, "--json")
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    def ask(self, question: Callable[[Store], Any]) -> Any:
        """What the database answers."""

        async def asked() -> Any:
            store = create_store(self.url)
            await store.open()
            try:
                return await question(store)
            finally:
                await store.close()

        return asyncio.run(asked())

    def held(self) -> Connection:
        answer: Connection = self.ask(lambda store: store.connection("demo", "entra"))
        return answer

    def opens(self, token: str) -> bool:
        return self.ask(lambda store: store.access(digest(token))) is not None


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


def test_a_connection_is_printed_for_copying_and_the_advice_goes_to_the_terminal_alone(
    command: Command,
) -> None:
    done = command.run("create", "demo/entra", "--public-url", "https://scim.example.com")
    assert done.exit_code == 0, done.output
    lines = dict(re.split(r"\s{2,}", line) for line in done.stdout.splitlines())
    assert list(lines) == ["endpoint", "token", "token id", "expires at"]
    assert lines["endpoint"] == "https://scim.example.com/scim/v2"
    assert re.fullmatch(RFC3339, lines["expires at"])
    assert command.opens(lines["token"])
    assert "Tenant URL" in done.stderr
    assert lines["token"] not in done.stderr


def test_as_json_it_is_one_object_with_the_same(command: Command) -> None:
    issued = command.json("create", "demo/entra")
    assert set(issued) == {"endpoint", "token", "tokenId", "expiresAt"}
    assert issued["endpoint"] == "http://127.0.0.1:8080/scim/v2"
    [held] = command.held().credentials
    assert held.id == issued["tokenId"]
    assert held.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ") == issued["expiresAt"]
    assert (held.expires_at - held.issued_at).days == 90


def test_the_options_of_a_new_connection_are_its_tenants_settings(command: Command) -> None:
    command.json(
        "create", "demo/entra", "--tenant", "contoso", "--matching", "externalId", "--groups", "Disabled",
        "--custom-field", "costCenter", "--custom-field", "floor", "--lifetime", "12h",
    )  # fmt: skip
    held = command.held()
    assert held.tenant == "contoso"
    assert held.settings is not None
    assert (held.settings.matching, held.settings.groups) == ("externalId", "Disabled")
    assert [(field.name, field.type) for field in held.settings.custom_fields] == [
        ("costCenter", "Any"),
        ("floor", "Any"),
    ]
    assert (held.credentials[0].expires_at - held.credentials[0].issued_at).total_seconds() == 12 * 3600


def test_a_tenant_is_named_like_its_connection_unless_told_otherwise(command: Command) -> None:
    command.json("create", "demo/entra")
    assert command.held().tenant == "entra"


@pytest.mark.parametrize(
    "name",
    [
        "entra", "demo/", "/entra", "a/b/c", "Demo/entra", "demo/Entra", "demo/-x", "demo/x-", "demo./x",
        "demo/x.", "demo /x", "demo/x\n", f"demo/{'a' * 253}",
    ],
)  # fmt: skip
@pytest.mark.parametrize("action", ["create", "rotate", "delete"])
def test_a_name_of_another_form_is_refused_before_the_database_is_touched(
    command: Command, tmp_path: Path, action: str, name: str
) -> None:
    done = command.run(action, "--", name)
    assert done.exit_code == 2
    assert "write NAMESPACE/NAME in lower case, such as demo/entra" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("lifetime", "message"),
    [
        ("59s", "a token lives between 60s and 3650d"),
        ("3651d", "a token lives between 60s and 3650d"),
        ("90", "such as 90d or 12h"),
    ],
)
def test_a_lifetime_out_of_bounds_is_refused(command: Command, lifetime: str, message: str) -> None:
    for action in ("create", "rotate"):
        done = command.run(action, "demo/entra", "--lifetime", lifetime)
        assert done.exit_code == 2
        assert message in done.stderr
    assert command.run("create", "demo/shortest", "--lifetime", "60s").exit_code == 0
    assert command.run("create", "demo/longest", "--lifetime", "3650d").exit_code == 0


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


def test_a_connection_that_exists_is_not_made_again(command: Command) -> None:
    first = command.json("create", "demo/entra")
    second = command.run("create", "demo/entra")
    assert second.exit_code == 1
    assert "connection rotate demo/entra" in second.stderr
    assert command.opens(first["token"])


def test_a_rotated_connection_accepts_both_tokens_or_only_the_new_one(command: Command) -> None:
    first = command.json("create", "demo/entra")["token"]
    second = command.json("rotate", "demo/entra")["token"]
    assert [command.opens(token) for token in (first, second)] == [True, True]
    third = command.json("rotate", "demo/entra", "--revoke-others")["token"]
    assert [command.opens(token) for token in (first, second, third)] == [False, False, True]


def test_the_list_has_a_row_for_each_live_token_and_never_a_token(command: Command) -> None:
    issued = [command.json("create", "demo/entra"), command.json("rotate", "demo/entra")]

    async def use(store: Store) -> None:
        [first, *_] = (await store.connection("demo", "entra")).credentials
        await store.record_use([CredentialUse(first.id, first.issued_at)])
        access = await store.access(digest(issued[0]["token"]))
        assert access is not None
        await store.create(access.tenant, "User", prepared("ada"), actor="c")
        revoked = Credential(id="x", digest="0a" * 32, issued_at=first.issued_at, expires_at=first.expires_at)
        state = {"tenant": "silent", "credentials": [revoked.model_dump()]}
        await store.put_connection("apps", "silent", PutConnection.model_validate(state), if_match=None)
        state["credentials"] = []
        await store.put_connection("apps", "silent", PutConnection.model_validate(state), if_match=None)

    command.ask(use)
    done = command.run("list")
    header, *rows = [re.split(r"\s{2,}", line) for line in done.stdout.splitlines()]
    assert header == [
        "CONNECTION",
        "TENANT",
        "USERS",
        "REQUESTS/S",
        "BURST",
        "TOKEN ID",
        "EXPIRES",
        "LAST USED",
    ]
    assert rows[0] == ["apps/silent", "silent", "0", "50", "100", "-", "-", "never"]
    assert [row[:3] for row in rows[1:]] == [["demo/entra", "entra", "1"]] * 2
    assert {row[5]: row[6] for row in rows[1:]} == {one["tokenId"]: one["expiresAt"] for one in issued}
    assert sorted(row[7] == "never" for row in rows[1:]) == [False, True]
    assert "sct_" not in done.output

    silent, entra = command.json("list")
    assert silent == {
        "connection": "apps/silent",
        "tenant": "silent",
        "users": 0,
        "requestsPerSecond": 50,
        "burst": 100,
        "tokens": [],
    }
    assert {token["tokenId"] for token in entra["tokens"]} == {one["tokenId"] for one in issued}
    assert sum(token["lastUsedAt"] is None for token in entra["tokens"]) == 1


def test_a_connection_has_the_rate_limit_that_is_asked_for_and_the_list_shows_it(command: Command) -> None:
    command.json("create", "demo/plain")
    command.json("create", "demo/slow", "--requests-per-second", "25", "--burst", "25")
    command.json("create", "demo/fast", "--requests-per-second", "100000", "--burst", "99999")
    limits = {row["connection"]: (row["requestsPerSecond"], row["burst"]) for row in command.json("list")}
    assert limits == {"demo/plain": (50, 100), "demo/slow": (25, 25), "demo/fast": (100_000, 99_999)}
    table = [re.split(r"\s{2,}", line) for line in command.run("list").stdout.splitlines()]
    assert {row[0]: row[3:5] for row in table[1:]} == {
        name: [str(rate), str(burst)] for name, (rate, burst) in limits.items()
    }


@pytest.mark.parametrize("option", ["--requests-per-second", "--burst"])
@pytest.mark.parametrize("number", ["24", "0", "-1", "100001", "1e3", "50.5", "many", ""])
def test_a_rate_that_a_scimtoken_would_not_take_is_refused_by_the_options_name(
    command: Command, tmp_path: Path, option: str, number: str
) -> None:
    done = command.run("create", "demo/entra", f"{option}={number}")
    assert done.exit_code == 2
    assert f"'{option}'" in done.stderr
    assert not list(tmp_path.iterdir())


def test_an_empty_list_says_how_a_connection_is_made(command: Command) -> None:
    done = command.run("list")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "scim-api connection create" in done.stderr
    assert command.json("list") == []


def test_a_deleted_connection_opens_nothing_and_its_users_stay(command: Command) -> None:
    issued = command.json("create", "demo/entra")

    async def add(store: Store) -> None:
        access = await store.access(digest(issued["token"]))
        assert access is not None
        await store.create(access.tenant, "User", prepared("ada"), actor="c")

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

"""What is printed: the list of connections, and never a secret in it."""

import re
from datetime import UTC, datetime

from scim_api.contract.admin import Credential, PutConnection, TokenRefusal
from scim_api.contract.tokens import PATTERN, digest
from scim_api.store.change_log import Actor
from scim_api.store.protocol import CredentialUse, Store
from support.connection_command import ConnectionCommand as Command
from support.stored import prepared


def test_the_list_has_a_row_for_each_live_token_and_never_a_token(command: Command) -> None:
    issued = [command.json("create", "demo/entra"), command.json("rotate", "demo/entra")]

    async def use(store: Store) -> None:
        [first, *_] = (await store.connection("demo", "entra")).credentials
        await store.record_use(
            [
                CredentialUse(first.id, first.issued_at),
                CredentialUse(first.id, first.expires_at, is_inspection=True),
            ]
        )
        access = await store.access(digest(issued[0]["token"]))
        assert access is not None
        await store.create(access.tenant, "User", prepared("ada"), actor=Actor("c"))
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
        "ACCESS",
        "USERS",
        "REQUESTS/S",
        "BURST",
        "KIND",
        "CLIENT ID",
        "TOKEN ID",
        "EXPIRES",
        "LAST USED",
    ]
    assert rows[0] == [
        "apps/silent", "silent", "ReadWrite", "0", "50", "100", "BearerToken", "-", "-", "-", "never",
    ]  # fmt: skip
    assert [row[:4] for row in rows[1:]] == [["demo/entra", "entra", "ReadWrite", "1"]] * 2
    assert {row[8]: row[9] for row in rows[1:]} == {one["tokenId"]: one["expiresAt"] for one in issued}
    assert sorted(row[10] == "never" for row in rows[1:]) == [False, True]
    assert not PATTERN.search(done.output)

    silent, entra = command.json("list")
    assert silent == {
        "connection": "apps/silent",
        "tenant": "silent",
        "access": "ReadWrite",
        "users": 0,
        "requestsPerSecond": 50,
        "burst": 100,
        "auth": "BearerToken",
        "clientId": None,
        "tokens": [],
        "lastRefusal": None,
    }
    assert {token["tokenId"] for token in entra["tokens"]} == {one["tokenId"] for one in issued}
    assert sum(token["lastUsedAt"] is None for token in entra["tokens"]) == 1
    [inspected] = [token for token in entra["tokens"] if token["lastInspectedAt"] is not None]
    assert (inspected["lastUsedAt"] is None, inspected["lastInspectedAt"]) == (False, inspected["expiresAt"])


def test_an_empty_list_says_how_a_connection_is_made(command: Command) -> None:
    done = command.run("list")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "scim-api connection create" in done.stderr
    assert command.json("list") == []


def test_the_list_shows_how_each_connection_signs_in_and_its_client_id(command: Command) -> None:
    client = command.json("create", "demo/client", "--auth", "OAuthClientCredentials")
    command.json("rotate", "demo/client")
    command.json("create", "demo/token")
    _, *rows = [re.split(r"\s{2,}", line) for line in command.run("list").stdout.splitlines()]
    assert [(row[0], row[6], row[7]) for row in rows] == [
        ("demo/client", "ClientSecret", client["clientId"]),
        ("demo/client", "ClientSecret", client["clientId"]),
        ("demo/token", "BearerToken", "-"),
    ]
    listed, token = command.json("list")
    assert (listed["auth"], listed["clientId"]) == ("OAuthClientCredentials", client["clientId"])
    assert {one["kind"] for one in listed["tokens"]} == {"ClientSecret"}
    assert (token["auth"], token["clientId"]) == ("BearerToken", None)


def test_the_list_tells_why_the_token_endpoint_refused_a_client(command: Command) -> None:
    client = command.json("create", "demo/client", "--auth", "OAuthClientCredentials")
    assert command.json("list")[0]["lastRefusal"] is None
    refusal = TokenRefusal(
        at=datetime(2026, 11, 1, 12, tzinfo=UTC), check="aud", expected="api://app", received="app"
    )
    command.ask(lambda store: store.record_token_refusals({client["clientId"]: refusal}))
    assert command.json("list")[0]["lastRefusal"] == {
        "at": "2026-11-01T12:00:00Z", "check": "aud", "expected": "api://app", "received": "app",
    }  # fmt: skip
    done = command.run("list")
    assert done.stderr == (
        "demo/client: the token endpoint refused it at 2026-11-01T12:00:00Z: aud; expected api://app, received app\n"
    )
    assert len(done.stdout.splitlines()) == 2

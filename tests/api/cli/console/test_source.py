"""Connections of a database as the console shows them."""

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scim_api.cli.console.database import Database, opened
from scim_api.cli.console.source import StoreSource
from scim_api.contract.admin import OAuthClient, TokenRefusal
from scim_api.store.factory import create_store
from scim_api.store.migrate import migrate
from scim_api.store.protocol import CredentialUse
from scim_console.model import Missing
from support.stored import connect, credential


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path / 'scim.db'}"
    asyncio.run(migrate(url))
    with opened(create_store(url), "https://scim.example.com/scim/v2") as database:
        yield database


def test_a_connection_is_a_token_whose_newest_credential_is_the_active_one(database: Database) -> None:
    database.ask(connect(database.store, credential("old", issued=timedelta(days=-2)), credential("new")))
    [token] = StoreSource(database).tokens()
    assert (token.namespace, token.name, token.tenant, token.auth_type) == (
        "apps", "entra", "contoso", "BearerToken",
    )  # fmt: skip
    assert [(one.id, one.state) for one in token.credentials] == [("old", "Superseded"), ("new", "Active")]
    assert token.credentials[0].superseded_at == token.credentials[1].issued_at
    assert token.problems == []
    assert [one.status for one in token.conditions] == ["True"]


def test_who_reads_as_a_person_is_seen(database: Database) -> None:
    database.ask(connect(database.store, credential("one")))
    at = datetime(2026, 11, 30, 12, tzinfo=UTC)
    database.ask(database.store.record_use([CredentialUse("one", at, "kubectl-scim", is_inspection=True)]))
    [shown] = StoreSource(database).token("apps", "entra").credentials
    assert (shown.last_used_at, shown.last_inspected_at) == (None, at)


def test_what_ends_soon_or_has_ended_is_a_problem_with_its_command(database: Database) -> None:
    source = StoreSource(database)
    database.ask(connect(database.store, credential("soon", expires=timedelta(days=3))))
    [problem] = source.token("apps", "entra").problems
    assert (problem.severity, problem.command) == ("warning", "scim-api connection rotate apps/entra")
    database.ask(connect(database.store))
    token = source.token("apps", "entra")
    assert [one.severity for one in token.problems] == ["error"]
    assert [(one.status, one.message) for one in token.conditions] == [("False", token.problems[0].message)]


def test_a_client_shows_its_id_and_why_it_was_refused(database: Database) -> None:
    database.ask(connect(database.store, credential(), oauth_client=OAuthClient(client_id="client-1")))
    refusal = TokenRefusal(at=datetime.now(UTC), check="secret", received="another")
    database.ask(database.store.record_token_refusals({"client-1": refusal}))
    source = StoreSource(database)
    assert [(field.name.split(" ")[0], field.value) for field in source.fields("apps", "entra")] == [
        ("Tenant", "https://scim.example.com/scim/v2"),
        ("OAuth", "https://scim.example.com/oauth2/token"),
        ("Client", "client-1"),
    ]
    [problem] = source.token("apps", "entra").problems
    assert problem.message == "The token endpoint refused it: secret, expected none, received another."


def test_what_does_not_exist_is_missing(database: Database) -> None:
    source = StoreSource(database)
    with pytest.raises(Missing, match="no connection apps/none"):
        source.token("apps", "none")
    with pytest.raises(Missing), source.directory("apps", "none"):
        pass


def test_checks_pass_and_problems_of_connections_are_among_them(database: Database) -> None:
    database.ask(connect(database.store))
    checks = list(StoreSource(database).checks())
    assert [(one.name, one.outcome) for one in checks] == [
        ("database", "passed"), ("schema", "passed"), ("writes", "passed"), ("apps/entra", "failed"),
    ]  # fmt: skip
    assert checks[-1].remedy == "scim-api connection rotate apps/entra"


def test_a_new_credential_is_noticed(database: Database) -> None:
    stop, noticed, watching = threading.Event(), threading.Event(), threading.Event()

    def watch() -> None:
        source = StoreSource(database)
        watching.set()
        for _ in source.watch(stop):
            noticed.set()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        assert watching.wait(20)
        for number in range(20):  # the first may come before the watch has looked
            database.ask(connect(database.store, credential(f"token-{number}")))
            if noticed.wait(2):
                break
        assert noticed.is_set()
    finally:
        stop.set()
        thread.join(20)

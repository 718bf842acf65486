"""The example applications, as real processes beside the real service."""

import contextlib
import os
import secrets
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from localcluster.ports import free_port
from scim_api.store.protocol import Store
from support import plain_http
from support.postgres import PostgresServer
from support.scim_service import Endpoint, ScimService, service_on

EXAMPLES = Path(__file__).parents[2] / "examples" / "consumers"
SECONDS = 20.0


@pytest.fixture(scope="module")
def service(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ScimService]:
    with service_on("postgresql", tmp_path_factory.mktemp("service"), postgres_server) as service:
        yield service


@pytest.fixture
def endpoint(service: ScimService, tmp_path: Path) -> Endpoint:
    endpoint = service.connect(f"t{secrets.token_hex(6)}")
    (tmp_path / "token").write_text(endpoint.token, encoding="utf-8")
    return endpoint


@pytest.fixture
def scim(endpoint: Endpoint) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {endpoint.token}"}
    with httpx.Client(base_url=endpoint.url, headers=headers) as client:
        yield client


class Application:
    """``examples/consumers/feed.py`` with a file of its own."""

    def __init__(self, endpoint: Endpoint, directory: Path) -> None:
        self.file, self._port = directory / "people.db", free_port()
        self._log = directory / "feed.log"
        self._environment = {
            **os.environ,
            "SCIM_ENDPOINT": endpoint.url,
            "SCIM_TOKEN_FILE": str(directory / "token"),
            "DATABASE": str(self.file),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        argv = [
            sys.executable,
            "-m",
            "uvicorn",
            "feed:app",
            "--port",
            str(self._port),
            "--log-level",
            "warning",
        ]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(argv, cwd=EXAMPLES, env=self._environment, stderr=log)

    def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def rows(self, sql: str) -> list[Any]:
        with contextlib.closing(sqlite3.connect(self.file, timeout=10)) as db:
            return db.execute(sql).fetchall()

    def session(self, user_name: str) -> int:
        return self.status(f"/session/{user_name}")

    def status(self, path: str) -> int:
        return plain_http.get(f"http://127.0.0.1:{self._port}{path}").status_code

    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")


@pytest.fixture
def application(endpoint: Endpoint, tmp_path: Path) -> Iterator[Application]:
    application = Application(endpoint, tmp_path)
    application.start()
    yield application
    application.kill()


def until(holds: Callable[[], bool], seconds: float = SECONDS) -> float:
    """Seconds until it holds."""
    began = time.monotonic()
    while True:
        with contextlib.suppress(httpx.TransportError, sqlite3.OperationalError):
            if holds():
                return time.monotonic() - began
        assert time.monotonic() < began + seconds, "it does not come"
        time.sleep(0.02)


def person(scim: httpx.Client, name: str) -> str:
    body = {"userName": name, "emails": [{"type": "work", "value": f"{name}@contoso.com"}]}
    answer = scim.post("/Users", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def patch(scim: httpx.Client, path: str, *operations: dict[str, Any]) -> None:
    body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": list(operations)}
    answer = scim.patch(path, json=body)
    assert answer.status_code in (200, 204), answer.text


def directory(scim: httpx.Client) -> tuple[set[Any], set[Any], set[Any]]:
    """Everything, as the service has it: people, teams, and who is in which."""
    users = scim.get("/Users", params={"count": 200}).json()["Resources"]
    groups = scim.get("/Groups", params={"count": 200}).json()["Resources"]
    return (
        {(user["id"], user["userName"], user["active"]) for user in users},
        {(group["id"], group["displayName"]) for group in groups},
        {(group["id"], member["value"]) for group in groups for member in group.get("members", ())},
    )


def copied(application: Application) -> tuple[set[Any], set[Any], set[Any]]:
    """The same, as the application has it."""
    return (
        {(id_, name, bool(active)) for id_, name, active in application.rows("SELECT * FROM person")},
        set(application.rows("SELECT * FROM team")),
        set(application.rows("SELECT * FROM member")),
    )


def test_a_person_who_is_disabled_is_signed_out_within_a_second(
    scim: httpx.Client, application: Application
) -> None:
    ada = person(scim, "ada")
    until(lambda: application.session("ada") == 200)

    patch(scim, f"/Users/{ada}", {"op": "Replace", "path": "active", "value": "False"})

    assert until(lambda: application.session("ada") == 401) < 1


def test_the_copy_is_equal_whatever_happens_while_the_application_is_away_and_when_it_is_killed(
    scim: httpx.Client, application: Application
) -> None:
    people = [person(scim, f"p{number}") for number in range(12)]
    staff = scim.post(
        "/Groups", json={"displayName": "staff", "members": [{"value": one} for one in people[:6]]}
    ).json()["id"]
    until(lambda: copied(application) == directory(scim))
    application.kill()
    patch(scim, f"/Groups/{staff}", {"op": "Add", "path": "members", "value": [{"value": people[8]}]})
    patch(scim, f"/Groups/{staff}", {"op": "Remove", "path": f'members[value eq "{people[0]}"]'})
    patch(scim, f"/Users/{people[1]}", {"op": "Replace", "path": "active", "value": False})
    scim.delete(f"/Users/{people[2]}")
    application.start()
    for number in range(12, 20):
        people.append(person(scim, f"p{number}"))
        if number % 4 == 0:
            application.kill()
            application.start()
    other = scim.post("/Groups", json={"displayName": "other", "members": [{"value": people[15]}]}).json()
    scim.put(f"/Groups/{staff}", json={"displayName": "people", "members": [{"value": people[9]}]})
    scim.delete(f"/Groups/{other['id']}")

    until(lambda: copied(application) == directory(scim))
    assert len(copied(application)[0]) == 19


def test_an_application_whose_cursor_leads_nowhere_any_more_takes_a_snapshot(
    service: ScimService, scim: httpx.Client, application: Application
) -> None:
    async def forget(store: Store) -> int:
        return await store.change_log.forget(timedelta())

    person(scim, "ada")
    until(lambda: copied(application) == directory(scim))
    application.kill()
    bob = person(scim, "bob")
    scim.delete(f"/Users/{bob}")
    person(scim, "eve")
    assert service.store(forget) > 2
    application.start()

    until(lambda: copied(application) == directory(scim))


def test_an_application_is_ready_when_it_has_read_everybody_and_says_what_keeps_it_from_it(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("not the token", encoding="utf-8")
    application = Application(endpoint, tmp_path)
    application.start()
    try:
        until(lambda: application.status("/healthz") == 503 and "401" in application.log())
        (tmp_path / "token").write_text(endpoint.token, encoding="utf-8")
        until(lambda: application.status("/healthz") == 200)
    finally:
        application.kill()
    assert "Traceback" not in application.log()

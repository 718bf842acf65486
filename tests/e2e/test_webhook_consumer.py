"""The example application that follows by a webhook, as a real process beside the real service and dispatcher."""

import contextlib
import json
import secrets
import sqlite3
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import yaml
from click.testing import CliRunner
from standardwebhooks.webhooks import Webhook

from demo.processes import start_api
from localcluster.ports import free_port
from scim_api.cli.main import main
from scim_api.delivery.key_file import write_key
from scim_operator.api.scimwebhook import ScimWebhook
from support import plain_http
from support.killable import Killable
from support.postgres import PostgresServer
from support.receiver import eventually
from support.scim_service import database_of
from support.serve_process import PYTHON

EXAMPLES = Path(__file__).parents[2] / "examples" / "consumers"
LEASE_SECONDS = 15
"""A killed dispatcher keeps its webhooks for so long."""
People = set[tuple[str, str, bool]]


class Installation:
    """Service, dispatcher and application, each of which can be killed and started again, and who owns the webhook."""

    def __init__(self, directory: Path, database_url: str) -> None:
        self._directory, self._url = directory, database_url
        self._key, self.file = directory / "webhook.key", directory / "people.db"
        self._secret_file, token_file = directory / "signing-secret", directory / "token"
        (directory / "keys").mkdir()
        write_key(self._key)
        self._api_ports = free_port(), free_port()
        port = free_port()
        self.application_url = f"http://127.0.0.1:{port}"
        self.scim = httpx.Client(base_url=f"http://127.0.0.1:{self._api_ports[0]}/scim/v2", timeout=20)
        token = json.loads(self._command("connection", "create", "demo/entra", "--json"))["token"]
        token_file.write_text(token, encoding="utf-8")
        self.scim.headers["authorization"] = f"Bearer {token}"
        self.dispatcher = Killable(
            [
                *PYTHON, "deliver", "--database-url", database_url, "--webhook-key-file", str(self._key),
                "--internal-port", str(free_port()), "--webhook-allowed-networks", "127.0.0.0/8", "--webhook-allow-http",
            ],
            directory / "deliver.log",
        )  # fmt: skip
        self.application = Killable(
            [
                sys.executable, "-m", "uvicorn", "webhook:app", "--app-dir", str(EXAMPLES), "--port", str(port),
                "--no-access-log",
            ],
            directory / "webhook.log",
            SCIM_ENDPOINT=str(self.scim.base_url).rstrip("/"),
            SCIM_TOKEN_FILE=str(token_file),
            SIGNING_SECRET_FILE=str(self._secret_file),
            DATABASE=str(self.file),
        )  # fmt: skip
        self.start_api()

    def start_api(self) -> None:
        public, internal = self._api_ports
        self.api = start_api(
            self._directory,
            admin_keys_dir=self._directory / "keys",
            database_url=self._url,
            port=public,
            internal_port=internal,
        )
        self.api.wait_ready()

    def stop(self) -> None:
        self.scim.close()
        self.application.kill()
        self.dispatcher.kill()
        self.api.stop()

    def is_ready(self) -> None:
        eventually(quietly(lambda: self.status("/healthz") == 200), 40)

    def _command(self, *arguments: str) -> str:
        environment = {"SCIM_API_DATABASE_URL": self._url, "SCIM_API_WEBHOOK_KEY_FILE": str(self._key)}
        done = CliRunner().invoke(main, arguments, env=environment)
        assert done.exit_code == 0, done.output
        return done.stdout

    # -- the webhook's owner ----------------------------------------------------------------------
    def create_webhook(self) -> None:
        url = f"{self.application_url}/hook"
        made = self._command("webhook", "create", "demo/app", "--tenant", "entra", "--url", url, "--json")
        self.publish(json.loads(made)["secret"])

    def publish(self, secret: str) -> None:
        """As a kubelet does it: the file is another one, all at once."""
        new = self._secret_file.with_suffix(".new")
        new.write_text(secret, encoding="utf-8")
        new.replace(self._secret_file)

    def rotate(self) -> str:
        return str(json.loads(self._command("webhook", "rotate-secret", "demo/app", "--json"))["secret"])

    def ping(self) -> None:
        self._command("webhook", "test", "demo/app")

    def resume(self) -> None:
        """As somebody does who has mended the application: after two failures the next attempt waits for minutes."""
        self.is_ready()
        self._command("webhook", "resume", "demo/app")

    def send(self, message_id: str, kind: str, person: str, secret: str | None = None) -> int:
        """A message, signed with the application's secret unless another is given; the status of the answer."""
        body = json.dumps({"type": kind, "data": {"resourceId": person}})
        now = datetime.now(UTC)
        key = self._secret_file.read_text(encoding="utf-8") if secret is None else secret
        headers = {
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(key).sign(message_id, now, body),
        }
        return plain_http.post(f"{self.application_url}/hook", content=body, headers=headers).status_code

    # -- people ---------------------------------------------------------------------------------------
    def person(self, name: str) -> str:
        body = {"userName": name, "emails": [{"type": "work", "value": f"{name}@contoso.com"}]}
        answer = self.scim.post("/Users", json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def enable(self, person: str, value: bool) -> None:
        body = {"Operations": [{"op": "Replace", "path": "active", "value": value}]}
        answer = self.scim.patch(f"/Users/{person}", json=body)
        assert answer.status_code == 200, answer.text

    def truth(self) -> People:
        found = self.scim.get("/Users", params={"count": 200}).json()["Resources"]
        return {(user["id"], user["userName"], user["active"]) for user in found}

    def copied(self) -> People:
        rows = self.rows("SELECT id, user_name, active FROM person")
        return {(identity, name, bool(active)) for identity, name, active in rows}

    def rows(self, sql: str) -> list[Any]:
        with contextlib.closing(sqlite3.connect(self.file, timeout=10)) as db:
            return db.execute(sql).fetchall()

    def becomes_equal(self, seconds: float = 20) -> None:
        eventually(quietly(lambda: self.copied() == self.truth()), seconds)

    def status(self, path: str) -> int:
        return plain_http.get(f"{self.application_url}{path}").status_code

    def session(self, name: str) -> int:
        return self.status(f"/session/{name}")


def quietly(check: Callable[[], bool]) -> Callable[[], bool]:
    """The same, and False while somebody is being started."""

    def checked() -> bool:
        with contextlib.suppress(httpx.TransportError, sqlite3.OperationalError):
            return check()
        return False

    return checked


def test_the_manifest_leads_messages_and_the_signing_secret_to_the_application() -> None:
    documents = list(yaml.safe_load_all((EXAMPLES / "webhook.yaml").read_text(encoding="utf-8")))
    by_kind = {document["kind"]: document for document in documents}
    assert len(by_kind) == len(documents)
    webhook = ScimWebhook.from_object(
        {
            **by_kind["ScimWebhook"],
            "metadata": {"namespace": "identity", "uid": "u", **by_kind["ScimWebhook"]["metadata"]},
        }
    )
    assert webhook.spec is not None, webhook.not_understood
    assert webhook.test_request
    assert urlsplit(webhook.spec.url).hostname == "people.identity.svc.cluster.local"
    assert urlsplit(webhook.spec.url).path == "/hook"
    assert by_kind["Service"]["metadata"]["name"] == "people"
    pod = by_kind["Deployment"]["spec"]["template"]["spec"]
    [volume] = [one["secret"] for one in pod["volumes"] if one["name"] == "webhook"]
    assert volume["secretName"] == webhook.secret_name
    files = {one["name"]: one.get("value") for one in pod["containers"][0]["env"]}
    assert files["SIGNING_SECRET_FILE"] == f"/webhook/{volume['items'][0]['path']}"
    assert volume["items"][0]["key"] == "signing-secret"


@pytest.fixture
def installation(
    request: pytest.FixtureRequest, postgres_server: PostgresServer, tmp_path: Path
) -> Iterator[Installation]:
    name = f"webhook_{secrets.token_hex(6)}"
    kind = getattr(request, "param", "sqlite")
    with database_of(kind, tmp_path, postgres_server, name) as url:
        installation = Installation(tmp_path, url)
        try:
            yield installation
        finally:
            installation.stop()


@pytest.fixture
def following(installation: Installation) -> Installation:
    """All of it runs, and the copy is equal."""
    installation.create_webhook()
    installation.application.start()
    installation.dispatcher.start()
    installation.is_ready()
    return installation


def test_people_of_between_the_first_snapshot_and_the_webhook_are_there_with_the_first_message(
    installation: Installation,
) -> None:
    installation.publish("whsec_" + "A" * 32)
    installation.person("ada")
    installation.application.start()
    installation.becomes_equal()
    installation.is_ready()
    installation.person("eve")
    installation.create_webhook()
    installation.dispatcher.start()

    installation.ping()

    installation.becomes_equal()
    assert len(installation.copied()) == 2


def test_a_person_who_is_disabled_is_signed_out_at_once_though_the_service_cannot_be_asked(
    following: Installation,
) -> None:
    ada = following.person("ada")
    eventually(lambda: following.session("ada") == 200)
    following.api.kill()
    assert following.send("of-another", "user.updated", "0b5ab7d6-1f5c-4c5b-9f5e-3a1f5b0c7d11") == 204
    eventually(lambda: "Connection refused" in following.application.log())

    assert following.send("of-ada", "user.deactivated", ada) == 204

    assert following.session("ada") == 401


def test_a_message_that_comes_again_is_not_carried_out_again_and_a_forged_one_never(
    following: Installation,
) -> None:
    ada = following.person("ada")
    eventually(lambda: following.session("ada") == 200)
    assert following.send("forged", "user.deactivated", ada, "whsec_" + "B" * 32) == 401
    assert following.session("ada") == 200
    assert following.send("one", "user.deactivated", ada) == 204
    assert following.session("ada") == 401
    assert following.send("two", "user.activated", ada) == 204
    eventually(lambda: following.session("ada") == 200)

    assert following.send("one", "user.deactivated", ada) == 204

    assert following.session("ada") == 200


def test_a_rotation_needs_no_restart(following: Installation) -> None:
    second = following.rotate()
    following.person("signed-with-both")
    following.becomes_equal()
    following.publish(second)
    following.rotate()  # ends the first
    following.person("signed-with-the-second-and-third")
    following.becomes_equal()
    assert not following.rows("SELECT 1 FROM message WHERE body IS NOT NULL")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("installation", ["sqlite", "postgresql"], indirect=True)
def test_the_copy_is_equal_in_the_end_whoever_is_away_and_whoever_is_killed(following: Installation) -> None:
    people = [following.person(f"p{number}") for number in range(8)]
    following.becomes_equal()
    following.application.kill()
    following.enable(people[1], False)
    following.scim.delete(f"/Users/{people[2]}")
    following.person("p8")
    following.application.start()
    following.resume()
    following.becomes_equal()
    for number in range(9, 21):
        people.append(following.person(f"p{number}"))
        following.enable(people[3], number % 2 == 0)
        if number % 4 == 0:
            following.application.kill()
            following.application.start()
        if number == 12:
            following.dispatcher.kill()
            following.dispatcher.start()
        if number == 18:
            following.api.kill()
            following.start_api()
    following.scim.delete(f"/Users/{people[4]}")

    following.resume()
    following.becomes_equal(20 + LEASE_SECONDS)
    assert len(following.copied()) == 19

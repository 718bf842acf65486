"""``scim-api webhook``: what is printed, kept and refused."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from scim_api.cli.main import main
from scim_api.contract.signing_secret import secret_id
from scim_api.contract.webhooks import Webhook
from scim_api.delivery.key_file import read_private_keys
from support.connection_command import ConnectionCommand
from support.database import run_sql
from support.webhooks import KEEP

URL = "https://app.example/hook"


class WebhookCommand(ConnectionCommand):
    """The command on one SQLite file, with a dispatcher's key."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.connected = super().json("create", "demo/entra")
        self.key = directory / "webhook.key"
        assert self.run("key", str(self.key)).exit_code == 0

    def run(self, *arguments: str) -> Result:
        if not hasattr(self, "key") and arguments[0] != "key":
            return super().run(*arguments)
        environment = {"SCIM_API_DATABASE_URL": self.url}
        if hasattr(self, "key"):
            environment["SCIM_API_WEBHOOK_KEY_FILE"] = str(self.key)
        return CliRunner().invoke(main, ["webhook", *arguments], env=environment)

    def secrets(self) -> list[str]:
        [[stored]] = asyncio.run(run_sql(self.url, "SELECT secrets FROM webhook"))
        keys = read_private_keys(self.key)
        return [keys.open(one["sealed"], "demo/app") for one in json.loads(stored)]

    def status(self) -> Webhook:
        found: Webhook = self.ask(lambda store: store.webhooks.get("demo", "app", KEEP))
        return found


@pytest.fixture
def command(tmp_path: Path) -> WebhookCommand:
    return WebhookCommand(tmp_path)


def create(command: WebhookCommand, *options: str) -> Any:
    return command.json("create", "demo/app", "--tenant", "entra", "--url", URL, *options)


def test_the_secret_is_printed_once_and_kept_sealed(command: WebhookCommand, tmp_path: Path) -> None:
    made = create(command)
    assert made["webhook"] == "demo/app"
    assert made["secret"].startswith("whsec_")
    assert command.secrets() == [made["secret"]]
    files = b"".join(path.read_bytes() for path in tmp_path.glob("scim.db*"))
    assert made["secret"].removeprefix("whsec_").encode() not in files


def test_the_public_half_is_all_that_who_creates_one_needs(command: WebhookCommand, tmp_path: Path) -> None:
    private, command.key = command.key, tmp_path / "other.pem"
    printed = command.run("key", str(tmp_path / "new.key"))
    command.key.write_text(printed.stdout)
    made = create(command)
    command.key = tmp_path / "new.key"
    assert command.secrets() == [made["secret"]]
    assert private.exists()


def test_a_rotated_secret_leaves_the_one_before_valid(command: WebhookCommand) -> None:
    first = create(command)["secret"]
    second = command.json("rotate-secret", "demo/app")["secret"]
    assert command.secrets() == [second, first]
    third = command.json("rotate-secret", "demo/app", "--overlap", "1s")["secret"]
    assert command.secrets()[:2] in ([third], [third, second])


def test_each_secret_is_kept_with_its_id_and_its_age(command: WebhookCommand) -> None:
    first = create(command)["secret"]
    second = command.json("rotate-secret", "demo/app")["secret"]
    current, former = command.status().secrets
    assert (current.id, former.id) == (secret_id(second), secret_id(first))
    assert current.issued_at is not None
    assert former.issued_at is not None
    assert former.issued_at <= current.issued_at


def test_the_list_shows_what_was_asked_for_and_how_it_does(command: WebhookCommand) -> None:
    create(command, "--types", "user.created,user.deleted", "--content", "full", "--timeout", "20s")
    [row] = command.json("list")
    assert {name: row[name] for name in ("webhook", "tenant", "url", "types", "content", "timeoutSeconds", "state")} == {
        "webhook": "demo/app", "tenant": "entra", "url": URL, "types": ["user.created", "user.deleted"],
        "content": "Full", "timeoutSeconds": 20, "state": "active",
    }  # fmt: skip
    assert (row["backlog"], row["lastDeliveredAt"], row["failingSince"], row["losesEventsAt"]) == (
        0,
        None,
        None,
        None,
    )
    lines = command.run("list").stdout.splitlines()
    assert lines[0].split()[:3] == ["WEBHOOK", "TENANT", "STATE"]
    assert lines[1].split()[:3] == ["demo/app", "entra", "active"]


def test_the_list_shows_more_than_a_page(command: WebhookCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scim_api.cli.webhooks._PAGE", 1)
    names = ["demo/app", "demo/other", "demo/third"]
    for name in names:
        assert command.run("create", name, "--tenant", "entra", "--url", URL).exit_code == 0
    assert [row["webhook"] for row in command.json("list")] == names


def test_it_is_suspended_resumed_tested_sent_again_and_deleted(command: WebhookCommand) -> None:
    create(command)
    assert command.run("suspend", "demo/app").exit_code == 0
    assert command.json("list")[0]["state"] == "suspended"
    assert command.run("resume", "demo/app").exit_code == 0
    assert command.json("list")[0]["state"] == "active"
    assert command.json("test", "demo/app")["messageId"].startswith("ping-")
    assert command.json("list")[0]["backlog"] == 1
    assert command.run("redeliver", "demo/app", "--from", "2026-11-23T14:00:00Z").exit_code == 0
    assert command.run("delete", "demo/app", "--yes").exit_code == 0
    assert command.json("list") == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["create", "demo/app", "--tenant", "none", "--url", URL], "there is no tenant none in demo"),
        (["create", "demo/app", "--tenant", "entra", "--url", "app.example"], "write https://host/path"),
        (["create", "demo/app", "--tenant", "entra", "--url", "https://u:p@app.example"], "without a user"),
        (
            ["create", "demo/app", "--tenant", "entra", "--url", URL, "--types", "user.renamed"],
            "'user.renamed'",
        ),
        (["create", "demo/app", "--tenant", "entra", "--url", URL, "--timeout", "5m"], "1s to 60s"),
        (["suspend", "demo/none"], "there is no webhook demo/none; `scim-api webhook list` shows all"),
        (["resume", "demo/none"], "there is no webhook demo/none"),
        (["test", "demo/none"], "there is no webhook demo/none"),
        (["rotate-secret", "demo/none"], "there is no webhook demo/none"),
        (["delete", "demo/none", "--yes"], "there is no webhook demo/none"),
        (["redeliver", "demo/none", "--from", "2026-11-23T14:00:00Z"], "there is no webhook demo/none"),
        (["redeliver", "demo/app", "--from", "2026-11-23T14:00:00"], "with its zone"),
        (["redeliver", "demo/app", "--from", "yesterday"], "with its zone"),
    ],
)
def test_a_mistake_is_told_with_what_to_write(
    command: WebhookCommand, arguments: list[str], message: str
) -> None:
    done = command.run(*arguments)
    assert done.exit_code != 0
    assert message in done.stderr
    assert "whsec_" not in done.output


def test_a_name_is_taken_once_and_a_key_is_needed(command: WebhookCommand, tmp_path: Path) -> None:
    create(command)
    again = command.run("create", "demo/app", "--tenant", "entra", "--url", URL)
    assert "there is a webhook demo/app" in again.stderr
    command.key = tmp_path / "none"
    missing = command.run("create", "demo/other", "--tenant", "entra", "--url", URL)
    assert "can't be read" in missing.stderr
    assert "File exists" in command.run("key", str(tmp_path / "webhook.key")).stderr


def test_what_needs_somebody_goes_to_standard_error(command: WebhookCommand) -> None:
    create(command)

    async def fail(store: Any) -> None:
        from scim_api.store.webhooks import AttemptResults

        [webhook] = await store.webhooks.lease("one", 60, 1)
        results = AttemptResults(failure="HTTP 410: gone", is_stopped=True)
        await store.webhooks.turn(webhook, "one", results, in_flight=frozenset(), most=1, keep=KEEP)

    command.ask(fail)
    done = command.run("list")
    assert "demo/app: failing since" in done.stderr
    assert "HTTP 410: gone" in done.stderr
    assert "`scim-api webhook resume` starts again" in done.stderr
    assert json.loads(command.run("list", "--json").stdout)[0]["state"] == "stopped"

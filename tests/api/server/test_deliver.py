"""Webhooks end to end: real processes, real receivers, real signatures, and kill -9 at any moment."""

import asyncio
import contextlib
import json
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from localcluster.ports import free_port
from scim_api.cli.main import main
from scim_api.contract.sealing import seal
from scim_api.contract.signing_secret import new_secret
from scim_api.delivery.key_file import read_sealing_key, write_key
from scim_api.store.factory import create_store
from scim_api.store.migrate import migrate
from scim_api.store.protocol import Store
from scim_api.store.webhooks import SealedSecret, WebhookSettings
from support import plain_http
from support.cut import Relay
from support.postgres import OwnServer, own_server
from support.receiver import OK, Answer, Received, Receiver, eventually
from support.serve_process import PYTHON, Serve
from support.stored import retitle, tenant_of
from support.webhooks import NAMESPACE, WRITER, add_user, webhook_of

LOCAL = ("--webhook-allowed-networks", "127.0.0.0/8", "--webhook-allow-http")
ADA = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ada", "emails": [
    {"type": "work", "value": "ada@contoso.com", "primary": True}]}  # fmt: skip


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver().serving() as place:
        yield place


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "webhook.key"
    write_key(path)
    return path


@contextlib.contextmanager
def served(tmp_path: Path, url: str, *options: str) -> Iterator[Serve]:
    service = Serve(tmp_path, url, *options)
    try:
        service.wait_ready()
        yield service
    finally:
        service.stop()


class Owner:
    """Who has a webhook of the one tenant, and does with it what the command line offers."""

    def __init__(self, service: Serve, key: Path, receiver: Receiver, *options: str) -> None:
        self.url, self.key = service.database_url, str(key)
        token = self.json("connection", "create", "demo/entra")["token"]
        self.client = httpx.Client(base_url=service.url, headers={"authorization": f"Bearer {token}"})
        made = self.json(
            "webhook", "create", "demo/app", "--tenant", "entra", "--url", receiver.url, *options
        )
        self.secret: str = made["secret"]

    def run(self, *arguments: str) -> str:
        environment = {"SCIM_API_DATABASE_URL": self.url, "SCIM_API_WEBHOOK_KEY_FILE": self.key}
        done = CliRunner().invoke(main, arguments, env=environment)
        assert done.exit_code == 0, done.output
        return done.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json"))

    def listed(self) -> dict[str, Any]:
        row: dict[str, Any] = self.json("webhook", "list")[0]
        return row


def test_serve_delivers_by_itself_and_an_owner_sees_how_it_does(
    tmp_path: Path, key: Path, receiver: Receiver
) -> None:
    options = ("--deliver", "--webhook-key-file", str(key), *LOCAL)
    with served(tmp_path, f"sqlite:///{tmp_path / 'scim.db'}", *options) as service:
        owner = Owner(service, key, receiver, "--content", "full")
        secret, client = owner.secret, owner.client
        user = client.post("/Users", json=ADA).json()
        eventually(lambda: receiver.received)
        got = receiver.received[0]
        got.verify(secret)
        assert got.message["type"] == "user.created"
        assert got.message["data"]["resource"] == user
        successor = owner.json("webhook", "rotate-secret", "demo/app")["secret"]
        owner.run("webhook", "test", "demo/app")
        eventually(lambda: len(receiver.received) == 2)
        ping = receiver.received[1]
        assert ping.message["type"] == "ping"
        for one in (secret, successor):
            ping.verify(one)
        eventually(lambda: owner.listed()["backlog"] == 0)
        assert owner.listed()["lastDeliveredAt"] is not None
        receiver.answer = lambda _: (302, {"Location": receiver.url}, b"moved")
        client.delete(f"/Users/{user['id']}")
        eventually(lambda: owner.listed()["failingSince"])
        assert owner.listed()["failure"] == "HTTP 302: moved"
        assert len(receiver.received) == 3
        receiver.answer = lambda _: (410, {}, b"")
        owner.run("webhook", "resume", "demo/app")
        eventually(lambda: owner.listed()["state"] == "stopped")
        receiver.answer = lambda _: OK
        owner.run("webhook", "resume", "demo/app")
        eventually(lambda: owner.listed()["backlog"] == 0)
        assert receiver.received[-1].message["type"] == "user.deleted"
        assert len({one.message_id for one in receiver.received[2:]}) == 1
        shown = plain_http.get(f"http://127.0.0.1:{service.internal}/metrics").text
        assert 'scim_api_webhook_deliveries_total{result="delivered"} 3.0' in shown
        log = service.log.read_text()
        assert secret not in log
        assert successor not in log
    assert service.process.returncode == 0


def test_a_process_of_its_own_delivers_and_ends_in_order(
    tmp_path: Path, key: Path, receiver: Receiver
) -> None:
    url = f"sqlite:///{tmp_path / 'scim.db'}"
    with served(tmp_path, url) as service:
        owner = Owner(service, key, receiver)
        port = free_port()
        process = subprocess.Popen(
            [*PYTHON, "deliver", "--database-url", url, "--internal-port", str(port), "--webhook-key-file", str(key),
             *LOCAL],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            owner.client.post("/Users", json=ADA)
            eventually(lambda: receiver.received)
            receiver.received[0].verify(owner.secret)

            def counted() -> bool:
                shown = plain_http.get(f"http://127.0.0.1:{port}/metrics").text
                return 'scim_api_webhook_deliveries_total{result="delivered"} 1.0' in shown

            eventually(counted)
        finally:
            process.terminate()
            assert process.wait(15) == 0


@contextlib.contextmanager
def delivering(url: str, *options: str, **environment: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A ``scim-api deliver`` process, and the URL of its internal port."""
    port = free_port()
    process = subprocess.Popen(
        [*PYTHON, "deliver", "--database-url", url, "--internal-port", str(port), *options],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **environment},
    )  # fmt: skip
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


async def probe(url: str) -> tuple[int, str]:
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        try:
            answer = await client.get(url)
        except httpx.TransportError as error:
            return 0, str(error)
    return answer.status_code, answer.text


async def until_probed(url: str, status: int, text: str) -> None:
    async with asyncio.timeout(40):
        while not ((found := await probe(url)) and found[0] == status and text in found[1]):
            await asyncio.sleep(0.05)


@pytest.fixture
def server() -> Iterator[OwnServer]:
    """PostgreSQL at a port of loopback, with an empty database ``postgres``."""
    in_its_directory = {"dynamic_shared_memory_type": "mmap"}  # or a killed one would leave it in /dev/shm
    with own_server(("127.0.0.1", free_port()), in_its_directory) as running:
        assert running.own is not None
        yield running.own


async def test_it_is_ready_when_its_database_is_migrated_and_while_that_answers(
    server: OwnServer, key: Path
) -> None:
    """Hanging, as behind a dead link, and killed: not ready, and no reason to be restarted."""
    assert server.address is not None
    async with Relay(*server.address) as relay:
        url = f"postgresql://postgres@127.0.0.1:{relay.port}/postgres"
        with delivering(url, "--webhook-key-file", str(key)) as (process, at):
            await until_probed(f"{at}/readyz", 503, "run scim-api migrate")
            assert await probe(f"{at}/healthz") == (200, "ok\n")
            await migrate(server.url)
            await until_probed(f"{at}/readyz", 200, "ok")
            relay.cut()
            await until_probed(f"{at}/readyz", 503, "the database does not answer")
            assert await probe(f"{at}/healthz") == (200, "ok\n")
            relay.mend()
            await until_probed(f"{at}/readyz", 200, "ok")
            server.kill()
            await until_probed(f"{at}/readyz", 503, "the database does not answer")
            assert await probe(f"{at}/healthz") == (200, "ok\n")
            await asyncio.to_thread(server.start_again)
            await until_probed(f"{at}/readyz", 200, "ok")
            process.terminate()
            assert await asyncio.to_thread(process.wait, 15) == 0


async def test_before_the_database_is_migrated_it_ends_when_it_is_asked_to(
    empty_postgres_url: str, key: Path
) -> None:
    with delivering(empty_postgres_url, "--webhook-key-file", str(key)) as (process, at):
        await until_probed(f"{at}/readyz", 503, "run scim-api migrate")
        process.terminate()
        assert await asyncio.to_thread(process.wait, 15) == 0


async def test_it_ends_when_the_database_that_is_migrated_is_another_installation_s(
    empty_postgres_url: str, key: Path, tmp_path: Path
) -> None:
    (tmp_path / "installation-id").write_text("mine", encoding="utf-8")
    keys = {"SCIM_API_ADMIN_KEYS_DIR": str(tmp_path)}
    with delivering(empty_postgres_url, "--webhook-key-file", str(key), **keys) as (process, at):
        await until_probed(f"{at}/readyz", 503, "run scim-api migrate")
        await migrate(empty_postgres_url)
        store = create_store(empty_postgres_url)
        await store.open()
        await store.claim("theirs")
        await store.close()
        assert await asyncio.to_thread(process.wait, 15) == 1


def test_without_a_key_it_ends_with_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [*PYTHON, "deliver", "--database-url", f"sqlite:///{tmp_path / 'scim.db'}"],
        capture_output=True, text=True, timeout=30, env={**os.environ, "SCIM_API_WEBHOOK_KEY_FILE": ""},
    )  # fmt: skip
    assert done.returncode == 1
    assert "SCIM_API_WEBHOOK_KEY_FILE" in done.stderr or "can't be read" in done.stderr


@contextlib.asynccontextmanager
async def dispatchers(url: str, key: Path, number: int) -> AsyncIterator[list[subprocess.Popen[bytes]]]:
    """Processes that can be killed; those in the list at the end are."""
    script = Path(__file__).parents[2] / "support/dispatcher_process.py"
    running: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, str(script), url, str(key)], stdout=subprocess.DEVNULL)

    running += [start() for _ in range(number)]
    restart = asyncio.create_task(_restart(running, start))
    try:
        yield running
    finally:
        restart.cancel()
        await asyncio.gather(restart, return_exceptions=True)
        for process in running:
            process.kill()
            process.wait()


async def _restart(running: list[subprocess.Popen[bytes]], start: Any) -> None:
    while True:
        await asyncio.sleep(0.05)
        for place, process in enumerate(running):
            if process.poll() is not None:
                running[place] = start()


@pytest.mark.parametrize("number", [1, 2], ids=["one dispatcher", "two dispatchers"])
async def test_nothing_is_lost_and_each_resource_keeps_its_order_whoever_is_killed(
    store: Store, key: Path, receiver: Receiver, number: int
) -> None:
    chance = random.Random(number)
    tenant = await tenant_of(store)
    secret = new_secret()
    sealed = SealedSecret(seal(secret, read_sealing_key(key), f"{NAMESPACE}/app"))
    await store.webhooks.create(NAMESPACE, "app", WebhookSettings("contoso", receiver.url), sealed)
    acknowledged: list[Received] = []

    def moody(request: Received) -> Answer:
        if chance.random() < 0.15:
            return chance.choice([(500, {}, b""), (429, {}, b""), (404, {}, b"")])
        acknowledged.append(request)
        return OK

    receiver.answer = moody
    async with dispatchers(store.url, key, number) as running:
        users = [await add_user(store, tenant, f"u{n}") for n in range(8)]
        for round_ in range(3):
            for user in users:
                await store.modify(tenant, "User", user.id, retitle(lambda _, r=round_: f"{r}"), actor=WRITER)  # type: ignore[misc]
            reached = len(receiver.received) + 3
            async with asyncio.timeout(30):
                while len(receiver.received) < reached:
                    await asyncio.sleep(0.01)
            running[0].kill()
        async with asyncio.timeout(60):
            while True:
                status = await webhook_of(store)
                if not status.backlog.events:
                    break
                await asyncio.sleep(0.05)
    page = await store.change_log.page(tenant, None, limit=1000)
    assert {one.message_id for one in acknowledged} == {change.id for change in page.changes}
    for user in users:
        numbers = [int(one.message_id.split("-")[0]) for one in acknowledged if one.resource == user.id]
        # What a killed one had sent and not written yet comes again, from the earliest on.
        assert list(dict.fromkeys(numbers)) == sorted(set(numbers))
    for one in receiver.received:
        one.verify(secret)


async def test_a_receiver_that_was_killed_gets_everything_when_it_is_back(store: Store, key: Path) -> None:
    tenant = await tenant_of(store)
    sealed = SealedSecret(seal(new_secret(), read_sealing_key(key), f"{NAMESPACE}/app"))
    place = Receiver()
    with place.serving():
        await store.webhooks.create(NAMESPACE, "app", WebhookSettings("contoso", place.url), sealed)
    async with dispatchers(store.url, key, 1):
        made = [await add_user(store, tenant, f"u{n}") for n in range(5)]
        async with asyncio.timeout(20):
            while not (status := await webhook_of(store)).failing_since:
                await asyncio.sleep(0.02)
        assert str(status.failure).startswith("connection: 127.0.0.1:")
        with place.serving():
            async with asyncio.timeout(20):
                while len({one.resource for one in place.received}) < 5:
                    await asyncio.sleep(0.02)
    assert {one.resource for one in place.received} == {user.id for user in made}

"""``scim-api serve --workers N``: several real processes behind one port, on a real PostgreSQL."""

import collections
import contextlib
import http.client
import inspect
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from api.test_serve import PYTHON, Serve
from scim_api.admin_models import Connection, Credential, PutConnection, RateLimit, TenantSettings
from scim_api.http.admin_keys import INSTALLATION_FILE
from scim_api.http.credentials import FRESH
from scim_api.http.workers import START_TRIES
from scim_api.signing import key_id, public_pem, sign
from scim_api.store.postgres import SEARCH_CONNECTIONS, PostgresStore
from scim_api.tokens import digest, new_token, new_token_id
from support.postgres import PostgresServer, own_server
from support.stack import until

INSTALLATION = "5f0c7d1e-workers"
ONE = "/admin/v1/connections/demo/entra"
OPERATIONS = Path(__file__).resolve().parents[2] / "docs/operations.md"


class Workers(Serve):
    """A ``scim-api serve`` process with two workers, and an operator's key that it trusts."""

    def __init__(self, directory: Path, database_url: str, *options: str) -> None:
        self.key = Ed25519PrivateKey.generate()
        self._credentials: dict[str, Credential] = {}
        self.asked: list[int] = []
        self.seen: set[int] = set()
        keys = directory / "keys"
        keys.mkdir()
        (keys / f"{key_id(self.key.public_key())}.pem").write_text(public_pem(self.key))
        (keys / INSTALLATION_FILE).write_text(INSTALLATION)
        super().__init__(directory, database_url, "--workers", "2", "--admin-keys-dir", str(keys), *options)

    def pids(self) -> list[int]:
        """The worker processes there are now."""
        found = children(self.process.pid)
        self.seen.update(found)
        return found

    def ask(self, token: str, path: str = "/scim/v2/ServiceProviderConfig") -> int:
        """The status of one request on a connection of its own."""
        self.asked.append(call(self.port, "GET", path, {"authorization": f"Bearer {token}"})[0])
        return self.asked[-1]

    def answered(self) -> collections.Counter[int]:
        """How many requests each worker has answered, by the log."""
        lines = (json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{"))
        return collections.Counter(line["worker"] for line in lines if line["event"] == "request")

    def ask_both(self, token: str) -> set[int]:
        """What they answer, asked on new connections until each of them has answered some."""
        before = self.answered()
        statuses: set[int] = set()

        def both() -> bool:
            statuses.update(self.ask(token) for _ in range(8))
            return all(self.answered()[number] >= before[number] + 3 for number in (1, 2))

        until("both workers answer", both, 30, self.log.read_text)
        return statuses

    def all_counted(self) -> bool:
        """Whether the metrics have every request that was asked; an answer is counted after it was sent."""
        return self.metric("scim_api_requests_total") == len(self.asked)

    def admin(self, method: str, path: str, body: bytes = b"", revision: str | None = None) -> Connection:
        """A signed call of the admin API."""
        signature = sign(
            self.key, audience=INSTALLATION, method=method, target=path, body=body, if_match=revision,
            now=datetime.now(UTC),
        )  # fmt: skip
        headers = {"authorization": f"Bearer {signature}"}
        if revision is not None:
            headers["if-match"] = f'"{revision}"'
        status, answer = call(self.internal, method, path, headers, body)
        assert status == 200, answer
        return Connection.model_validate_json(answer)

    def accept(self, *tokens: str) -> None:
        """Write that these tokens are accepted and no others, as the operator does."""
        present = self.admin("GET", ONE)
        for token in tokens:
            self._credentials.setdefault(
                token,
                Credential(
                    id=new_token_id(),
                    digest=digest(token).hex(),
                    issued_at=present.now,
                    expires_at=present.now + timedelta(days=1),
                ),
            )
        wanted = PutConnection(
            tenant="contoso",
            settings=TenantSettings(rate_limit=RateLimit(requests_per_second=10_000, burst=10_000)),
            credentials=tuple(self._credentials[token] for token in tokens),
        )
        self.admin("PUT", ONE, wanted.model_dump_json(by_alias=True).encode(), present.revision)

    def metric(self, name: str) -> float:
        """The sum of a metric's samples, whatever their labels."""
        _, text = call(self.internal, "GET", "/metrics")
        found = re.findall(rf"^{name}(?:\{{[^}}]*\}})? (\S+)$", text.decode(), re.MULTILINE)
        return sum(map(float, found))


def call(
    port: int, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b""
) -> tuple[int, bytes]:
    """Status and body of one request on a connection of its own; no answer is an error."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request(method, path, body or None, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_gone(pid: int) -> bool:
    """Whether a process is dead, waited for or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def kill(pid: int) -> None:
    """SIGKILL, and wait until it has happened."""
    os.kill(pid, signal.SIGKILL)
    until(f"{pid} is dead", lambda: is_gone(pid))


@contextlib.contextmanager
def running(*arguments: Any) -> Iterator[Workers]:
    service = Workers(*arguments)
    try:
        service.wait_ready()
        until("two workers", lambda: len(service.pids()) == 2)
        yield service
    finally:
        service.stop()
        for pid in service.seen:
            if not is_gone(pid):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def service(postgres_url: str, tmp_path: Path) -> Iterator[Workers]:
    with running(tmp_path, postgres_url) as service:
        yield service


@pytest.fixture
def token(service: Workers) -> str:
    token = new_token()
    service.accept(token)
    return token


def begun(service: Workers, token: str, body: bytes, count: int) -> list[socket.socket]:
    """Connections that have each sent a POST but for the end of its body."""
    head = (
        f"POST /scim/v2/Users HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n"
        f"content-type: application/scim+json\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode()
    connections = [socket.create_connection(("127.0.0.1", service.port), timeout=30) for _ in range(count)]
    for connection in connections:
        connection.sendall(head + body[:20])
    until("all are in flight", lambda: service.metric("scim_api_requests_in_flight") == count)
    return connections


def test_both_processes_answer_and_the_metrics_are_those_of_both(service: Workers, token: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: service.ask(token), range(60))) == {200}
    service.ask_both(token)
    until("all are counted", service.all_counted)
    for _ in range(8):  # whichever worker tells
        assert service.all_counted()
        assert service.metric("scim_api_request_duration_seconds_count") == len(service.asked)
        assert service.metric("scim_api_database_up") == 1
        assert service.metric("scim_api_requests_in_flight") == 0


def test_after_a_second_no_worker_accepts_what_was_revoked_and_each_takes_the_new_token_at_once(
    service: Workers, token: str
) -> None:
    assert service.ask_both(token) == {200}  # and both have it in their caches now
    new = new_token()
    service.accept(new)
    revoked_at = time.monotonic()
    assert service.ask_both(new) == {200}
    until("a second has passed", lambda: time.monotonic() > revoked_at + FRESH)
    assert service.ask_both(token) == {401}
    assert service.ask_both(new) == {200}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_lets_all_workers_answer_what_they_have_and_leaves_no_process(
    service: Workers, token: str, person: Callable[..., dict[str, Any]], number: signal.Signals
) -> None:
    body = json.dumps(person("ada")).encode()
    connections = begun(service, token, body, 8)
    pids = service.pids()
    service.process.send_signal(number)

    def refused() -> bool:
        try:
            service.ask(token)
        except ConnectionRefusedError:
            return True
        except OSError:  # it was in the queue when the port was closed
            return False
        return False

    until("no new connections are taken", refused)
    assert service.process.poll() is None
    for connection in connections:
        connection.sendall(body[20:])
    statuses = collections.Counter(connection.recv(65536).split(b" ", 2)[1] for connection in connections)
    assert statuses == {b"201": 1, b"409": 7}
    for connection in connections:
        connection.close()
    assert service.process.wait(20) == 0
    assert [pid for pid in pids if not is_gone(pid)] == []
    assert "Traceback" not in service.log.read_text()


def test_a_killed_worker_comes_back_while_every_new_connection_is_answered(
    service: Workers, token: str
) -> None:
    first = service.pids()
    service.ask_both(token)
    for victim in first:
        before = set(service.pids())
        until("all are counted", service.all_counted)
        kill(victim)

        def replaced(before: set[int] = before) -> bool:
            assert service.ask(token) == 200
            return len(set(service.pids()) - before) == 1

        until("another takes its place", replaced, 30, service.log.read_text)
        assert service.ask_both(token) == {200}
    assert not set(first) & set(service.pids())
    until("nothing that was counted is lost", service.all_counted)


def test_what_killed_workers_were_doing_is_no_longer_in_flight(service: Workers, token: str) -> None:
    service.ask_both(token)
    until("all are counted", service.all_counted)
    connections = begun(service, token, b"x" * 100, 6)
    for pid in service.pids():
        kill(pid)
    until("none is in flight", lambda: service.metric("scim_api_requests_in_flight") == 0)
    assert service.all_counted()
    for connection in connections:
        connection.close()


def test_workers_end_when_the_process_that_started_them_was_killed(service: Workers, token: str) -> None:
    pids = service.pids()
    kill(service.process.pid)
    until("the workers are gone", lambda: all(map(is_gone, pids)), 20, service.log.read_text)
    with pytest.raises(ConnectionRefusedError):
        service.ask(token)


def test_a_worker_that_no_longer_responds_is_replaced(
    monkeypatch: pytest.MonkeyPatch, postgres_url: str, tmp_path: Path
) -> None:
    patient = (
        "from scim_api.http import workers; workers.SILENT_TICKS = 5; from scim_api.cli import main; main()"
    )
    monkeypatch.setattr("api.test_serve.PYTHON", [sys.executable, "-c", patient])
    with running(tmp_path, postgres_url) as service:
        stuck = service.pids()[0]
        os.kill(stuck, signal.SIGSTOP)
        until("it is killed", lambda: is_gone(stuck), 30, service.log.read_text)
        until("another takes its place", lambda: len(service.pids()) == 2)
        assert service.ask_both(new_token()) == {401}
        assert "does not respond" in service.log.read_text()


def test_one_worker_is_one_process(postgres_url: str, tmp_path: Path) -> None:
    service = Serve(tmp_path, postgres_url, "--workers", "1")
    try:
        service.wait_ready()
        assert children(service.process.pid) == []
    finally:
        assert service.stop() == 0


def message(directory: Path, *arguments: str, **variables: str) -> str:
    """What a ``serve`` says on stderr that must refuse to start; with several workers once, too."""
    done = subprocess.run(
        [*PYTHON, "serve", *arguments], capture_output=True, text=True, cwd=directory, timeout=60,
        env={**os.environ, **variables},
    )  # fmt: skip
    assert done.returncode in {1, 2}, done.stderr
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("Error:")]) == 1
    return done.stderr


@pytest.mark.parametrize("number", ["0", "-1", "65", "two", "1.5"])
def test_a_number_of_workers_that_makes_no_sense_is_refused(tmp_path: Path, number: str) -> None:
    assert "--workers" in message(tmp_path, "--workers", number)
    assert "SCIM_API_WORKERS" in message(tmp_path, SCIM_API_WORKERS=number)


def test_sqlite_is_refused_with_what_to_write_instead(tmp_path: Path) -> None:
    said = message(tmp_path, "--workers", "2")
    assert "--workers 1" in said
    assert "postgresql://" in said
    assert "scim-api copy" in said
    assert list(tmp_path.iterdir()) == []


def test_a_start_that_fails_says_the_same_as_with_one_worker(service: Workers, tmp_path: Path) -> None:
    (other := tmp_path / "other").mkdir()
    (other / INSTALLATION_FILE).write_text("another-installation")
    good = ["--port", "0", "--database-url", service.database_url]
    for arguments in (
        ["--database-url", service.database_url, "--port", str(service.port)],  # which has workers, too
        [*good, "--internal-port", str(service.internal)],
        ["--port", "0", "--database-url", "postgresql://nobody@127.0.0.1:1/none"],
        ["--port", "0", "--database-url", "postgresql://nobody@127.0.0.1:nonsense/none"],
        ["--port", "0", "--database-url", "mysql://x"],
        [*good, "--admin-keys-dir", str(other)],
    ):
        service.admin("GET", ONE)  # claims the database
        assert message(tmp_path, *arguments, "--workers", "2") == message(tmp_path, *arguments), arguments
    assert set(service.pids()) == set(children(service.process.pid))


@pytest.fixture
def mortal_server() -> Iterator[PostgresServer]:
    with own_server() as server:
        yield server


def test_the_service_ends_when_no_worker_can_be_started_any_more(
    mortal_server: PostgresServer, tmp_path: Path
) -> None:
    subprocess.run([*PYTHON, "migrate", "--database-url", mortal_server.url], check=True, timeout=60)
    with running(tmp_path, mortal_server.url) as service:
        assert mortal_server.own is not None
        mortal_server.own.kill()
        kill(service.pids()[0])
        assert service.process.wait(60) == 1
        log = service.log.read_text()
        assert log.count("worker ended") == 1 + START_TRIES
        assert log.splitlines()[-1].startswith("Error: the database can't be used: PostgreSQL")


def test_the_number_of_database_connections_in_the_documentation_is_right() -> None:
    pool = inspect.signature(PostgresStore).parameters["pool_size"].default
    told = re.search(
        r"each worker takes at most (\d+) \((\d+), and (\d+) for searches\).*workers × (\d+)",
        OPERATIONS.read_text(encoding="utf-8"),
    )
    assert told is not None
    assert [int(number) for number in told.groups()] == [
        pool + SEARCH_CONNECTIONS, pool, SEARCH_CONNECTIONS, pool + SEARCH_CONNECTIONS,
    ]  # fmt: skip

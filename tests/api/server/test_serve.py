"""The real process: ports, the command line beside it, faults, and an orderly end."""

import asyncio
import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from localcluster.ports import free_port
from support import plain_http
from support.serve_process import PYTHON, Serve


@pytest.fixture
def serve(database_url: str, tmp_path: Path) -> Iterator[Serve]:
    if not database_url.startswith("sqlite"):
        subprocess.run([*PYTHON, "migrate", "--database-url", database_url], check=True, timeout=60)
    service = Serve(tmp_path, database_url)
    try:
        service.wait_ready()
        yield service
    finally:
        service.stop()


def headers(issued: dict[str, Any]) -> dict[str, str]:
    return {"authorization": f"Bearer {issued['token']}"}


def test_the_command_line_works_beside_a_running_serve(serve: Serve) -> None:
    issued = serve.connect()
    assert set(issued) == {"endpoint", "token", "tokenId", "expiresAt"}
    assert issued["endpoint"] == serve.url
    ask = f"{serve.url}/Users"
    assert plain_http.get(ask, headers=headers(issued)).status_code == 200
    rotated = json.loads(serve.cli("connection", "rotate", "demo/entra", "--json").stdout)
    assert plain_http.get(ask, headers=headers(issued)).status_code == 200
    assert plain_http.get(ask, headers=headers(rotated)).status_code == 200
    listed = json.loads(serve.cli("connection", "list", "--json").stdout)
    assert {token["tokenId"] for token in listed[0]["tokens"]} == {issued["tokenId"], rotated["tokenId"]}
    assert rotated["tokenId"] in serve.cli("connection", "list").stdout
    serve.cli("connection", "delete", "demo/entra", "--yes")
    deadline = time.monotonic() + 15
    while plain_http.get(ask, headers=headers(rotated)).status_code != 401:
        assert time.monotonic() < deadline


@pytest.mark.parametrize("internal", [False, True])
def test_fastapi_is_imported_for_the_internal_port_alone(tmp_path: Path, *, internal: bool) -> None:
    code = (
        "import atexit, sys\n"
        "atexit.register(lambda: print('fastapi' in sys.modules, list(sys.modules).index('scim_api.http.public')"
        " < list(sys.modules).index('fastapi') if 'fastapi' in sys.modules else None))\n"
        "from scim_api.cli.main import main\n"
        "main()\n"
    )
    port = free_port()
    options = ["serve", "--port", str(port), *(["--internal-port", "0"] if internal else [])]
    with subprocess.Popen(
        [sys.executable, "-c", code, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=tmp_path,
    ) as process:
        try:
            deadline = time.monotonic() + 20
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if plain_http.get(f"http://127.0.0.1:{port}/scim/v2/Users").status_code == 401:
                        break
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
        finally:
            process.terminate()
        printed, _ = process.communicate(timeout=15)
    assert process.returncode == 0
    assert printed.splitlines()[-1] == ("True True" if internal else "False None")


def test_no_token_is_in_the_log_or_the_database_file(serve: Serve, tmp_path: Path) -> None:
    issued = serve.connect()
    plain_http.get(f"{serve.url}/Users", headers=headers(issued))
    plain_http.get(f"{serve.url}/Users", headers={"authorization": "Bearer sct_aaaaaaaaaaaaaaaaaaaaaaaa"})
    assert serve.stop() == 0
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert b"stopped" in written
    assert issued["token"].encode() not in written
    assert b"sct_" not in written


def test_requests_in_flight_are_answered_before_the_process_ends(
    serve: Serve, person: Callable[..., dict[str, Any]]
) -> None:
    issued = serve.connect()
    body = json.dumps(person("ada")).encode()
    head = (
        f"POST /scim/v2/Users HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {issued['token']}\r\n"
        f"content-type: application/scim+json\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode()
    with socket.create_connection(("127.0.0.1", serve.port), timeout=10) as connection:
        connection.sendall(head + body[:20])
        deadline = time.monotonic() + 15
        while (
            f"scim_api_requests_in_flight {1.0}"
            not in plain_http.get(f"http://127.0.0.1:{serve.internal}/metrics").text
        ):
            assert time.monotonic() < deadline
        began = time.monotonic()
        serve.process.send_signal(signal.SIGTERM)
        with pytest.raises(httpx.TransportError):  # no new connections are taken
            while time.monotonic() < began + 5:
                plain_http.get(f"{serve.url}/Users", timeout=1)
        connection.sendall(body[20:])
        assert b" 201 " in connection.recv(65536).split(b"\r\n", 1)[0]
    assert serve.process.wait(10) == 0
    assert time.monotonic() - began < 10


def test_readiness_tells_when_the_schema_is_too_old(empty_postgres_url: str, tmp_path: Path) -> None:
    service = Serve(tmp_path, empty_postgres_url)
    try:
        deadline = time.monotonic() + 20
        text = ""
        while "scim-api migrate" not in text:
            with contextlib.suppress(httpx.TransportError):
                answer = plain_http.get(f"http://127.0.0.1:{service.internal}/readyz")
                assert answer.status_code == 503
                text = answer.text
            assert time.monotonic() < deadline, service.log.read_text()
        service.cli("migrate")
        service.wait_ready()
    finally:
        assert service.stop() == 0


def test_a_full_disk_is_a_503_and_nothing_is_half_written(
    tmp_path: Path, person: Callable[..., dict[str, Any]]
) -> None:
    """The process may not write files past 600 kB: what SQLite sees is an I/O error in mid-write."""
    database_url = f"sqlite:///{tmp_path / 'scim.db'}"
    service = Serve(tmp_path, database_url, file_limit=600_000)
    try:
        service.wait_ready()
        issued = service.connect("demo/entra", "--burst", "1000")
        statuses = []
        for number in range(60):
            body = person(f"p{number}", nickName="x" * 20_000)
            statuses.append(
                plain_http.post(f"{service.url}/Users", json=body, headers=headers(issued)).status_code
            )
        assert set(statuses) == {201, 503}, statuses
        asked = plain_http.get(f"{service.url}/Users?count=0", headers=headers(issued))
        assert asked.json()["totalResults"] == statuses.count(201)
    finally:
        service.stop()


def test_a_killed_service_loses_nothing_it_answered(
    serve: Serve, person: Callable[..., dict[str, Any]]
) -> None:
    issued = serve.connect()
    answered: list[str] = []

    async def load() -> None:
        async with httpx.AsyncClient() as client:

            async def one(number: int) -> None:
                with contextlib.suppress(httpx.TransportError):
                    answer = await client.post(
                        f"{serve.url}/Users", json=person(f"p{number}"), headers=headers(issued)
                    )
                    if answer.status_code == 201:
                        answered.append(answer.json()["id"])
                        if len(answered) == 40:
                            serve.process.send_signal(signal.SIGKILL)

            await asyncio.gather(*(one(number) for number in range(120)))

    asyncio.run(load())
    serve.process.wait(10)
    assert len(answered) >= 40
    again = Serve(serve.directory, serve.database_url)
    try:
        again.wait_ready()
        for user in answered:
            assert plain_http.get(f"{again.url}/Users/{user}", headers=headers(issued)).status_code == 200
    finally:
        again.stop()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["serve", "--database-url", "mysql://x"], "sqlite:///"),
        (["serve", "--database-url", "sqlite:////nowhere/at/all/scim.db"], "nowhere"),
        (["serve", "--database-url", "postgresql://nobody@127.0.0.1:1/none"], "database"),
        (["serve", "--public-url", "scim.example.com"], "absolute URL"),
        (["serve", "--port", "70000"], "70000"),
    ],
)
def test_a_mistake_is_one_readable_message_and_no_traceback(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = subprocess.run([*PYTHON, *arguments], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert done.returncode in {1, 2}
    assert "Traceback" not in done.stderr
    assert message in done.stderr


def test_a_taken_port_is_told_with_the_option_to_change(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [*PYTHON, "serve", "--port", port], capture_output=True, text=True, cwd=tmp_path, timeout=60
        )
    assert done.returncode == 1
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr


def test_both_ports_answer_on_ipv6_and_ipv4_when_they_listen_everywhere(tmp_path: Path) -> None:
    service = Serve(
        tmp_path, f"sqlite:///{tmp_path / 'scim.db'}", "--host", "::", "--internal-host", "::",
    )  # fmt: skip
    try:
        service.wait_ready()
        for host in ("[::1]", "127.0.0.1"):
            assert plain_http.get(f"http://{host}:{service.internal}/readyz").status_code == 200
            assert plain_http.get(f"http://{host}:{service.port}/scim/v2/Users").status_code == 401
        assert f'"listen": "[::]:{service.port}"' in service.log.read_text()
    finally:
        service.stop()


def test_metrics_have_a_port_of_their_own_without_the_admin_api(tmp_path: Path) -> None:
    port = free_port()
    service = Serve(tmp_path, f"sqlite:///{tmp_path / 'scim.db'}", "--metrics-port", str(port))
    try:
        service.wait_ready()
        assert "scim_api_database_up 1.0" in plain_http.get(f"http://127.0.0.1:{port}/metrics").text
        for path in ("/admin/v1/connections", "/healthz", "/readyz", "/scim/v2/Users", "/"):
            assert plain_http.get(f"http://127.0.0.1:{port}{path}").status_code == 404
        assert plain_http.post(f"http://127.0.0.1:{port}/metrics").status_code == 405
    finally:
        assert service.stop() == 0


def test_without_a_workload_identity_nothing_is_imported_that_fetches_keys(tmp_path: Path) -> None:
    code = (
        "import atexit, sys\n"
        "atexit.register(lambda: print('httpx' in sys.modules))\n"
        "from scim_api.cli.main import main\n"
        "main()\n"
    )
    port = free_port()
    command = [sys.executable, "-c", code, "serve", "--port", str(port)]
    command += ["--database-url", f"sqlite:///{tmp_path / 'scim.db'}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                plain_http.get(f"http://127.0.0.1:{port}/scim/v2/Users")
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        printed, _ = process.communicate(timeout=30)
    assert printed.splitlines()[-1] == "False"

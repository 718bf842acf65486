"""``scim-api console``: what can be wrong is one line, and the address is printed."""

import asyncio
import builtins
import socket
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from scim_api.cli.console.source import StoreSource
from scim_api.cli.main import main
from scim_api.store.migrate import migrate


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["console", *arguments])


@pytest.fixture
def url(tmp_path: Path) -> str:
    found = f"sqlite:///{tmp_path / 'scim.db'}"
    asyncio.run(migrate(found))
    return found


def test_a_database_that_is_not_there_is_one_line_and_is_not_made(tmp_path: Path) -> None:
    done = run("--database-url", f"sqlite:///{tmp_path / 'none.db'}")
    assert done.exit_code == 1
    assert done.stderr == f"Error: there is no database {tmp_path / 'none.db'}; name it with --database-url\n"
    assert not (tmp_path / "none.db").exists()


def test_a_database_without_a_schema_and_a_bad_url_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    for given, said in (
        (f"sqlite:///{tmp_path / 'empty.db'}", "scim-api migrate"),
        ("mysql://x", "sqlite:///scim.db"),
    ):
        done = run("--database-url", given)
        assert done.exit_code == 1
        [line] = done.stderr.splitlines()
        assert said in line


def test_without_jinja2_one_line_says_how_to_install_it(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without(name: str, *arguments: Any, **more: Any) -> Any:
        if name == "scim_console.server":
            raise ModuleNotFoundError("No module named 'jinja2'", name="jinja2")
        return imported(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    done = run("--database-url", url)
    assert (done.exit_code, done.stderr) == (
        1,
        "Error: the console needs jinja2: pip install 'scim-operator[api]'\n",
    )


def test_a_port_that_is_taken_is_one_line(url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("--database-url", url, "--no-browser", "--port", str(taken.getsockname()[1]))
    assert done.exit_code == 1
    assert "is not free" in done.stderr


def test_the_address_is_printed_and_opened_unless_nobody_wants_it(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[Any] = []

    def serve(source: Any, port: int, announce: Any, open_browser: Any) -> None:
        announce("http://127.0.0.1:1/open?key=k")
        served.append((source, port, open_browser))

    monkeypatch.setattr("scim_console.server.serve", serve)
    done = run("--database-url", url, "--port", "4711")
    assert done.output.splitlines()[0] == "http://127.0.0.1:1/open?key=k"
    run("--database-url", url, "--no-browser")
    (source, port, open_browser), (_, _, nobody) = served
    assert isinstance(source, StoreSource)
    assert port == 4711
    assert callable(open_browser)
    assert nobody is None

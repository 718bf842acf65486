"""Entra's provisioning cycles, played over HTTP against the real process."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from demo.processes import SCIM_API, start_api
from entra_standin.client import EntraClient
from entra_standin.cycle import incremental_cycle, initial_cycle
from entra_standin.dialects import Dialect
from entra_standin.directory import Person, six_people
from entra_standin.errors import Rejected
from entra_standin.mapping import Matching
from entra_standin.quarantine import Reason

Connect = Callable[..., tuple[str, str]]


@pytest.fixture(scope="module")
def connect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connect]:
    """Makes a connection of a running service; returns its endpoint and token."""
    directory = tmp_path_factory.mktemp("service")
    database_url = f"sqlite:///{directory / 'scim.db'}"
    keys = directory / "keys"
    keys.mkdir()
    api = start_api(directory, admin_keys_dir=keys, database_url=database_url)

    def make(name: str, *options: str) -> tuple[str, str]:
        made = subprocess.run(
            [*SCIM_API, "connection", "create", f"demo/{name}", "--json", *options],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=directory,
            env={**os.environ, "SCIM_API_DATABASE_URL": database_url},
        )
        assert made.returncode == 0, made.stderr
        issued = json.loads(made.stdout)
        return issued["endpoint"], issued["token"]

    try:
        api.wait_ready()
        yield make
    finally:
        api.stop()


@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize("matching", list(Matching))
def test_the_command_plays_all_cycles_without_a_finding_in_each_dialect_and_matching(
    connect: Connect, tmp_path: Path, dialect: Dialect, matching: Matching
) -> None:
    url, token = connect(f"{dialect}-{matching}".lower(), "--matching", matching.value)
    (tmp_path / "token").write_text(token, encoding="utf-8")
    options = ["--url", url, "--token-file", str(tmp_path / "token")]
    played = subprocess.run(
        [sys.executable, "-m", "entra_standin", *options, "--dialect", dialect, "--matching", matching],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "dev")},
    )
    assert played.returncode == 0, played.stdout + played.stderr
    lines = played.stdout.splitlines()
    assert "initial cycle: created: 6" in lines
    assert "incremental cycle: deleted: 1" in lines
    assert "restart: created: 0" in lines
    assert "restart: matched: 5" in lines
    assert "restart: updated: 0" in lines
    assert token not in played.stdout + played.stderr


def test_a_person_without_mail_is_skipped_and_the_others_are_provisioned(connect: Connect) -> None:
    nobody = Person("ghost", "ghost@contoso.example", None, "Ghost")
    with EntraClient(*connect("without-mail")) as client:
        report = initial_cycle(client, [nobody, *six_people()])
    assert report.skipped == ("ghost",)
    assert len(report.created) == 6
    assert report.ok, report.lines()
    assert report.rejected == {422: 1}


def test_a_wrong_token_is_refused_in_a_form_entra_reads_and_quarantines_the_job(connect: Connect) -> None:
    url, token = connect("wrong-token")
    with EntraClient(url, token[:-1] + ("A" if token[-1] != "A" else "B")) as client:
        report = initial_cycle(client, six_people())
    assert report.reason is Reason.BAD_CREDENTIALS
    assert report.rejected == {401: 1}
    assert report.findings == ()
    assert report.created == ()


def test_a_cycle_that_is_told_of_no_change_sends_only_queries(connect: Connect) -> None:
    with EntraClient(*connect("no-change")) as client:
        initial_cycle(client, six_people())
        report = incremental_cycle(client, six_people(), six_people())
    assert report.ok, report.lines()
    assert report.updated == ()
    assert report.sent == 1 + len(six_people())


def test_a_create_sent_by_twenty_five_at_once_makes_one_user(connect: Connect) -> None:
    person = six_people()[0]
    with EntraClient(*connect("parallel")) as client:

        def create(_: int) -> int:
            try:
                client.create(person)
            except Rejected as refused:
                return refused.status
            return 201

        with ThreadPoolExecutor(25) as pool:
            statuses = list(pool.map(create, range(25)))
        assert sorted(statuses) == [201] + [409] * 24
        assert client.find("ada@contoso.example") is not None

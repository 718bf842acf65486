"""The election on a real API server: one acts, hand-over is fast, and who is cut off stops in time."""

import asyncio
import contextlib
import copy
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from kubernetes.aio import client, config
from structlog.testing import capture_logs

from localcluster import ControlPlane
from scim_operator.adapters.leader_election import LeaderElector
from scim_operator.planning.ports import NotLeading
from scim_operator.settings import OperatorSettings, load
from support import elector_process
from support.cut import Relay

QUICK = {
    "lease_duration_seconds": 3, "lease_renew_deadline_seconds": 2, "lease_renew_period_seconds": 0.4, "lease_retry_period_seconds": 0.2,
}  # fmt: skip


def settings(namespace: str, **changes: Any) -> OperatorSettings:
    options = {"endpoint_url": "https://scim.example.com/scim/v2", "admin_url": "http://unused:1", **changes}
    return load(namespace=namespace, **options)


async def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for a condition, polling; fails the test when the time is over."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


class Candidate:
    """An elector that runs in this event loop."""

    def __init__(self, api: client.ApiClient, wanted: OperatorSettings) -> None:
        self.history: list[str] = []
        self.annotations: list[Mapping[str, str]] = []
        self.elector = LeaderElector(
            api,
            wanted,
            on_gained=lambda: self.history.append("gained"),
            on_lost=lambda: self.history.append("lost"),
            on_annotations=self.annotations.append,
        )
        self.stop = asyncio.Event()
        self.task = asyncio.create_task(self.elector.run(self.stop))

    @property
    def leads(self) -> bool:
        return self.elector.leading

    async def leave(self) -> None:
        self.stop.set()
        await self.task


Run = Callable[..., Candidate]


@pytest.fixture
def namespace(quiet_namespace: str) -> str:
    """One where no other test's operator is at work."""
    return quiet_namespace


@pytest.fixture
def kubeconfig(installed: ControlPlane) -> Path:
    """An administrator's: each test holds its election in a namespace of its own."""
    return installed.kubeconfig


@pytest.fixture
async def run(kubeconfig: Path) -> AsyncIterator[Run]:
    """Starts candidates; those still there at the end leave."""
    started: list[tuple[Candidate, client.ApiClient]] = []
    base = await _configuration(kubeconfig)

    def start(wanted: OperatorSettings, *, through: Relay | None = None) -> Candidate:
        mine = copy.deepcopy(base)
        if through is not None:
            mine.host = f"https://127.0.0.1:{through.port}"
        api = client.ApiClient(mine)
        candidate = Candidate(api, wanted)
        started.append((candidate, api))
        return candidate

    yield start
    for candidate, api in started:
        candidate.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await candidate.task
        await api.close()  # type: ignore[no-untyped-call]


@pytest.fixture
async def leases(kubeconfig: Path) -> AsyncIterator[client.CoordinationV1Api]:
    async with client.ApiClient(await _configuration(kubeconfig)) as api:
        yield client.CoordinationV1Api(api)


async def test_the_first_one_creates_the_lease_and_leads(
    run: Run, leases: client.CoordinationV1Api, namespace: str
) -> None:
    first = run(settings(namespace, identity="first"))
    await until(lambda: first.leads)
    first.elector.check_leading()
    lease = await leases.read_namespaced_lease("scim-operator", namespace)
    assert lease.spec is not None
    assert lease.spec.holder_identity == "first"


async def test_the_second_one_stands_by_for_as_long_as_the_first_renews(run: Run, namespace: str) -> None:
    first = run(settings(namespace, identity="first", **QUICK))
    await until(lambda: first.leads)
    second = run(settings(namespace, identity="second", **QUICK))
    end = time.monotonic() + 1.5 * QUICK["lease_duration_seconds"]
    while time.monotonic() < end:
        assert first.leads
        with pytest.raises(NotLeading):
            second.elector.check_leading()
        await asyncio.sleep(0.05)


async def test_a_released_lease_is_taken_long_before_it_would_run_out(run: Run, namespace: str) -> None:
    first = run(settings(namespace, identity="first"))
    await until(lambda: first.leads)
    second = run(settings(namespace, identity="second"))
    await asyncio.sleep(0)
    started = time.monotonic()
    await first.leave()
    assert not first.leads
    await until(lambda: second.leads)
    assert time.monotonic() - started < 3
    assert first.history == ["gained", "lost"]


async def test_a_cut_off_leader_stops_before_another_takes_over_and_stands_by_when_it_is_back(
    run: Run, kubeconfig: Path, namespace: str
) -> None:
    server = urlsplit((await _configuration(kubeconfig)).host)
    async with Relay(server.hostname or "", server.port or 443) as link:
        first = run(settings(namespace, identity="first", **QUICK), through=link)
        await until(lambda: first.leads)
        second = run(settings(namespace, identity="second", **QUICK))
        link.cut()
        cut_at = time.monotonic()
        while not second.leads:
            assert not (first.leads and second.leads)
            assert not first.leads or time.monotonic() - cut_at <= QUICK["lease_renew_deadline_seconds"] + 0.1
            assert time.monotonic() - cut_at < 20
            await asyncio.sleep(0.01)
        assert not first.leads
        link.mend()
        await second.leave()
        await until(lambda: first.leads)
        assert first.history == ["gained", "lost", "gained"]


async def test_a_stopped_process_does_not_act_after_it_continues(
    run: Run, kubeconfig: Path, namespace: str, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "PYTHONPATH": os.pathsep.join(sys.path)}
    argv = [sys.executable, elector_process.__file__, namespace, "paused", str(notes)]
    with subprocess.Popen(argv, env=environment) as process:  # noqa: ASYNC220 (short, and waited for)
        try:
            await until(lambda: notes.exists() and "may act" in notes.read_text())
            process.send_signal(signal.SIGSTOP)
            other = run(settings(namespace, identity="other", **QUICK))
            await until(lambda: other.leads)
            taken = time.time()
            process.send_signal(signal.SIGCONT)
            await until(lambda: float(notes.read_text().split("\n")[-2].split()[0]) > taken + 0.5)
            after = [line for line in notes.read_text().splitlines() if float(line.split()[0]) >= taken]
            assert after
            assert all(line.endswith("refused") for line in after)
        finally:
            process.kill()


async def test_a_deleted_lease_is_made_again(
    run: Run, leases: client.CoordinationV1Api, namespace: str
) -> None:
    first = run(settings(namespace, identity="first", **QUICK))
    await until(lambda: first.leads)
    await leases.delete_namespaced_lease("scim-operator", namespace)
    end = time.monotonic() + QUICK["lease_duration_seconds"]
    while time.monotonic() < end:
        assert first.leads
        await asyncio.sleep(0.05)
    lease = await leases.read_namespaced_lease("scim-operator", namespace)
    assert lease.spec is not None
    assert lease.spec.holder_identity == "first"


async def test_a_lease_edited_by_somebody_else_does_not_end_the_leadership(
    run: Run, leases: client.CoordinationV1Api, namespace: str
) -> None:
    first = run(settings(namespace, identity="first", **QUICK))
    await until(lambda: first.leads)
    for round_ in range(20):
        patch = {"metadata": {"annotations": {"somebody": str(round_)}}}
        await leases.patch_namespaced_lease("scim-operator", namespace, patch)
        assert first.leads
        await asyncio.sleep(0.05)
    assert first.history == ["gained"]
    await until(lambda: first.annotations[-1:] == [{"somebody": "19"}])


async def test_a_missing_namespace_is_named(run: Run, namespace: str) -> None:
    with capture_logs() as logs:
        nowhere = run(settings(f"{namespace}-not-there"))
        await until(lambda: bool(logs))
    assert "there is no namespace" in logs[0]["reason"]
    assert not nowhere.leads


async def _configuration(kubeconfig: Path) -> client.Configuration:
    wanted = client.Configuration()
    await config.load_kube_config(str(kubeconfig), client_configuration=wanted)  # type: ignore[no-untyped-call]
    return wanted

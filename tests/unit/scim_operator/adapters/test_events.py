"""Events wait in a bounded queue and are sent in the background. What is sent: tests/operator/adapters/test_events.py."""

import asyncio
from typing import Any

import pytest
from kubernetes.aio import client

from scim_operator.adapters.core_v1 import CoreV1
from scim_operator.adapters.events import QUEUED, EventRecorder
from scim_operator.api.scimtoken import ScimToken
from scim_operator.planning.ports import NotLeading


class Server:
    """Takes Events, unless it does not answer."""

    def __init__(self) -> None:
        self.answers = asyncio.Event()
        self.answers.set()
        self.written: list[str] = []
        self.error: Exception | None = None

    async def create_namespaced_event(self, _namespace: str, body: client.CoreV1Event, **_: Any) -> None:
        await self.answers.wait()
        if self.error is not None:
            raise self.error
        self.written.append(str(body.reason))


class Recording:
    """A recorder over a server that a test can stop, and what it drops."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.server, self.dropped, self.leads = Server(), 0, True
        made = self.server.create_namespaced_event
        monkeypatch.setattr(CoreV1, "create_namespaced_event", lambda _self, *a, **k: made(*a, **k))
        self.recorder = EventRecorder(
            client.ApiClient(client.Configuration()), guard=self._guard, dropped=self._drop
        )
        self._objects = 0

    def _guard(self) -> None:
        if not self.leads:
            raise NotLeading("lost")

    def _drop(self) -> None:
        self.dropped += 1

    def record(self, reason: str) -> None:
        """Of another object each time, which has a budget of its own."""
        self._objects += 1
        meta = {"name": "entra", "namespace": "team", "uid": f"u{self._objects}", "generation": 1}
        owner = ScimToken.from_object({"metadata": meta, "spec": {}, "status": {}})
        self.recorder.record(owner, "Normal", reason, "m")

    async def send(self) -> None:
        """All that waits."""
        sending = asyncio.create_task(self.recorder.run())
        await self.recorder.drain()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


@pytest.fixture
async def recording(monkeypatch: pytest.MonkeyPatch) -> Recording:
    return Recording(monkeypatch)


async def test_nobody_waits_for_a_server_that_does_not_answer(recording: Recording) -> None:
    recording.server.answers.clear()
    recording.record("Issued")
    sending = asyncio.create_task(recording.send())
    await asyncio.sleep(0)
    recording.record("Rotated")
    assert recording.server.written == []
    recording.server.answers.set()
    await sending
    assert recording.server.written == ["Issued", "Rotated"]


async def test_what_comes_faster_than_it_is_taken_is_dropped_and_counted(recording: Recording) -> None:
    for _ in range(QUEUED + 3):
        recording.record("Issued")
    assert recording.dropped == 3
    await recording.send()
    assert len(recording.server.written) == QUEUED
    recording.record("Rotated")
    await recording.send()
    assert (recording.server.written[-1], recording.dropped) == ("Rotated", 3)


async def test_what_waits_when_this_process_no_longer_leads_is_not_written(recording: Recording) -> None:
    recording.record("Issued")
    recording.leads = False
    await recording.send()
    assert (recording.server.written, recording.dropped) == ([], 1)


@pytest.mark.parametrize("error", [client.ApiException(status=403), TimeoutError(), KeyError("x")])
async def test_an_event_that_fails_for_any_reason_ends_nothing(
    recording: Recording, error: Exception
) -> None:
    recording.server.error = error
    recording.record("Issued")
    await recording.send()
    recording.server.error = None
    recording.record("Rotated")
    await recording.send()
    assert (recording.server.written, recording.dropped) == (["Rotated"], 1)

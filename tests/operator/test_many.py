"""Five hundred ScimTokens: a restarted operator knows them all from lists, and writes to none that is in order."""

import asyncio
import time
from collections.abc import Iterator

import pytest

from bench.scale import create, known, requests
from localcluster import ControlPlane, Tools
from support.stack import Stack, running, until

COUNT = 500
WRITES = {"POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"}


@pytest.fixture(scope="module")
def crowded(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """An installation of its own, whose every request is counted."""
    with (
        ControlPlane.start(tools) as plane,
        running(Stack(plane, tmp_path_factory.mktemp("many"))) as stack,
    ):
        asyncio.run(create(plane, COUNT))
        until("all are ready", lambda: known(stack.operators[-1])["ready"] == COUNT, 180)
        until("all tell of the endpoint, whose first check came late", lambda: not unchecked(plane), 60)
        yield stack


def unchecked(plane: ControlPlane) -> int:
    """How many statuses were written before the endpoint was checked."""
    return plane.kubectl("get", "sct", "-o", "json").stdout.count('"Pending"')


@pytest.mark.timeout(400)
def test_a_restart_asks_for_pages_and_writes_nothing(crowded: Stack) -> None:
    crowded.operators[-1].stop()
    before = requests(crowded.control_plane)

    again = crowded.start_operator()
    until("all are known", lambda: known(again)["ready"] == COUNT, 60)
    until_known = requests(crowded.control_plane) - before
    assert 0 < until_known["LIST", "scimtokens"] <= 10
    assert until_known["GET", "scimtokens"] < COUNT

    time.sleep(5)  # What it would do besides, it would do now; nothing tells that it does not.

    asked = requests(crowded.control_plane) - before
    assert {what: number for what, number in asked.items() if what[0] in WRITES} == {}

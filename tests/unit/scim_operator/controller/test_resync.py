"""A resync tells the scheduler what to look at; a sweep that would revoke too much stops and says so."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from typing import Any

import pytest
from structlog.testing import capture_logs

from scim_api.contract.admin import Connection, ConnectionPage
from scim_operator.controller import resync
from scim_operator.controller.cache import InformerCache, WatchEvent, cached_scimtoken
from scim_operator.controller.controller import Controller
from scim_operator.controller.resync import Resync
from scim_operator.metrics import Metrics
from scim_operator.planning.ports import Key, KubernetesRejected, ScimApiUnreachable
from scim_operator.settings import load

NOW = datetime(2030, 1, 1, tzinfo=UTC)


class Api:
    """The admin API's pages, or its absence."""

    def __init__(self, names: Iterable[str] | None) -> None:
        self.names = names

    async def page(self, *, after: str | None, limit: int) -> ConnectionPage:
        if self.names is None:
            raise ScimApiUnreachable("the SCIM API did not answer")
        items = tuple(
            Connection(namespace="ns", name=name, exists=True, revision="1", now=NOW) for name in self.names
        )
        return ConnectionPage(now=NOW, items=items)


class Planned(Controller):
    """Writes down what it is asked to look at, and looks at nothing."""

    def __init__(self) -> None:
        self.asked: dict[Key, float] = {}

    def add(self, key: Key, delay: float = 0.0) -> None:
        self.asked[key] = delay


def token(name: str, generation: int = 1) -> dict[str, Any]:
    """A ScimToken as the API server has it."""
    return {"metadata": {"namespace": "ns", "name": name, "uid": f"uid-{name}", "generation": generation}}


class Case:
    """One leader's resync over given tokens and connections."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, tokens: list[dict[str, Any]], names: list[str] | None
    ) -> None:
        async def listed(*_: Any) -> AsyncIterator[dict[str, Any]]:
            for item in tokens:
                yield item

        monkeypatch.setattr(resync, "list_scimtokens", listed)
        self.api, self.scheduler, self.known, self.metrics = Api(names), Planned(), InformerCache(), Metrics()
        settings = load(
            endpoint_url="https://scim.example.com/scim/v2", admin_url="http://unused:1", resync_seconds=0.01
        )
        self._resync = Resync(
            None,  # type: ignore[arg-type]
            settings,
            cache=self.known,
            controller=self.scheduler,
            metrics=self.metrics,
        )

    async def once(self) -> list[Any]:
        """Run until the first comparison is done; the log of it."""
        return await self.rounds(1)

    async def rounds(self, count: int) -> list[Any]:
        """Run until so many comparisons have begun and the last one is done."""
        begun = 0
        enough = asyncio.Event()

        async def upkeep() -> None:
            nonlocal begun
            begun += 1
            if begun > count:
                enough.set()
                await asyncio.Event().wait()

        with capture_logs() as logs:
            task = asyncio.create_task(self._resync.run(self.api, upkeep))  # type: ignore[arg-type]
            async with asyncio.timeout(10):
                await enough.wait()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        return list(logs)


async def test_a_new_leader_looks_at_every_token(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(monkeypatch, [token("a"), token("b")], ["a", "b"])
    await case.once()
    assert set(case.scheduler.asked) == {Key("ns", "a"), Key("ns", "b")}
    assert len(case.known) == 2


async def test_a_connection_without_a_token_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(monkeypatch, [], ["left-over"])
    await case.once()
    assert case.scheduler.asked == {Key("ns", "left-over"): 0}
    assert b"scim_operator_orphaned_connections_not_revoked 0.0" in case.metrics.render()


async def test_many_connections_without_tokens_are_left_alone_and_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    case = Case(monkeypatch, [token("a")], ["a", *(f"gone-{n}" for n in range(6))])
    logs = await case.once()
    assert set(case.scheduler.asked) == {Key("ns", "a")}
    assert any(entry["event"].startswith("orphan limit exceeded") and entry["orphans"] == 6 for entry in logs)
    assert b"scim_operator_orphaned_connections_not_revoked 6.0" in case.metrics.render()


async def test_tokens_that_vanished_while_known_are_under_the_brake_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = [f"t{n}" for n in range(10)]
    case = Case(monkeypatch, [], names)
    for name in names:
        case.known.apply(WatchEvent(cached_scimtoken(token(name))))
    await case.once()
    assert case.scheduler.asked == {}


async def test_without_the_api_the_tokens_are_still_looked_at_and_it_is_said_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    case = Case(monkeypatch, [token("a")], None)
    monkeypatch.setattr(resync, "_RETRY_SECONDS", 0.01)
    logs = await case.rounds(3)
    assert set(case.scheduler.asked) == {Key("ns", "a")}
    assert [entry["log_level"] for entry in logs].count("warning") == 1


@pytest.mark.parametrize(
    "trouble", [OSError("gone for a moment"), KubernetesRejected("403 before roles are known")]
)
async def test_trouble_with_kubernetes_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    case = Case(monkeypatch, [token("a")], ["a"])
    monkeypatch.setattr(resync, "_RETRY_SECONDS", 0.01)
    calls = 0

    async def flaky(*_: Any) -> AsyncIterator[dict[str, Any]]:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise trouble
        yield token("a")

    monkeypatch.setattr(resync, "list_scimtokens", flaky)
    await case.rounds(2)
    assert set(case.scheduler.asked) == {Key("ns", "a")}

"""A resync enqueues what is to be reconciled; what has no ScimToken is counted, and what is held is not enqueued."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from scim_api.contract.admin import Connection, ConnectionPage
from scim_operator.controller import resync
from scim_operator.controller.cache import InformerCache
from scim_operator.controller.controller import Controller
from scim_operator.controller.deletions import Deletions
from scim_operator.controller.resync import Resync
from scim_operator.controller.watch_events import WatchEvent, cached_scimtoken
from scim_operator.metrics import Metrics
from scim_operator.planning.deletion_limit import DeletionLimit
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


class RecordingController(Controller):
    """Records what is enqueued, and reconciles nothing."""

    def __init__(self) -> None:
        self.enqueued: dict[Key, float] = {}

    def add(self, key: Key, delay: float = 0.0) -> None:
        self.enqueued[key] = delay


def token(name: str, generation: int = 1) -> dict[str, Any]:
    """A ScimToken as the API server has it."""
    return {"metadata": {"namespace": "ns", "name": name, "uid": f"uid-{name}", "generation": generation}}


class Case:
    """One leader's resync over given tokens and connections."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        tokens: list[dict[str, Any]],
        names: list[str] | None,
        *,
        resync_seconds: float = 0.01,
        forbidden_namespaces: tuple[str, ...] = (),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        async def listed(
            _kube: object, _kind: object, _namespaces: object, forbidden: Callable[[str], None]
        ) -> AsyncIterator[dict[str, Any]]:
            for item in tokens:
                yield item
            for namespace in forbidden_namespaces:
                forbidden(namespace)

        monkeypatch.setattr(resync, "list_objects", listed)
        self.api, self.controller = Api(names), RecordingController()
        self.cache, self.metrics = InformerCache(), Metrics()
        self.deletions = Deletions(DeletionLimit(5, 20), timedelta(hours=1), now=lambda: self.now)
        self.now = NOW
        settings = load(
            endpoint_url="https://scim.example.com/scim/v2",
            admin_url="http://unused:1",
            resync_seconds=resync_seconds,
        )
        self._resync = Resync(
            None,  # type: ignore[arg-type]
            settings,
            cache=self.cache,
            controller=self.controller,
            deletions=self.deletions,
            metrics=self.metrics,
            sleep=sleep,
        )

    async def run(self, upkeep: Callable[[], Awaitable[None]]) -> None:
        await self._resync.run(self.api, upkeep)  # type: ignore[arg-type]

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
            task = asyncio.create_task(self.run(upkeep))
            async with asyncio.timeout(10):
                await enough.wait()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        return list(logs)


async def test_a_new_leader_reconciles_every_token(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(monkeypatch, [token("a"), token("b")], ["a", "b"])
    await case.once()
    assert set(case.controller.enqueued) == {Key("ns", "a"), Key("ns", "b")}
    assert len(case.cache) == 2


async def test_a_connection_without_a_token_is_reconciled(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(monkeypatch, [], ["left-over"])
    await case.once()
    assert case.controller.enqueued == {Key("ns", "left-over"): 0}
    assert not case.deletions.held


async def test_many_connections_without_tokens_are_held_reported_and_not_enqueued_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gone = [Key("ns", f"gone-{n}") for n in range(6)]
    case = Case(monkeypatch, [token("a")], ["a", *(key.name for key in gone)])
    await case.once()
    assert set(case.controller.enqueued) == {Key("ns", "a"), *gone}
    assert not case.deletions.held, "the reconcile counts, which reads the connection live"
    for key in gone:
        case.deletions.wait(key, None)
    case.now += timedelta(seconds=10)
    assert all(case.deletions.wait(key, None) for key in gone)
    assert case.deletions.held == set(gone)
    case.controller.enqueued.clear()
    logs = await case.once()
    assert not case.controller.enqueued.keys() & set(gone)
    (entry,) = (entry for entry in logs if entry["event"].startswith("deletions held"))
    assert (entry["held"], entry["connections"]) == (6, 7)


async def test_nothing_is_revoked_or_forgotten_in_a_namespace_that_could_not_be_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    case = Case(monkeypatch, [], ["a", "b"], forbidden_namespaces=("ns",))
    case.cache.apply(WatchEvent(cached_scimtoken(token("a"))))
    logs = await case.once()
    assert Key("ns", "a") in case.cache
    assert Key("ns", "b") not in case.controller.enqueued
    assert [entry["unlisted_namespaces"] for entry in logs if entry["event"] == "resync done"] == [["ns"]]


async def test_without_the_api_the_tokens_are_still_reconciled_and_it_is_logged_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    case = Case(monkeypatch, [token("a")], None)
    logs = await case.rounds(3)
    assert set(case.controller.enqueued) == {Key("ns", "a")}
    assert [entry["log_level"] for entry in logs].count("warning") == 1


@pytest.mark.parametrize(
    "failure", [OSError("gone for a moment"), KubernetesRejected("403 before roles are known")]
)
async def test_a_failure_of_kubernetes_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    case = Case(monkeypatch, [token("a")], ["a"])
    calls = 0

    async def flaky(*_: Any) -> AsyncIterator[dict[str, Any]]:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise failure
        yield token("a")

    monkeypatch.setattr(resync, "list_objects", flaky)
    await case.rounds(2)
    assert set(case.controller.enqueued) == {Key("ns", "a")}


async def test_pauses_grow_while_the_api_is_away_and_the_period_returns_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 8:
            case.api.names = ["a"]
        if len(pauses) == 10:
            raise asyncio.CancelledError

    case = Case(monkeypatch, [token("a")], None, resync_seconds=600, sleep=sleep)
    with pytest.raises(asyncio.CancelledError):
        await case.run(_nothing)
    failed, succeeded = pauses[:8], pauses[8:]
    for pause, full in zip(failed, (1, 2, 4, 8, 16, 20, 20, 20), strict=True):
        assert full / 2 <= pause <= full
    assert succeeded == [600, 600]


async def _nothing() -> None:
    pass

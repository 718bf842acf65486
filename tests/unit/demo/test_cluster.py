"""The first way to a Kubernetes that is open, and what is told of those that are not."""

from collections.abc import Callable
from pathlib import Path

import pytest

from demo import cluster
from demo.cluster import Way, first_open, left_in, start
from localcluster import ClusterError, Tools, envtest
from localcluster.cache import Say
from localcluster.cluster import Cluster
from localcluster.errors import Unavailable
from localcluster.essentials import Cached

WAYS = list(Way)


def opened(way: Way, tried: list[Way], closed: set[Way]) -> Callable[[], Way]:
    def attempt() -> Way:
        tried.append(way)
        if way in closed:
            raise Unavailable(f"there is no {way.name}")
        return way

    return attempt


@pytest.mark.parametrize("number", range(len(WAYS)))
def test_the_first_that_is_open_is_taken_and_each_before_it_is_told(number: int) -> None:
    tried: list[Way] = []
    said: list[str] = []
    closed = set(WAYS[:number])
    assert first_open([(way, opened(way, tried, closed)) for way in WAYS], said.append) == WAYS[number]
    assert tried == WAYS[: number + 1]
    wanted = [
        "Kubernetes is not cached: there is no CACHED",
        "Kubernetes is not on kind: there is no KIND",
        "Kubernetes is not downloaded: there is no DOWNLOAD",
    ]
    assert said == wanted[:number]


def test_when_none_is_open_the_last_reason_is_raised() -> None:
    with pytest.raises(Unavailable, match="there is no BUILD"):
        first_open([(way, opened(way, [], set(WAYS))) for way in WAYS], lambda _: None)


def test_what_goes_wrong_on_a_way_that_is_open_leads_to_no_other() -> None:
    def broken() -> Way:
        raise ClusterError("etcd ended at once")

    with pytest.raises(ClusterError, match="etcd ended"):
        first_open([(Way.CACHED, broken), (Way.BUILD, lambda: Way.BUILD)], lambda _: None)


class Never(Cluster):
    """One that is not started."""

    authority = b""

    def __init__(self, tools: Tools) -> None:
        super().__init__(tools, tools.directory, "", has_controllers=False)

    def close(self) -> None:
        """There is nothing to end."""


class How:
    """Starts what says where it is from."""

    def local(self, tools: Tools) -> Cluster:
        return Never(tools)

    def kind(self, say: Say) -> Cluster:
        say("kind makes it")
        return Never(Tools(Path("of-kind")))


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """On which each way is open."""
    monkeypatch.setattr(
        cluster, "find_cached", lambda: Cached(Tools(Path("cached")), "v1.37.2", "built before")
    )
    monkeypatch.setattr(cluster, "check_kind", lambda: None)
    monkeypatch.setattr(envtest, "download", lambda *_: Tools(Path("downloaded")))
    monkeypatch.setattr(cluster, "build_essentials", lambda _: Tools(Path("built")))


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("only", "origin", "told"),
    [
        (None, "cached", "Kubernetes v1.37.2 is cached: built before"),
        (Way.CACHED, "cached", "Kubernetes v1.37.2 is cached: built before"),
        (Way.KIND, "of-kind", "Kubernetes is to be kind's"),
        (Way.DOWNLOAD, "downloaded", "is downloaded, and is what is pinned"),
        (Way.BUILD, "built", "Kubernetes is built from its Go modules"),
    ],
)
def test_a_way_that_is_asked_for_is_taken_alone(only: Way | None, origin: str, told: str) -> None:
    said: list[str] = []
    assert start(How(), said.append, only).tools.directory == Path(origin)
    assert told in said[0]


@pytest.mark.usefixtures("machine")
def test_a_way_that_is_asked_for_and_is_not_open_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "find_cached", lambda: None)
    with pytest.raises(Unavailable, match="none of this checkout's version"):
        start(How(), lambda _: None, Way.CACHED)


@pytest.mark.usefixtures("machine")
def test_a_wrong_checksum_is_told_and_the_build_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*_: object) -> Tools:
        raise Unavailable("WRONG CHECKSUM: expected a, found b")

    monkeypatch.setattr(cluster, "find_cached", lambda: None)
    monkeypatch.setattr(envtest, "download", wrong)
    said: list[str] = []

    class WithoutKind(How):
        def kind(self, say: Say) -> Cluster:
            raise Unavailable("kind made no cluster: failed to pull image")

    assert start(WithoutKind(), said.append).tools.directory == Path("built")
    assert "Kubernetes is not on kind: kind made no cluster: failed to pull image" in said
    assert "Kubernetes is not downloaded: WRONG CHECKSUM: expected a, found b" in said


def test_where_nothing_was_left_there_is_nothing_to_end(tmp_path: Path) -> None:
    assert left_in(tmp_path) is None
    assert left_in(tmp_path / "none") is None

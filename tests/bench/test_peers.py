"""Other servers: what has to be there for them, when they are built, and that what they can't do is checked."""

import asyncio
import dataclasses
import shutil
from pathlib import Path
from typing import Any

import orjson
import pytest

from bench import peers
from bench.compare import chosen
from bench.load import Client, Exchange
from bench.population import user_name
from bench.workloads import Asked, check

GO = peers.ALL["elimity-com/scim"]
JAVA = peers.ALL["Apache SCIMple"]


def without_programs(monkeypatch: pytest.MonkeyPatch, *missing: str) -> None:
    found = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name in missing else found(name))


def test_a_missing_toolchain_is_named_with_what_to_install_and_how_to_leave_the_peer_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without_programs(monkeypatch, "java", "javac", "mvn", "go")

    with pytest.raises(SystemExit) as stopped:
        chosen((JAVA.name, GO.name, "ours, SQLite"))

    java, go = str(stopped.value).splitlines()
    assert java == (
        "Apache SCIMple needs a JDK of 17 or newer and Maven: install it, or leave Apache SCIMple out: "
        """make bench ARGS="--without 'Apache SCIMple'\""""
    )
    assert go.startswith("elimity-com/scim needs Go 1.26 or newer: install it, or leave")


def test_a_peer_that_is_left_out_needs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    without_programs(monkeypatch, "java", "javac", "mvn")

    assert chosen((JAVA.name, "ours, SQLite"), without=(JAVA.name,)) == ["ours, SQLite"]


@pytest.fixture
def peer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> peers.Peer:
    """One that counts in the file ``builds`` how often it is built."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(peers, "_HERE", tmp_path)
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "main").write_text("1")
    return peers.Peer(
        "one",
        lambda _: (),
        folder="sources",
        build=("sh", "-c", f"cp main server; echo >> {tmp_path}/builds"),
    )


def test_a_peer_is_built_once_for_each_content_of_its_sources(peer: peers.Peer, tmp_path: Path) -> None:
    first = peers.built(peer)
    assert peers.built(peer) == first
    assert len((tmp_path / "builds").read_text()) == 1
    (tmp_path / "sources" / "main").write_text("2")

    second = peers.built(peer)

    assert (second / "server").read_text() == "2"
    assert [second] == list(second.parent.iterdir())  # Neither what it was built to before, nor a part.


def test_a_build_that_fails_is_told_with_its_output_and_leaves_nothing(peer: peers.Peer) -> None:
    broken = dataclasses.replace(peer, build=("sh", "-c", "echo no such library; exit 3"))

    with pytest.raises(SystemExit, match=r"(?s)no such library.*--without 'one'"):
        peers.built(broken)

    assert (peers.built(peer) / "server").exists()


class Server(Client):
    """Answers as one that keeps people in memory; ``by_email`` is what it finds by a work e-mail."""

    def __init__(self, by_email: dict[str, Any]) -> None:
        super().__init__("", 0)
        self._by_email = by_email
        self._patched = False

    async def once(self, exchange: Exchange) -> bytes:
        """An answer."""
        target = exchange.request.split(b" ")[1].decode()
        one = {"id": "1", "userName": user_name(1), "displayName": "Person 1 in turn 7"}
        if "emails" in target:
            return orjson.dumps(self._by_email)
        if "nobody" in target:
            return orjson.dumps({"totalResults": 0})
        if exchange.request.startswith(b"POST"):
            return orjson.dumps({"id": "new"})
        if "filter=" in target:
            who = "1" if "person.1%40" in target else "new"
            return orjson.dumps({"Resources": [{**one, "id": who}]})
        if "count=" in target:
            return orjson.dumps({"Resources": [one, one], "totalResults": 2})
        return orjson.dumps(one)


@pytest.mark.parametrize(
    "answer", [{"status": "400"}, {"totalResults": 0}, {"Resources": [{"id": "0"}, {"id": "1"}]}]
)
def test_what_a_server_refuses_or_misunderstands_is_what_it_is_said_to(answer: dict[str, Any]) -> None:
    asked = Asked("none", str, 2, cannot={"filter e-mail": "it has no value paths"})

    asyncio.run(check(Server(answer), asked))

    with pytest.raises(AssertionError):
        asyncio.run(check(Server({"Resources": [], **answer}), dataclasses.replace(asked, cannot={})))


def test_a_server_that_can_do_what_it_is_said_not_to_is_refused() -> None:
    asked = Asked("none", str, 2, cannot={"filter e-mail": "it has no value paths"})

    with pytest.raises(AssertionError, match="filter e-mail"):
        asyncio.run(check(Server({"Resources": [{"id": "1"}]}), asked))

"""Only what is pinned is unpacked, within bounds, and from a real server."""

import dataclasses
import hashlib
import http.server
import io
import socket
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from localcluster import envtest
from localcluster.cache import cache_root
from localcluster.envtest import MEMBERS, Archive, Limits, download, find, pinned, unpack
from localcluster.errors import Unavailable
from localcluster.ports import free_port
from localcluster.projects import KUBECTL
from support.loopback_server import serving

LIMITS = Limits(connect=30, answer=30, read=30, whole=60, archive=100_000, member=10_000)
Handler = http.server.BaseHTTPRequestHandler
Answer = Callable[[Handler], None]


def packed(members: dict[str, bytes]) -> bytes:
    """A .tar.gz with these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


GOOD = packed({member: name.encode() for member, name in MEMBERS.items()})


class Server:
    """What is at /archive, and the requests that came."""

    def __init__(self) -> None:
        self.answer: Answer = whole(GOOD)
        self.paths: list[str] = []
        self.closed = threading.Event()
        self.port = 0

    def archive(self, content: bytes = GOOD, path: str = "/archive") -> Archive:
        return Archive(f"http://127.0.0.1:{self.port}{path}", hashlib.sha512(content).hexdigest())


class Handle(Handler):
    """Answers as its server's owner says."""

    def do_GET(self) -> None:
        server: Server = self.server.owner  # type: ignore[attr-defined]
        server.paths.append(self.path)
        if self.path == "/elsewhere":
            self.send_response(302)
            self.send_header("location", "/archive")
            self.end_headers()
            return
        server.answer(self)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def whole(content: bytes, length: int | None = None) -> Answer:
    def answer(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("content-length", str(len(content) if length is None else length))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def status(code: int) -> Answer:
    return lambda handler: handler.send_error(code)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    made = Server()
    with serving(Handle, made) as made.port:
        yield made
        made.closed.set()


def kept() -> list[str]:
    """Directories in the cache."""
    return [path.name for path in cache_root().iterdir() if path.is_dir()]


def refusal(archive: Archive, limits: Limits = LIMITS) -> str:
    """Why it is refused, in one line; nothing of it is left."""
    with pytest.raises(Unavailable) as refused:
        download(archive, lambda _: None, limits)
    assert kept() == []
    assert find(archive) is None
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_its_binaries_can_be_run_and_are_found_again(server: Server) -> None:
    said: list[str] = []
    archive = server.archive()
    tools = download(archive, said.append, LIMITS)
    for name in MEMBERS.values():
        assert Path(tools.path(name)).read_bytes() == name.encode()
        assert Path(tools.path(name)).stat().st_mode & 0o777 == 0o755
    assert not tools.has("kube-controller-manager")
    assert said == [f"downloading {archive.url}"]
    assert find(archive) == tools
    assert download(archive, said.append, LIMITS) == tools
    assert server.paths == ["/archive"]


def test_a_redirect_is_followed(server: Server) -> None:
    assert download(server.archive(path="/elsewhere"), lambda _: None, LIMITS).has("etcd")
    assert server.paths == ["/elsewhere", "/archive"]


def test_what_is_not_pinned_is_deleted_and_both_sums_are_told(server: Server) -> None:
    pinned_for = server.archive(b"another")
    told = refusal(pinned_for)
    assert told.startswith("WRONG CHECKSUM")
    assert f"expected {pinned_for.sha512}, found {hashlib.sha512(GOOD).hexdigest()}" in told


def test_what_is_not_pinned_is_not_even_unpacked(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envtest, "unpack", lambda *_: pytest.fail("unpacked"))
    refusal(server.archive(b"another"))


def test_an_answer_without_an_archive_is_told(server: Server) -> None:
    server.answer = status(404)
    assert refusal(server.archive()) == "127.0.0.1 answers 404"


def test_nobody_who_listens_costs_no_time(server: Server) -> None:
    began = time.monotonic()
    archive = dataclasses.replace(server.archive(), url=f"http://127.0.0.1:{free_port()}/")
    assert "refused" in refusal(archive)
    assert time.monotonic() - began < LIMITS.answer


def test_names_that_are_looked_up_for_ever_are_given_up(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: server.closed.wait(20) and [])
    told = refusal(server.archive(), dataclasses.replace(LIMITS, answer=0.2))
    assert told == "127.0.0.1 did not answer in 0.2 s"


def test_a_server_that_says_nothing_is_given_up(server: Server) -> None:
    def answer(_: Handler) -> None:
        server.closed.wait(20)

    server.answer = answer
    assert "did not answer in 0.2 s" in refusal(server.archive(), dataclasses.replace(LIMITS, answer=0.2))


def test_a_server_that_stops_in_the_middle_is_given_up(server: Server) -> None:
    def answer(handler: Handler) -> None:
        whole(GOOD[:50], len(GOOD))(handler)
        server.closed.wait(20)

    server.answer = answer
    assert "timed out" in refusal(server.archive(), dataclasses.replace(LIMITS, read=0.2))


def test_one_that_drips_is_bounded_as_a_whole(server: Server) -> None:
    def answer(handler: Handler) -> None:
        whole(b"", len(GOOD))(handler)
        for byte in GOOD:
            handler.wfile.write(bytes([byte]))
            if server.closed.wait(0.2):
                return

    server.answer = answer
    began = time.monotonic()
    assert "bytes in 0.3 s, and not all" in refusal(server.archive(), dataclasses.replace(LIMITS, whole=0.3))
    assert time.monotonic() - began < 0.2 * len(GOOD)


def test_a_long_one_says_that_it_goes_on(server: Server) -> None:
    shown = threading.Event()

    def answer(handler: Handler) -> None:
        whole(GOOD[:50], len(GOOD))(handler)
        shown.wait(20)
        handler.wfile.write(GOOD[50:])

    def say(line: str) -> None:
        if line.startswith("  0 MB, "):
            shown.set()

    server.answer = answer
    assert download(server.archive(), say, dataclasses.replace(LIMITS, heartbeat=0.1)).has("etcd")
    assert shown.is_set()


def test_one_that_is_cut_off_is_refused(server: Server) -> None:
    server.answer = whole(GOOD[:50], len(GOOD))
    assert "without sending complete message body" in refusal(server.archive())


def test_one_that_is_too_large_is_not_read_to_its_end(server: Server) -> None:
    def answer(handler: Handler) -> None:
        whole(bytes(150_000), 1_000_000)(handler)
        server.closed.wait(20)

    server.answer = answer
    assert "more than 100000 bytes" in refusal(server.archive())


def test_it_goes_through_the_proxy_of_the_environment(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.port}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    archive = dataclasses.replace(server.archive(), url="http://releases.example.test/archive")
    assert download(archive, lambda _: None, LIMITS).has("kubectl")
    assert server.paths == ["http://releases.example.test/archive"]


def test_a_proxy_of_an_unknown_kind_is_told(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "gopher://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    archive = dataclasses.replace(server.archive(), url="http://releases.example.test/archive")
    assert "gopher" in refusal(archive)


def test_a_name_that_leads_out_of_the_archive_is_not_written(tmp_path: Path) -> None:
    others = {
        "../outside": b"x",
        "/tmp/outside": b"x",
        "controller-tools/envtest/../../etcd": b"x",
        "etcd": b"x",
    }
    file = tmp_path / "archive.tar.gz"
    file.write_bytes(packed({**others, **dict.fromkeys(MEMBERS, b"ours")}))
    (tmp_path / "in").mkdir()
    unpack(file, tmp_path / "in" / "bin")
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [
        "archive.tar.gz", "etcd", "kube-apiserver", "kubectl",
    ]  # fmt: skip
    assert (tmp_path / "in/bin/etcd").read_bytes() == b"ours"


def test_a_link_in_the_place_of_a_binary_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "archive.tar.gz"
    with tarfile.open(file, "w:gz") as archive:
        member = tarfile.TarInfo("controller-tools/envtest/etcd")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
    with pytest.raises(Unavailable, match="no ordinary file"):
        unpack(file, tmp_path / "bin")


def test_a_binary_that_is_too_large_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "archive.tar.gz"
    file.write_bytes(packed({"controller-tools/envtest/etcd": bytes(20_000)}))
    with pytest.raises(Unavailable, match="at most 10000 bytes"):
        unpack(file, tmp_path / "bin", LIMITS)


@pytest.mark.parametrize(
    ("content", "told"),
    [(packed({"controller-tools/envtest/etcd": b"x"}), "lacks .*kubectl"), (b"no archive", "can't be unpacked"),
     (GOOD[:60], "can't be unpacked")],
    ids=["without kubectl", "no archive", "half of one"],
)  # fmt: skip
def test_what_is_not_such_an_archive_is_told(tmp_path: Path, content: bytes, told: str) -> None:
    file = tmp_path / "archive.tar.gz"
    file.write_bytes(content)
    with pytest.raises(Unavailable, match=told):
        unpack(file, tmp_path / "bin")


@pytest.mark.parametrize(("machine", "architecture"), [("x86_64", "amd64"), ("aarch64", "arm64")])
def test_each_machine_has_its_own(machine: str, architecture: str) -> None:
    archive = pinned(machine)
    assert archive.url.endswith(f"/envtest-{archive.version}-linux-{architecture}.tar.gz")
    assert len(bytes.fromhex(archive.sha512)) == hashlib.sha512().digest_size
    assert pinned("x86_64").directory != pinned("aarch64").directory


def test_another_machine_is_told() -> None:
    with pytest.raises(Unavailable, match="no archive for riscv64"):
        pinned("riscv64")


def test_it_is_of_the_same_minor_version_as_what_is_built() -> None:
    assert envtest.VERSION.rpartition(".")[0] == KUBECTL.version.rpartition(".")[0]

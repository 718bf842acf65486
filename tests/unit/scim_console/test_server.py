"""The server as a browser meets it: on this machine alone, with the address that it printed."""

import socket
import threading
import urllib.error
import urllib.request
from http.cookiejar import CookieJar

import pytest

from scim_console import server
from support.played_source import PlayedSource, token


def test_a_port_that_is_taken_is_said_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(server.PortInUse, match=f"port {port} .*leave --port out"):
            server.serve(PlayedSource(), port, print, None)


def test_it_listens_on_this_machine_alone_and_ends_what_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[server._Server] = []
    ended = threading.Event()
    addresses: list[str] = []
    looked = threading.Event()
    monkeypatch.setattr(server._Server, "install_signal_handlers", lambda self: None, raising=False)

    def look(url: str) -> None:
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        with browser.open(url, timeout=10) as page:
            addresses.append(page.geturl())
            assert "server" not in page.headers
            assert b"entra" in page.read()
        with browser.open(page.geturl() + "live", timeout=10) as events:
            assert events.readline() == b"event: changed\n"
            looked.set()
            events.read()  # to the end, which is the server's
            ended.set()

    class Kept(server._Server):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments)  # type: ignore[arg-type]
            started.append(self)

    monkeypatch.setattr(server, "_Server", Kept)
    source = PlayedSource(token())
    source.changes = lambda stop: iter([None] if not stop.wait(0) else [])
    urls: list[str] = []
    serving = threading.Thread(target=server.serve, args=(source, 0, urls.append, look))
    serving.start()
    try:
        assert looked.wait(10)
    finally:
        started[0].handle_exit(2, None)
        serving.join(10)
    assert not serving.is_alive()
    assert ended.wait(10), "the stream was cut off"
    assert addresses == [urls[0].partition("/open?key=")[0] + "/"]
    assert urls[0].startswith("http://127.0.0.1:")

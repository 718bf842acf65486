"""``kubectl scim console`` as a process, and the browser that it was opened in."""

import contextlib
import re
import signal
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from http.client import HTTPResponse
from http.cookiejar import CookieJar

from scim_console.access import PATH
from scim_console.guard import CSRF


class OpenedConsole:
    """What its pages ask.

    Args:
        url: that it printed.
    """

    def __init__(self, url: str) -> None:
        self._root = url.partition(PATH)[0]
        self._browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        page = self._read(urllib.request.Request(url))
        found = re.search('name="csrf" content="([^"]+)"', page)
        assert found is not None
        self._csrf = found[1]

    def get(self, path: str) -> str:
        return self._read(urllib.request.Request(self._root + path))

    def post(self, path: str) -> str:
        return self._read(
            urllib.request.Request(self._root + path, headers={CSRF: self._csrf}, method="POST")
        )

    def open(self, path: str) -> HTTPResponse:
        """What goes on."""
        answer: HTTPResponse = self._browser.open(self._root + path, timeout=60)
        return answer

    def _read(self, request: urllib.request.Request) -> str:
        with self._browser.open(request, timeout=60) as answer:
            return str(answer.read().decode())


@contextlib.contextmanager
def opened(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[OpenedConsole]:
    """The console, until the block ends; it has to end by itself then, as after Ctrl-C."""
    process = subprocess.Popen(
        [*command, "--no-browser"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield OpenedConsole(process.stdout.readline().strip())
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
        assert said == "This address opens the console once; Ctrl-C ends it.\n"
    finally:
        process.kill()
        process.communicate()

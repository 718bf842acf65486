"""What tests of fetching keys ask: a server that publishes some, from a machine without an egress proxy."""

from collections.abc import Iterator

import pytest

from support.key_fetching import ISSUER
from support.key_server import KeyServer


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "ALL_PROXY", "HTTP_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def server() -> Iterator[KeyServer]:
    with KeyServer(ISSUER.key_set()).serving() as place:
        yield place

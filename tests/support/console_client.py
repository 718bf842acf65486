"""A console over a played source, and the browser that opened it."""

import re
from datetime import datetime
from typing import Final

from starlette.testclient import TestClient

from scim_console.access import Access
from scim_console.app import create_app
from scim_console.model import Source
from support.played_source import NOW

PORT: Final = 4711
HOST: Final = f"127.0.0.1:{PORT}"


def stranger(source: Source, access: Access | None = None, now: datetime = NOW) -> TestClient:
    """Somebody who has no session."""
    app = create_app(source, access or Access(PORT), lambda: now)
    app.warm()
    return TestClient(
        app.asgi, base_url=f"http://{HOST}", follow_redirects=False, raise_server_exceptions=False
    )


def browser(source: Source, now: datetime = NOW) -> TestClient:
    """Who opened it."""
    access = Access(PORT)
    client = stranger(source, access, now)
    assert client.get(access.url).status_code == 303
    return client


def csrf(client: TestClient) -> str:
    """What its pages send along with a POST."""
    found = re.search('name="csrf" content="([^"]+)"', client.get("/").text)
    assert found is not None
    return found[1]

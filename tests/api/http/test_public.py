"""Which endpoint a path leads to, and what the public port does without."""

import asyncio
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, cast

import pytest

from api.conftest import Scim
from scim_api.contract.oauth import TOKEN_PATH
from scim_api.http.endpoint import ScimEndpoint
from scim_api.http.public import Router, public_app


class Endpoint:
    """Notes its name and the id of the path."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        scope["reached"] = (self.name, scope.get("path_params", {}).get("id"))


@pytest.mark.parametrize(
    ("path", "reached"),
    [
        ("/v2", ("base", None)),
        ("/v2/Things", ("things", None)),
        ("/v2/Things/.search", ("search", None)),
        ("/v2/Things/1", ("thing", "1")),
        ("/v2/Things/{id}", ("thing", "{id}")),
        ("/v2/Things/", ("nothing", None)),
        ("/v2/Things/1/2", ("nothing", None)),
        ("/v2/things", ("nothing", None)),
        ("/v2/Others/1", ("nothing", None)),
        ("/", ("nothing", None)),
        ("", ("nothing", None)),
    ],
)
async def test_a_path_of_its_own_comes_before_one_with_an_id(path: str, reached: object) -> None:
    endpoints = {
        "/v2": Endpoint("base"),
        "/v2/Things/{id}": Endpoint("thing"),
        "/v2/Things": Endpoint("things"),
        "/v2/Things/.search": Endpoint("search"),
    }
    scope: dict[str, Any] = {"type": "http", "path": path}
    router = Router(cast("Mapping[str, ScimEndpoint]", endpoints), Endpoint("nothing"))
    await router(scope, cast("Any", None), cast("Any", None))
    assert scope["reached"] == reached


@pytest.mark.parametrize("path", ["/Schemas/{id}", "/ResourceTypes/{id}", "/Users/{id}", "/Groups/{id}"])
async def test_a_template_is_an_id_as_any_other(scim: Scim, entra: dict[str, str], path: str) -> None:
    assert (await scim.client.get(path, headers=entra)).status_code == 404


def imported_by(statement: str) -> set[str]:
    """The modules that a new interpreter has imported after a statement."""
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    return set(done.stdout.split())


def test_the_public_port_needs_no_web_framework() -> None:
    modules = imported_by("import scim_api.cli.main, scim_api.server.serve, scim_api.http.public")
    assert "scim_api.http.public" in modules
    assert not {"fastapi", "starlette.routing", "starlette.requests", "anyio"} & modules
    assert "fastapi" in imported_by("import scim_api.http.internal")


ASKED_ONCE: str = """
import asyncio, sys
from types import SimpleNamespace
from scim_api.http.public import public_app
app = public_app(SimpleNamespace(base_url="https://scim.test/scim/v2", group_body=1, store=SimpleNamespace(immediate=None)))
assert "fastapi" not in sys.modules
scope = {"type": "http", "method": "GET", "path": "/scim/v3", "headers": [], "query_string": b""}
async def receive():
    return {"type": "http.request", "body": b"", "more_body": False}
async def send(message):
    pass
asyncio.run(app(scope, receive, send))
"""


def test_what_is_asked_for_but_tokens_needs_no_web_framework_either() -> None:
    modules = imported_by(ASKED_ONCE)
    assert "scim_api.http.oauth.assertion" in modules
    assert not {"fastapi", "starlette.routing", "scim_api.http.oauth.token_endpoint"} & modules


async def test_whoever_asks_first_for_a_token_shares_the_endpoint_with_whoever_asks_meanwhile(
    scim: Scim, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        scope["reached"] = app

    def make(*arguments: object) -> Any:
        made.append(arguments)
        return app

    monkeypatch.setattr("scim_api.http.oauth.token_endpoint.token_app", make)
    verifier = cast("Any", object())
    public = public_app(scim.service, assertions=lambda: verifier)
    scopes: list[dict[str, Any]] = [{"type": "http", "path": TOKEN_PATH} for _ in range(5)]
    await asyncio.gather(*(public(scope, cast("Any", None), cast("Any", None)) for scope in scopes))
    assert [scope["reached"] for scope in scopes] == [app] * 5
    assert made == [(scim.service, verifier)]

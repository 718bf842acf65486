"""Each supported PostgreSQL, beside the newest that all other tests run on: Entra's cycles, and the feed of changes.

``make test-postgres VERSION=15`` runs every test of PostgreSQL on one of them.
"""

from collections.abc import Iterator

import asyncpg
import httpx
import pytest

from entra_standin.__main__ import play
from entra_standin.client import EntraClient
from entra_standin.dialects import Dialect
from support.postgres import PostgresServer, own_server
from support.postgres_versions import ALL, NEWEST
from support.scim_service import ScimService, service_on


@pytest.fixture(scope="module", params=[version for version in ALL if version != NEWEST])
def version(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture(scope="module")
def server(version: str) -> Iterator[PostgresServer]:
    with own_server(version=version) as server:
        yield server


@pytest.fixture(scope="module")
def service(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScimService]:
    with service_on("postgresql", tmp_path_factory.mktemp("service"), server) as service:
        yield service


async def test_it_is_this_version(server: PostgresServer, version: str) -> None:
    connection = await asyncpg.connect(server.url)
    try:
        assert str(connection.get_server_version().major) == version
    finally:
        await connection.close()


@pytest.mark.parametrize("dialect", list(Dialect))
def test_entra_plays_all_its_cycles(service: ScimService, dialect: Dialect) -> None:
    endpoint = service.connect(f"cycles-{dialect.name.lower().replace('_', '-')}")
    lines: list[str] = []
    with EntraClient(endpoint.url, endpoint.token, dialect) as client:
        assert play(client, lines.append), "\n".join(lines)


def test_who_follows_the_changes_hears_of_everybody(service: ScimService) -> None:
    endpoint = service.connect("followed")
    with EntraClient(endpoint.url, endpoint.token) as client:
        assert play(client, lambda _line: None)
    feed = endpoint.url.replace("/scim/v2", "/changes/v1")
    answer = httpx.get(
        feed, params={"limit": 1000}, headers={"authorization": f"Bearer {endpoint.token}"}, trust_env=False
    ).json()
    assert not answer["hasMore"]
    assert sum(change["type"] == "user.created" for change in answer["changes"]) == 6
    assert any(change["type"] == "group.member_added" for change in answer["changes"])

"""The service through a real PgBouncer, whose sessions change from one transaction to the next."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from api.store.postgres.test_read_only import UNLIMITED, served
from scim_api.store.errors import TransferRefused, Unavailable
from scim_api.store.factory import create_store
from scim_api.store.migrate import REQUIRED_VERSION, migrate
from scim_api.store.postgres.connecting import Connector, Session
from scim_api.store.postgres.transfer import PostgresTransferDatabase
from support.pgbouncer import pgbouncer
from support.postgres import own_server

Person = Callable[..., dict[str, Any]]
SETTINGS = {"application_name": "scim-api", "statement_timeout": "700", "enable_seqscan": "off"}


@pytest.fixture(params=["transaction", "session"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with own_server() as server:
        assert server.own is not None
        sessions = 3 if request.param == "transaction" else 20
        with pgbouncer(server.own, request.param, sessions) as through:
            yield f"{through}&pgbouncer=true"


async def test_it_migrates_and_serves_users_groups_and_searches_at_once(
    url: str, tmp_path: Path, person: Person
) -> None:
    assert await migrate(url) == REQUIRED_VERSION
    assert await migrate(url) == REQUIRED_VERSION
    async with served(url, tmp_path) as scim:
        headers = await scim.connect(rateLimit=UNLIMITED)
        assert (await scim.admin.get("/readyz")).status_code == 200

        async def live(number: int) -> None:
            made = await scim.client.post("/Users", json=person(f"p{number}"), headers=headers)
            assert made.status_code == 201
            place = f"/Users/{made.json()['id']}"
            found = await scim.client.get(
                f'/Users?filter=userName eq "p{number}@contoso.com"', headers=headers
            )
            assert found.json()["totalResults"] == 1
            change = {
                "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
                "Operations": [{"op": "replace", "path": "title", "value": f"t{number}"}],
            }
            assert (await scim.client.patch(place, json=change, headers=headers)).status_code == 200
            assert (await scim.client.get(place, headers=headers)).json()["title"] == f"t{number}"
            group = {"displayName": f"g{number}", "members": [{"value": made.json()["id"]}]}
            schemas = ["urn:ietf:params:scim:schemas:core:2.0:Group"]
            group = {"schemas": schemas, **group}
            assert (await scim.client.post("/Groups", json=group, headers=headers)).status_code == 201
            searched = await scim.client.get(f'/Users?filter=title eq "t{number}"', headers=headers)
            assert searched.json()["totalResults"] == 1
            assert (await scim.client.delete(place, headers=headers)).status_code == 204

        await asyncio.gather(*(live(number) for number in range(24)))
        await scim.service.authenticator.write_uses()
        [connection] = (await scim.service.store.connections(after=None, limit=10)).items
        assert connection.credentials[0].last_used_at is not None


async def test_each_transaction_has_the_settings_and_no_session_keeps_them(url: str) -> None:
    connect = Connector(url, Session(SETTINGS, 5.0))
    connection = await connect()
    assert await connection.fetchval("SHOW statement_timeout") == "700ms"
    async with connection.transaction():
        assert await connection.fetchval("SHOW enable_seqscan") == "off"
    with pytest.raises(Exception, match="statement timeout"):
        await connection.fetch("SELECT pg_sleep(5)")
    assert await connection.fetchval("SELECT 1") == 1
    await connection.close()

    plain = await Connector(url, Session({"application_name": "other"}, 5.0))()
    assert await plain.fetchval("SHOW statement_timeout") == "0"
    await plain.close()


async def test_clients_that_share_few_sessions_get_the_answers_to_their_own_statements(url: str) -> None:
    async def client(number: int) -> None:
        connection = await Connector(url, Session(SETTINGS, 5.0))()
        for turn in range(30):
            sql = f"SELECT $1::bigint + {number} * 1000"
            assert await connection.fetchval(sql, turn) == turn + number * 1000
            await connection.executemany(f"SELECT $1::bigint + {number}", [(turn,)])
        await connection.close()

    await asyncio.gather(*(client(number) for number in range(12)))


async def test_without_the_parameter_the_refusal_is_one_line(url: str) -> None:
    store = create_store(url.replace("&pgbouncer=true", ""))
    with pytest.raises(Unavailable, match=r"startup parameter.*pgbouncer=true") as refused:
        await store.open()
    assert "\n" not in str(refused.value)


async def test_a_copy_wants_the_server_itself(url: str) -> None:
    with pytest.raises(TransferRefused, match="behind PgBouncer: name the server itself"):
        await PostgresTransferDatabase(url).inspect()

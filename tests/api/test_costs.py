"""What each operation costs, compared with what it cost when the figures were committed.

A query, a commit or a tenth more Python in a hot path fails here, on any machine. ``make costs`` prints what
there is, and writes the figures anew; they belong into the commit that changed them.
"""

import asyncio
import json
import os
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx
import orjson
import pytest

from api.conftest import BASE
from bench.population import changes, person, user_name
from scim_api.http.authentication import Authenticator
from scim_api.http.metrics import Metrics
from scim_api.http.public import public_app
from scim_api.http.rate_limit import RateLimiter
from scim_api.http.request import ServiceContext
from scim_api.store.factory import create_store
from scim_api.store.postgres.store import PostgresStore
from scim_api.store.protocol import Store
from scim_api.store.sqlite.store import SqliteStore
from support.costs import Counted, Instructions, relayed, watch_sqlite
from support.grammar import Request
from support.scim_service import connect
from support.token_requests import ask as ask_for_token
from support.token_requests import register
from support.wire import Line, wire_form

FIGURES: Final = Path(__file__).parents[1] / "fixtures" / "costs.json"
RENEW: Final = os.environ.get("COSTS") == "renew"
PYTHON: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
MORE: Final = 1.05
LESS: Final = 0.85
WARM_UPS: Final = 4
PEOPLE: Final = 120

Ask = Callable[..., Awaitable[httpx.Response]]
Operation = Callable[[Ask, "World", int], Awaitable[httpx.Response]]


class World:
    """What operations work on.

    Attributes:
        people: ids.
        group: the id of a group.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.people: list[str] = []
        self.group = ""

    def forget(self) -> None:
        """As after a restart: no person has been seen yet."""
        if isinstance(self._store, PostgresStore):
            self._store._resource_cache._resources.clear()


def _filter(text: str) -> str:
    return f"/Users?filter={quote(text)}"


def _members(op: str, member: str) -> dict[str, Any]:
    return {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": op, "path": "members", "value": [{"value": member}]}],
    }


async def _patch_unseen(ask: Ask, world: World, turn: int) -> httpx.Response:
    world.forget()
    return await ask("PATCH", f"/Users/{world.people[0]}", changes(1, turn))


OPERATIONS: Final[dict[str, Operation]] = {
    "filter by userName": lambda ask, _, turn: ask("GET", _filter(f'userName eq "{user_name(turn)}"')),
    "filter by work e-mail": lambda ask, _, turn: ask(
        "GET", _filter(f'emails[type eq "work"].value eq "{user_name(turn)}"')
    ),
    "filter that finds nobody": lambda ask, _, turn: ask("GET", _filter(f'userName eq "nobody-{turn}"')),
    "get": lambda ask, world, turn: ask("GET", f"/Users/{world.people[turn]}"),
    "list 100": lambda ask, _, __: ask("GET", "/Users?startIndex=1&count=100"),
    "patch": lambda ask, world, turn: ask("PATCH", f"/Users/{world.people[0]}", changes(0, turn)),
    "patch of somebody not seen": _patch_unseen,
    "put": lambda ask, world, turn: ask(
        "PUT", f"/Users/{world.people[1]}", {**person(1), "title": f"Turn {turn}"}
    ),
    "create": lambda ask, _, turn: ask("POST", "/Users", person(5_000 + turn)),
    "delete": lambda ask, world, turn: ask("DELETE", f"/Users/{world.people[turn + 40]}"),
    "add a member": lambda ask, world, turn: ask(
        "PATCH", f"/Groups/{world.group}", _members("Add", world.people[turn + 60])
    ),
    "list groups without members": lambda ask, _, __: ask("GET", "/Groups?excludedAttributes=members"),
}


@pytest.fixture(params=["sqlite", "postgresql"])
async def counted_store(
    request: pytest.FixtureRequest, tmp_path: Path, postgres_url: str
) -> AsyncIterator[tuple[Store, Counted]]:
    """A store, and a count of what it asks of its database."""
    counted = Counted()
    if request.param == "sqlite":
        from scim_api.store.migrate import migrate

        url = f"sqlite:///{tmp_path / 'scim.db'}"
        await migrate(url)
        store = create_store(url)
        await store.open()
        assert isinstance(store, SqliteStore)
        await watch_sqlite(store, counted)
        yield store, counted
        await store.close()
        return
    async with relayed(postgres_url, tmp_path, counted) as url:
        store = create_store(url)
        await store.open()
        yield store, counted
        await store.close()


async def _measured(
    store: Store, counted: Counted, operations: Mapping[str, Operation] = OPERATIONS, tenant: str = "contoso"
) -> dict[str, dict[str, int]]:
    token = await connect(store, tenant)
    service = ServiceContext(store, Authenticator(store, clock=lambda: 0.0), RateLimiter(), Metrics(), BASE)
    app, headers = public_app(service), [("authorization", f"Bearer {token}")]

    line = Line(app, direct=True)

    async def ask(method: str, target: str, body: dict[str, Any] | None = None) -> httpx.Response:
        request = Request(method, target, (), b"" if body is None else orjson.dumps(body))
        head, _, content = (await line.send(wire_form(request, headers))).partition(b"\r\n\r\n")
        answer = httpx.Response(int(head.split()[1]), content=content)
        assert answer.status_code < 300, answer.text
        return answer

    world = World(store)
    world.people = [(await ask("POST", "/Users", person(number))).json()["id"] for number in range(PEOPLE)]
    team = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "Team"}
    world.group = (await ask("POST", "/Groups", team)).json()["id"]
    found: dict[str, dict[str, int]] = {}
    for name, operation in operations.items():
        for turn in range(WARM_UPS):
            await operation(ask, world, turn)
        before = Counted(counted.statements, counted.transactions)
        await operation(ask, world, WARM_UPS)
        after = Counted(counted.statements, counted.transactions)
        instructions = Instructions()
        async with instructions.counting(store):
            await operation(ask, world, WARM_UPS + 1)
        found[name] = {
            "statements": after.statements - before.statements,
            "transactions": after.transactions - before.transactions,
            f"instructions of Python {PYTHON}": instructions.number,
        }
    return found


def _complaints(known: dict[str, dict[str, int]], found: dict[str, dict[str, int]]) -> list[str]:
    """One line for each figure that is another than it was.

    Figures of a Python that nobody has committed any for are not compared.
    """
    measures = {what for figures in known.values() for what in figures}
    lines = [f"{name}: it is not measured any more" for name in known if name not in found]
    for name, figures in found.items():
        for what, now in figures.items():
            before = known.get(name, {}).get(what)
            exact = not what.startswith("instructions")
            if before is None:
                if exact or what in measures:
                    lines.append(f"{name}: {what}: {now}, and no figure is committed")
            elif now > before * (1 if exact else MORE):
                lines.append(f"{name}: {what}: {before} before, {now} now: find out what was added")
            elif now < before * (1 if exact else LESS):
                lines.append(f"{name}: {what}: {before} before, {now} now: better; commit it")
    return lines


async def test_no_operation_costs_more_than_it_did(counted_store: tuple[Store, Counted]) -> None:
    store, counted = counted_store
    everything = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    known = everything.get(store.dialect, {})
    if not any(f"instructions of Python {PYTHON}" in figures for figures in known.values()) and not RENEW:
        print(f"instructions are not compared: no figures of Python {PYTHON} are committed")

    found = await _measured(store, counted)

    if RENEW:
        print(f"\n{store.dialect}: statements, transactions, instructions")
        for name, figures in found.items():
            print(
                f"  {name}: "
                + ", ".join(f"{known.get(name, {}).get(key, '-')} -> {now}" for key, now in figures.items())
            )
        everything[store.dialect] = {
            name: {**known.get(name, {}), **figures} for name, figures in found.items()
        }
        FIGURES.write_text(json.dumps(everything, indent=1, sort_keys=True) + "\n")
        return
    complaints = _complaints(known, found)
    assert complaints == [], "\n".join([*complaints, "`make costs` writes the figures anew."])


Changed = Callable[[Callable[[], Awaitable[object]], str], Awaitable[list[str]]]


@pytest.fixture
async def changed(counted_store: tuple[Store, Counted], monkeypatch: pytest.MonkeyPatch) -> Changed:
    """Says what is complained of when a replacement does something more first, in a tenant of this name."""
    store, counted = counted_store
    put = {"put": OPERATIONS["put"]}
    known = await _measured(store, counted, put)
    plain = store.modify

    async def complaints(first: Callable[[], Awaitable[object]], tenant: str) -> list[str]:
        async def modify(*arguments: Any, **more: Any) -> Any:
            await first()
            return await plain(*arguments, **more)

        monkeypatch.setattr(store, "modify", modify)
        return _complaints(known, await _measured(store, counted, put, tenant))

    return complaints


async def test_one_more_statement_and_a_tenth_more_python_are_noticed(
    counted_store: tuple[Store, Counted], changed: Changed
) -> None:
    store, _ = counted_store

    async def thinks() -> None:
        for _ in range(16):
            uuid.UUID(int=1)

    slower = await changed(lambda: store.access(b"unknown"), "second")
    longer = await changed(thinks, "third")

    assert [line for line in slower if line.startswith("put: statements")] != []
    assert [line for line in longer if line.startswith("put: instructions")] != []
    assert [line for line in longer if line.startswith("put: statements")] == []


async def test_a_commit_that_waits_for_the_disk_costs_no_more(changed: Changed) -> None:
    assert await changed(lambda: asyncio.sleep(0.2), "second") == []


async def test_one_more_commit_is_noticed(counted_store: tuple[Store, Counted]) -> None:
    store, counted = counted_store
    await store.public_url("https://scim.example.com/scim/v2")
    before = counted.transactions

    await store.public_url("https://scim.example.org/scim/v2")

    assert counted.transactions == before + 1


def test_what_got_better_or_is_gone_is_a_complaint_too() -> None:
    assert _complaints({"get": {"statements": 2}}, {"get": {"statements": 1}}) != []
    assert _complaints({"get": {"instructions": 1000}}, {"get": {"instructions": 840}}) != []
    assert _complaints({"get": {"instructions": 1000}}, {"get": {"instructions": 1040}}) == []
    assert _complaints({"get": {"statements": 1}}, {}) != []


def test_another_python_is_compared_in_statements_alone() -> None:
    known = {"get": {"statements": 1, "instructions of Python 3.11": 1000}}

    assert _complaints(known, {"get": {"statements": 1, "instructions of Python 3.99": 5000}}) == []
    assert _complaints(known, {"get": {"statements": 2, "instructions of Python 3.99": 5000}}) != []


async def test_an_access_token_costs_one_read_and_one_write_and_a_request_with_it_what_any_costs(
    counted_store: tuple[Store, Counted],
) -> None:
    store, counted = counted_store
    client = await register(store)
    service = ServiceContext(store, Authenticator(store, clock=lambda: 0.0), RateLimiter(), Metrics(), BASE)
    transport = httpx.ASGITransport(public_app(service))
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as sender:

        async def counting(request: Awaitable[httpx.Response]) -> Counted:
            before = Counted(counted.statements, counted.transactions)
            answer = await request
            assert answer.status_code == 200
            headers.update({"authorization": f"Bearer {answer.json().get('access_token')}"})
            return Counted(counted.statements - before.statements, counted.transactions - before.transactions)

        headers: dict[str, str] = {}
        await counting(ask_for_token(sender, client.form()))
        issued = await counting(ask_for_token(sender, client.form()))
        token = dict(headers)
        await sender.get("/Users?count=1", headers=token)
        used = await counting(sender.get("/Users?count=1", headers=token))
        secret = {"authorization": f"Bearer {await connect(store, 'plain')}"}
        await sender.get("/Users?count=1", headers=secret)
        assert used == await counting(sender.get("/Users?count=1", headers=secret))
    if store.dialect == "postgresql":
        assert issued == Counted(2, 2)
    else:
        assert issued.transactions == 1
        assert issued.statements <= 8

"""What is asked: eight workloads, as bytes for one server.

``filter userName``, ``filter e-mail``, ``get``, ``list 100`` read a random person; ``patch`` replaces four
values in Entra's first dialect, ``create`` adds a person nobody has seen, and ``Entra mix`` is a new person's
initial cycle: the filter that finds nobody, POST, GET by the new id, PATCH; its figure counts requests.
``access token`` is a client secret's at the token endpoint, which only ours has; each of many clients in turn, because
one that asks again and again is told to wait.
"""

import dataclasses
import itertools
import random
from base64 import b64encode
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import orjson

from bench.load import Client, Exchange, Turns, body_of
from bench.population import changes, person, user_name
from scim_api.contract.oauth import TOKEN_PATH

ACCESS_TOKEN: Final = "access token"
NAMES: Final = (
    "filter userName", "filter e-mail", "get", "list 100", "patch", "create", "Entra mix", ACCESS_TOKEN,
)  # fmt: skip
READS_AND_PATCH: Final = NAMES[:5]
"""They leave as many people as they found."""
PATH: Final = "/scim/v2/Users"
AGENT: Final = "User-Agent: Mozilla/5.0 (compatible; bench)"
_PREBUILT: Final = 2048
_WRITES: Final = {"create": 1, "patch": 1, "Entra mix": 4}
"""And how many requests a turn of each has."""


@dataclasses.dataclass
class Asked:
    """Requests to one server.

    Attributes:
        token: of the tenant.
        identity: the id of person n there.
        count: how many people are loaded.
        cannot: workloads that the server refuses or misunderstands, and why.
    """

    token: str
    identity: Callable[[int], str]
    count: int
    clients: Sequence[tuple[str, str]] = ()
    """Client ids and secrets for the token endpoint; empty where there is none."""
    cannot: Mapping[str, str] = dataclasses.field(default_factory=dict)
    fresh: Iterator[int] = dataclasses.field(init=False)
    """Numbers of people that nobody has seen."""

    def __post_init__(self) -> None:
        """Begin behind those that are loaded."""
        self.fresh = itertools.count(self.count)

    def request(self, method: str, target: str, body: dict[str, Any] | None = None) -> bytes:
        """A request as bytes, with the headers that Entra sends."""
        text = b"" if body is None else orjson.dumps(body)
        lines = [
            f"{method} {target} HTTP/1.1",
            "Host: scim.example.com",
            f"Authorization: Bearer {self.token}",
            "Accept: application/scim+json",
            AGENT,
        ]
        if body is not None:
            lines += ["Content-Type: application/scim+json; charset=utf-8", f"Content-Length: {len(text)}"]
        return "\r\n".join([*lines, "", ""]).encode() + text

    def by_name(self, name: str) -> Exchange:
        """The filter for a userName."""
        wanted = quote(f'userName eq "{name}"')
        return Exchange(self.request("GET", f"{PATH}?filter={wanted}"), (200,))

    def by_email(self, email: str) -> Exchange:
        """The filter for a work e-mail."""
        wanted = quote(f'emails[type eq "work"].value eq "{email}"')
        return Exchange(self.request("GET", f"{PATH}?filter={wanted}"), (200,))

    def get(self, identity: str) -> Exchange:
        """GET by id."""
        return Exchange(self.request("GET", f"{PATH}/{identity}"), (200,))

    def everybody(self) -> Exchange:
        """The first hundred."""
        return Exchange(self.request("GET", f"{PATH}?startIndex=1&count=100"), (200,))

    def patch(self, identity: str, number: int, turn: int) -> Exchange:
        """Four new values."""
        return Exchange(self.request("PATCH", f"{PATH}/{identity}", changes(number, turn)), (200, 204))

    def access_token(self, client: tuple[str, str]) -> Exchange:
        """An access token, with "Header"."""
        form, basic = b"grant_type=client_credentials", b64encode(":".join(client).encode()).decode()
        lines = [
            f"POST {TOKEN_PATH} HTTP/1.1",
            "Host: scim.example.com",
            f"Authorization: Basic {basic}",
            AGENT,
            "Content-Type: application/x-www-form-urlencoded",
            f"Content-Length: {len(form)}",
        ]
        return Exchange("\r\n".join([*lines, "", ""]).encode() + form, (200,))

    def can(self, name: str) -> bool:
        """Whether the server has this workload at all."""
        return name not in self.cannot and (name != ACCESS_TOKEN or bool(self.clients))

    def create(self, number: int) -> Exchange:
        """A new person."""
        return Exchange(self.request("POST", PATH, person(number)), (201,))


def turns_of(asked: Asked, name: str, seed: int) -> Turns:
    """What a client of this workload asks next, and next."""
    chance = random.Random(f"{name} {seed}")
    turn = itertools.count(seed * 1_000_000)

    def creates() -> Generator[Exchange, bytes, None]:
        yield asked.create(next(asked.fresh))

    def patches() -> Generator[Exchange, bytes, None]:
        number = chance.randrange(asked.count)
        yield asked.patch(asked.identity(number), number, next(turn))

    def cycle() -> Generator[Exchange, bytes, None]:
        number = next(asked.fresh)
        yield asked.by_name(user_name(number))
        identity = orjson.loads(body_of((yield asked.create(number))))["id"]
        yield asked.get(identity)
        yield asked.patch(identity, number, 1)

    if name in _WRITES:
        return Turns({"create": creates, "patch": patches, "Entra mix": cycle}[name], _WRITES[name])
    numbers = [chance.randrange(asked.count) for _ in range(_PREBUILT)]
    match name:
        case "filter userName":
            prebuilt = [asked.by_name(user_name(number)) for number in numbers]
        case "filter e-mail":
            prebuilt = [asked.by_email(user_name(number)) for number in numbers]
        case "access token":
            prebuilt = [asked.access_token(client) for client in asked.clients]
        case "get":
            prebuilt = [asked.get(asked.identity(number)) for number in numbers]
        case _:
            prebuilt = [asked.everybody()]
    endless = itertools.cycle(prebuilt)

    def reads() -> Generator[Exchange, bytes, None]:
        yield next(endless)

    return Turns(reads)


async def check(client: Client, asked: Asked) -> None:
    """Whether the server does what is measured, and nothing of what it is said not to be able to do.

    A fast answer that is wrong would be worth nothing. Raises ``AssertionError`` with the answer.
    """
    number = asked.count // 2
    identity = asked.identity(number)
    filters = {
        "filter userName": asked.by_name(user_name(number)),
        "filter e-mail": asked.by_email(user_name(number)),
    }
    assert asked.cannot.keys() <= filters.keys(), "nothing else can be checked to be refused"
    for name, exchange in filters.items():
        if name in asked.cannot:
            exchange = dataclasses.replace(exchange, statuses=())
        found = orjson.loads(await client.once(exchange))
        right = [one["id"] for one in found.get("Resources", ())] == [identity]
        assert right is (name not in asked.cannot), (name, found)
    assert orjson.loads(await client.once(asked.get(identity)))["userName"] == user_name(number)
    page = orjson.loads(await client.once(asked.everybody()))
    assert len(page["Resources"]) == min(100, asked.count), page["totalResults"]
    await client.once(asked.patch(identity, number, 7))
    after = await client.once(asked.get(identity))
    assert f"Person {number} in turn 7".encode() in after, after
    nobody = orjson.loads(await client.once(asked.by_name("nobody")))
    assert nobody["totalResults"] == 0, nobody
    newcomer = next(asked.fresh)
    created = orjson.loads(await client.once(asked.create(newcomer)))
    again = orjson.loads(await client.once(asked.by_name(user_name(newcomer))))
    assert [one["id"] for one in again["Resources"]] == [created["id"]], again

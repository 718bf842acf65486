"""Writers over HTTP, as provisioning services write: users, groups with members, Bulk; all at once and on the same things."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from torture.changes.client import Answer, Client, Unanswered
from torture.changes.rules import EVIDENCE, Fault, Violation

CONNECTIONS: Final = 16
RETRY_SECONDS: Final = 0.1
MOST_GROUPS: Final = 24
BULK: Final = 20
CROWD_BULK: Final = 200
RIGHT: Final = frozenset({200, 201, 204, 400, 401, 404, 409})
"""400, 404 and 409: somebody else was first. 401: the tenant is gone."""
_MIX: Final = (
    ("create", 14), ("retitle", 18), ("enable", 14), ("delete", 6), ("bulk", 4), ("form", 2), ("disband", 1),
    ("join", 16), ("leave", 12), ("replace", 2), ("rename", 2),
)  # fmt: skip
_OF_USERS: Final = (
    ("create", 8), ("retitle", 10), ("enable", 10), ("delete", 6), ("bulk", 1), ("retitle_many", 6),
)  # fmt: skip


class Writers:
    """Write on so many connections until they are stopped.

    Args:
        ports: of the replicas.
        token: of the tenant.
        seed: of what is written.
        largest: members of a group at most.
    """

    def __init__(self, ports: Sequence[int], token: str, seed: int, largest: int) -> None:
        self._ports, self._token, self._largest = ports, token, largest
        self._dice = random.Random(seed)
        self._number = 0
        self.crowd: list[str] = []
        """Users whom nobody deletes: large groups are made of them."""
        self.users: list[str] = []
        self.groups: list[str] = []
        self.acknowledged = 0
        self.unanswered = 0
        self.failed: list[Violation] = []
        self.go, self.go_users = asyncio.Event(), asyncio.Event()
        self.go.set()
        self.go_users.set()

    def client(self) -> Client:
        """One more connection."""
        return Client(self._ports, self._token)

    async def gather_crowd(self, number: int) -> None:
        """So many users, by Bulk. Raises ``Unanswered``."""
        batches = [min(CROWD_BULK, number - begin) for begin in range(0, number, CROWD_BULK)]

        async def work() -> None:
            client = self.client()
            while batches:
                people = [self.person() for _ in range(batches.pop())]
                self.crowd += await self._send_bulk(client, [_post(one) for one in people])
            client.close()

        await asyncio.gather(*(work() for _ in range(CONNECTIONS)))

    async def run(self, stop: asyncio.Event, connections: int = CONNECTIONS) -> None:
        """Write until ``stop``, while ``go`` lets them."""
        await asyncio.gather(*(self._write(stop, self.go, _MIX) for _ in range(connections)))

    async def run_users(self, stop: asyncio.Event, connections: int) -> None:
        """Write users alone until ``stop``, while ``go_users`` lets them."""
        await asyncio.gather(*(self._write(stop, self.go_users, _OF_USERS) for _ in range(connections)))

    async def _write(self, stop: asyncio.Event, go: asyncio.Event, mix: Sequence[tuple[str, int]]) -> None:
        client = self.client()
        names, weights = [name for name, _ in mix], [weight for _, weight in mix]
        actions: dict[str, Callable[[Client], Awaitable[None]]] = {
            name: getattr(self, f"_{name}") for name in names
        }
        while not stop.is_set():
            await go.wait()
            [name] = self._dice.choices(names, weights)
            try:
                await actions[name](client)
            except Unanswered:
                self.unanswered += 1
                await asyncio.sleep(RETRY_SECONDS)
        client.close()

    async def ask(self, client: Client, method: str, path: str, body: object = None) -> Answer:
        """A write, whose answer is judged. Raises ``Unanswered``."""
        answer = await client.request(method, f"/scim/v2{path}", body)
        self.acknowledged += answer.status < 300
        if answer.status not in RIGHT and len(self.failed) < EVIDENCE:
            self.failed.append(Violation(Fault.FAILED, f"{method} {path}: {answer}"))
        return answer

    # -- users ----------------------------------------------------------------------------------------
    def person(self) -> dict[str, Any]:
        """A new one."""
        self._number += 1
        name = f"person-{self._number}@example.com"
        return {"userName": name, "title": "new", "emails": [{"type": "work", "value": name}]}

    async def _create(self, client: Client) -> None:
        answer = await self.ask(client, "POST", "/Users", self.person())
        if answer.status == 201:
            self.users.append(answer.document["id"])

    async def _retitle(self, client: Client) -> None:
        await self._patch(client, f"/Users/{self._anybody()}", "title", f"title-{self._dice.random()}")

    async def _enable(self, client: Client) -> None:
        await self._patch(client, f"/Users/{self._anybody()}", "active", self._dice.random() < 0.5)

    async def _delete(self, client: Client) -> None:
        if len(self.users) > CONNECTIONS:
            await self.ask(client, "DELETE", f"/Users/{self._take(self.users)}")

    async def make(self, client: Client, number: int) -> list[str]:
        """So many new users to whom nobody else writes; fewer when somebody was first. Raises ``Unanswered``."""
        return await self._send_bulk(client, [_post(self.person()) for _ in range(number)])

    async def _retitle_many(self, client: Client) -> None:
        value = {"Operations": [{"op": "replace", "path": "title", "value": f"title-{self._dice.random()}"}]}
        await self._send_bulk(
            client,
            [{"method": "PATCH", "path": f"/Users/{self._anybody()}", "data": value} for _ in range(BULK)],
        )

    async def _bulk(self, client: Client) -> None:
        operations: list[dict[str, Any]] = []
        for _ in range(BULK // 4):
            value = {"Operations": [{"op": "replace", "path": "active", "value": self._flip()}]}
            operations += [
                _post(self.person()),
                _post(self.person()),
                {"method": "PATCH", "path": f"/Users/{self._anybody()}", "data": value},
                {"method": "DELETE", "path": f"/Users/{self._take(self.users)}"},
            ]
        self.users += await self._send_bulk(client, operations)

    async def _send_bulk(self, client: Client, operations: Sequence[dict[str, Any]]) -> list[str]:
        """Ids of the users whom it created."""
        schema = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
        answer = await self.ask(client, "POST", "/Bulk", {"schemas": [schema], "Operations": operations})
        done = (answer.document or {}).get("Operations", ())
        made = [one for one in done if one["method"] == "POST" and str(one["status"]) == "201"]
        return [one["location"].rpartition("/")[2] for one in made]

    # -- groups ---------------------------------------------------------------------------------------
    async def form(self, client: Client, members: Sequence[str]) -> str | None:
        """A new group with these members; its id."""
        self._number += 1
        body = {"displayName": f"group {self._number}", "members": _values(members)}
        answer = await self.ask(client, "POST", "/Groups", body)
        return str(answer.document["id"]) if answer.status == 201 else None

    async def _form(self, client: Client) -> None:
        if len(self.groups) < MOST_GROUPS and (made := await self.form(client, self._some(50))):
            self.groups.append(made)

    async def _disband(self, client: Client) -> None:
        if len(self.groups) > MOST_GROUPS // 2:
            await self.ask(client, "DELETE", f"/Groups/{self._take(self.groups)}")

    async def _join(self, client: Client) -> None:
        await self._members(client, "add", self._some(self._some_number()))

    async def _leave(self, client: Client) -> None:
        await self._members(client, "remove", self._some(self._some_number()))

    async def _replace(self, client: Client) -> None:
        await self._members(client, "replace", self._some(self._largest, self.crowd))

    async def _rename(self, client: Client) -> None:
        if self.groups:
            self._number += 1
            path = f"/Groups/{self._dice.choice(self.groups)}"
            await self._patch(client, path, "displayName", f"group {self._number}")

    async def _members(self, client: Client, op: str, members: Sequence[str]) -> None:
        if self.groups:
            path = f"/Groups/{self._dice.choice(self.groups)}"
            await self._patch(client, path, "members", _values(members), op)

    # -- parts ----------------------------------------------------------------------------------------
    async def _patch(
        self, client: Client, path: str, attribute: str, value: object, op: str = "replace"
    ) -> None:
        body = {"Operations": [{"op": op, "path": attribute, "value": value}]}
        await self.ask(client, "PATCH", path, body)

    def _some_number(self) -> int:
        return min(self._dice.choice((1, 5, 50, 500)), self._largest)

    def _flip(self) -> bool:
        return self._dice.random() < 0.5

    def _anybody(self) -> str:
        everybody = self._dice.choice((self.users, self.crowd))
        return self._dice.choice(everybody) if everybody else "nobody"

    def _take(self, of: list[str]) -> str:
        return of.pop(self._dice.randrange(len(of))) if of else "nobody"

    def _some(self, most: int, of: list[str] | None = None) -> list[str]:
        of = self._dice.choice((self.users, self.crowd)) if of is None else of
        return self._dice.sample(of, self._dice.randint(0, min(most, len(of))))


def _values(ids: Sequence[str]) -> list[dict[str, str]]:
    return [{"value": identity} for identity in ids]


def _post(person: dict[str, Any]) -> dict[str, Any]:
    return {"method": "POST", "path": "/Users", "bulkId": person["userName"], "data": person}

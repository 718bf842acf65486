"""Following by ``GET /changes/v1``, as docs/reference.md tells it."""

import asyncio
import dataclasses
import random
from collections.abc import Mapping, Sequence
from typing import Any, Final

from scim_api.store.feed_cursor import decode, encode
from torture.changes.client import Client, Unanswered
from torture.changes.copy import Reading, Told
from torture.changes.follower import Gone, News, Snapshot

WAIT_SECONDS: Final[tuple[int, ...]] = (0, 1, 5, 30)
LIMITS: Final = (1, 10, 100, 500, 1_000, 1_000)
READERS: Final = 4
"""Resources that are read at a time."""


class Feed:
    """A ``Source`` by HTTP.

    Args:
        ports: of the replicas.
        token: of the tenant.
        seed: of what each page is asked for with.
    """

    def __init__(self, ports: Sequence[int], token: str, seed: int) -> None:
        self._dice = random.Random(seed)
        self._waits = WAIT_SECONDS
        self._clients = [Client(ports, token) for _ in range(READERS)]

    async def news(self, cursor: str | None) -> News:
        """A page of the feed. Raises ``Gone``."""
        limit, wait = self._dice.choice(LIMITS), self._dice.choice(self._waits)
        after = f"after={cursor}&" if cursor else ""
        status, page = await self._clients[0].request("GET", f"/changes/v1?{after}limit={limit}&wait={wait}")
        if status == 410:
            raise Gone(page["detail"])
        if status != 200:
            raise AssertionError(f"{status} {page}")
        told = [
            Told(int(one["id"].partition("-")[0]), one["type"], one["resourceId"], one.get("member"))
            for one in page["changes"]
        ]
        return News(told, page["next"], is_all=not page["hasMore"])

    async def read(self, changes: Sequence[Told]) -> Mapping[str, Reading | None]:
        """Each resource once, with its members left out."""
        wanted = {one.resource: one.type.partition(".")[0] for one in changes}
        gone = {one.resource for one in changes if one.type.endswith(".deleted")}
        left = [(identity, kind) for identity, kind in wanted.items() if identity not in gone]
        read: dict[str, Reading | None] = {}

        async def work(client: Client) -> None:
            while left:
                identity, kind = left.pop()
                read[identity] = await self._one(client, identity, kind)

        done = await asyncio.gather(*(work(client) for client in self._clients), return_exceptions=True)
        for failure in filter(None, done):
            raise failure
        return read

    async def _one(self, client: Client, identity: str, kind: str) -> Reading | None:
        path = f"/scim/v2/{kind.capitalize()}s/{identity}?excludedAttributes=members"
        status, document = await client.request("GET", path)
        if status not in {200, 404}:
            raise AssertionError(f"{status} {document}")
        return None if status == 404 else reading_of(document)

    async def snapshot(self) -> Snapshot:
        """The head, then all users and groups by cursor."""
        status, page = await self._clients[0].request("GET", "/changes/v1?after=now")
        if status != 200:
            raise AssertionError(f"{status} {page}")
        users = await self._all("Users")
        groups = await self._all("Groups")
        members = [(one["id"], member["value"]) for one in groups for member in one.get("members", ())]
        return Snapshot(page["next"], {one["id"]: reading_of(one) for one in [*users, *groups]}, members)

    async def _all(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor: str | None = ""
        while cursor is not None:
            path = f"/scim/v2/{kind}?cursor={cursor}&count=200"
            status, page = await self._clients[0].request("GET", path)
            if status != 200:
                raise Unanswered(f"{status} {page}")
            found += page.get("Resources", ())
            cursor = page.get("nextCursor")
        return found

    def hurry(self) -> None:
        """Ask without ``wait``."""
        self._waits = (0,)

    async def close(self) -> None:
        """End the connections."""
        for client in self._clients:
            client.close()


def reading_of(document: Mapping[str, Any]) -> Reading:
    """What a resource's JSON says."""
    return Reading(int(document["meta"]["version"].strip('W/"')), document.get("active"))


def of_before_a_restore(cursor: str) -> str:
    """The same cursor as the database would have given it out in another history."""
    position = decode(cursor)
    return encode(dataclasses.replace(position, epoch=position.epoch ^ 1))

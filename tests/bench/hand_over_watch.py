"""When Secrets came to publish a credential, and when it was known that Entra uses it, as watches tell."""

import asyncio
import base64
import contextlib
import json
import math
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx

_SCIMTOKENS = "/apis/scim-operator.io/v1alpha1/namespaces/default/scimtokens"
_SECRETS = "/api/v1/namespaces/default/secrets"
_SUFFIX = "-scim-token"


class Seen:
    """POSIX times by name of the ScimToken and id of the credential.

    Attributes:
        published: when the Secret showed it.
        used: when the status said that Entra uses it.
        current: the credential that each Secret publishes.
    """

    def __init__(self) -> None:
        self.published: dict[tuple[str, str], float] = {}
        self.used: dict[tuple[str, str], float] = {}
        self.current: dict[str, str] = {}

    def secret(self, body: dict[str, Any]) -> None:
        """Take a Secret's state."""
        name, data = body["metadata"]["name"], body.get("data", {})
        if name.endswith(_SUFFIX) and "token-id" in data:
            name, token = name.removesuffix(_SUFFIX), base64.b64decode(data["token-id"]).decode()
            self.published.setdefault((name, token), time.time())
            self.current[name] = token

    def scimtoken(self, body: dict[str, Any]) -> None:
        """Take a ScimToken's state."""
        given = body.get("status", {}).get("entra", {}).get("handedOver", {})
        if "inUseAt" in given:
            self.used.setdefault((body["metadata"]["name"], given["credentialID"]), time.time())

    @property
    def waiting(self) -> int:
        """How many published credentials are not known to be used."""
        return sum(item not in self.used for item in self.current.items())


@contextlib.asynccontextmanager
async def watching(client: httpx.AsyncClient) -> AsyncIterator[Seen]:
    """Watch for the length of the block."""
    seen = Seen()
    watches = [
        asyncio.create_task(_watch(client, _SECRETS, seen.secret)),
        asyncio.create_task(_watch(client, _SCIMTOKENS, seen.scimtoken)),
    ]
    try:
        yield seen
    finally:
        for task in watches:
            task.cancel()
        await asyncio.gather(*watches, return_exceptions=True)


async def _watch(client: httpx.AsyncClient, path: str, take: Callable[[dict[str, Any]], None]) -> None:
    while True:
        with contextlib.suppress(httpx.HTTPError):
            parameters = {"watch": "1", "timeoutSeconds": "3600"}
            async with client.stream("GET", path, params=parameters, timeout=None) as events:
                async for line in events.aiter_lines():
                    take(json.loads(line)["object"])
        await asyncio.sleep(0.1)


def by_second(times: list[float], began: float, seconds: float) -> list[int]:
    """How many fell into each second."""
    counts = [0] * max(1, round(seconds))
    for moment in times:
        if 0 <= (second := math.floor(moment - began)) < len(counts):
            counts[second] += 1
    return counts

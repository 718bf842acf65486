"""What tests of fetching keys have in the place of the resolver and of the network."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

import httpx

from scim_api.http.oauth.key_address import KeyHosts
from scim_api.http.oauth.key_fetch import KeyFetcher
from scim_api.http.oauth.key_set import KeySet
from support.federation import Issuer
from support.key_server import KeyServer

ISSUER: Final = Issuer()
LOGIN: Final = "login.microsoftonline.com"
HOSTS: Final = KeyHosts.read(LOGIN)


async def fetch(place: KeyServer, seconds: float = 5.0) -> KeySet:
    fetcher = KeyFetcher(KeyHosts.read(place.origin), seconds=seconds)
    try:
        return await fetcher.fetch(place.url)
    finally:
        await fetcher.aclose()


class Names:
    """A resolver with answers of its own; it counts what it is asked."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Network:
    """In the place of the network: who was asked, and answers with keys."""

    def __init__(self, *dead: str) -> None:
        self.dead = dead
        self.requests: list[httpx.Request] = []
        self.transport = httpx.MockTransport(self.answer)

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.url.host in self.dead:
            raise httpx.ConnectError("refused", request=request)
        headers = {"content-type": "application/json"}
        return httpx.Response(200, content=self.pieces(), headers=headers)

    async def pieces(self) -> AsyncIterator[bytes]:
        yield ISSUER.key_set()

    @property
    def hosts(self) -> list[str]:
        return [request.url.host for request in self.requests]


def fetcher(names: Names, network: Network, hosts: KeyHosts = HOSTS) -> KeyFetcher:
    return KeyFetcher(hosts, resolver=names, transport=network.transport)

"""Requests like Entra's with every credential that is, was or never was valid, and writes that are remembered.

A client secret is sent to the token endpoint, and what that gives for it is used as a token is.
"""

import asyncio
import contextlib
import dataclasses
import random
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx

from scim_api.contract.oauth import token_endpoint
from torture.rules import Answer, Person, Token, Violation, judge

BETWEEN_SECONDS: Final = 0.2
"""Between two requests with one token to one replica."""
TIMEOUT_SECONDS: Final = 3.0
SIGN_IN_SECONDS: Final = 3.0
"""Between two requests for an access token with one client secret to one replica."""
ACCESS_TOKENS: Final = 3
"""Of one client secret that are used: the first ones, which outlive it."""
FORGET_SECONDS: Final = 20.0
"""A token that is over is still tried for this long."""
MAX_KEPT: Final = 50


@dataclasses.dataclass
class Counts:
    """What came back, for the table."""

    answers: int = 0
    served: int = 0
    refused: int = 0
    unavailable: int = 0
    writes: int = 0


class Traffic:
    """Sends until it is stopped, and judges every answer at once.

    Args:
        replicas: SCIM base URLs by name.
        tokens: the tokens known by now, with their plaintext; read anew before each request.
        seed: of the mix.
        transport: instead of the network.
        thinner: so many times longer between two requests with one token.
    """

    def __init__(
        self,
        replicas: Mapping[str, str],
        tokens: Callable[[], list[tuple[Token, str]]],
        seed: int,
        transport: httpx.AsyncBaseTransport | None = None,
        thinner: float = 1.0,
    ) -> None:
        self._replicas, self._tokens = replicas, tokens
        self._dice = random.Random(seed)
        self._thinner = thinner
        self._unjudged: list[tuple[Answer, Token]] = []
        self._access_tokens: dict[str, list[tuple[Token, str]]] = {}
        self.counts = Counts()
        self.violations: list[Violation] = []
        self.people: dict[str, Person] = {}
        self._client = httpx.AsyncClient(
            timeout=TIMEOUT_SECONDS,
            trust_env=False,
            limits=httpx.Limits(max_connections=100),
            transport=transport,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Ask with every token at every replica, and write with those in their time, until ``stop``."""
        running: dict[tuple[str, str], asyncio.Task[None]] = {}
        writer = asyncio.create_task(self._write(stop))
        try:
            while not stop.is_set():
                for token, plaintext in self._all():
                    for name in self._replicas:
                        task = running.get((token.id, name))
                        if (task is None or task.done()) and not self._is_old(token):
                            running[token.id, name] = asyncio.create_task(self._ask(token, plaintext, name))
                self._judge(time.time() - 2 * TIMEOUT_SECONDS)
                await asyncio.sleep(BETWEEN_SECONDS)
        finally:
            await asyncio.gather(*running.values(), writer)
            self._judge(time.time() + 1)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def _all(self) -> list[tuple[Token, str]]:
        """All credentials, access tokens among them."""
        issued = (item for items in list(self._access_tokens.values()) for item in items)
        return [*self._tokens(), *issued]

    def accepted(self) -> list[tuple[Token, str]]:
        """What the SCIM API has to take now, and a little longer; the newest last."""
        now = time.time()
        valid = [
            (token, plaintext)
            for token, plaintext in self._all()
            if token.published_at is not None
            and token.client_id is None
            and now < token.expires_at - TIMEOUT_SECONDS
            and token.end_ordered_at is None
        ]
        return sorted(valid, key=lambda item: item[0].published_at or 0)

    @staticmethod
    def _is_old(token: Token) -> bool:
        return token.published_at is not None and time.time() > token.ends_at + FORGET_SECONDS

    async def _request(
        self, token: Token, plaintext: str, replica: str, method: str, path: str, **what: Any
    ) -> httpx.Response | None:
        what["headers"] = {"authorization": f"Bearer {plaintext}"}
        return await self._judged(token, replica, method, self._replicas[replica] + path, **what)

    async def _judged(
        self, token: Token, replica: str, method: str, url: str, **what: Any
    ) -> httpx.Response | None:
        """A request whose answer is judged by what is known of ``token``."""
        sent, response = time.time(), None
        with contextlib.suppress(httpx.HTTPError):
            response = await self._client.request(method, url, **what)
        status = response.status_code if response is not None else 0
        self._unjudged.append((Answer(token.id, replica, sent, time.time(), status), token))
        return response

    def _judge(self, before: float) -> None:
        """Judge answers once it is known what became of their tokens meanwhile."""
        ripe = [one for one in self._unjudged if one[0].answered <= before]
        self._unjudged = [one for one in self._unjudged if one[0].answered > before]
        for answer, token in ripe:
            self.counts.answers += 1
            self.counts.unavailable += answer.status in (0, 503)
            self.counts.refused += answer.status in (401, 403)
            self.counts.served += 200 <= answer.status < 500 and answer.status not in (401, 403)
            found = judge(answer, token)
            if found is not None and len(self.violations) < MAX_KEPT:
                self.violations.append(found)

    async def _sign_in(self, token: Token, plaintext: str, replica: str) -> None:
        """Ask for an access token, which is used from then on."""
        assert token.client_id is not None
        response = await self._judged(
            token,
            replica,
            "POST",
            token_endpoint(self._replicas[replica]),
            data={"grant_type": "client_credentials"},
            auth=(token.client_id, plaintext),
        )
        issued = self._access_tokens.setdefault(token.id, [])
        if response is not None and response.status_code == 200 and len(issued) < ACCESS_TOKENS:
            now, content = time.time(), response.json()
            access = Token(
                f"{token.id}/{len(issued)}", now, now + content["expires_in"] - TIMEOUT_SECONDS, parent=token
            )
            issued.append((access, content["access_token"]))
        await asyncio.sleep(SIGN_IN_SECONDS)

    async def _ask(self, token: Token, plaintext: str, replica: str) -> None:
        if token.client_id is not None:
            await self._sign_in(token, plaintext, replica)
            return
        query = {"filter": 'userName eq "2f1c0d5e-nobody"'}
        await self._request(token, plaintext, replica, "GET", "/Users", params=query)
        await asyncio.sleep(BETWEEN_SECONDS * (self._thinner - 1 + self._dice.random()))

    async def _write(self, stop: asyncio.Event) -> None:
        """Create people and change them, one write at a time, so that the last acknowledged is known."""
        number = 0
        while not stop.is_set():
            valid = self.accepted()
            replica = self._dice.choice(list(self._replicas))
            if not valid:
                await asyncio.sleep(BETWEEN_SECONDS)
                continue
            token, plaintext = self._dice.choice(valid)
            number += 1
            if not self.people or self._dice.random() < 0.4:
                await self._create(token, plaintext, replica, f"person-{number}")
            else:
                person = self._dice.choice(list(self.people.values()))
                await self._change(person, token, plaintext, replica, f"title-{number}")
            await asyncio.sleep(BETWEEN_SECONDS / 2)

    async def _create(self, token: Token, plaintext: str, replica: str, name: str) -> None:
        body = {"userName": name, "title": "title-0", "emails": [{"type": "work", "value": name}]}
        response = await self._request(token, plaintext, replica, "POST", "/Users", json=body)
        if response is not None and response.status_code == 201:
            self.counts.writes += 1
            identity = response.json()["id"]
            self.people[identity] = Person(identity, "title-0")

    async def _change(self, person: Person, token: Token, plaintext: str, replica: str, title: str) -> None:
        patch = {"Operations": [{"op": "Replace", "path": "title", "value": title}]}
        person.open.add(title)
        response = await self._request(token, plaintext, replica, "PATCH", f"/Users/{person.id}", json=patch)
        if response is not None and response.status_code == 200:
            self.counts.writes += 1
            # An earlier one without an answer may still be on its way in a frozen process: it stays open.
            person.acknowledged = title
            person.open.discard(title)
        elif response is not None and response.status_code != 503:
            person.open.discard(title)

    async def read_back(self, plaintext: str, replica: str) -> dict[str, str | None]:
        """Everybody's title as it is now."""
        found: dict[str, str | None] = {}
        for identity in self.people:
            response = await self._client.get(
                f"{self._replicas[replica]}/Users/{identity}",
                headers={"authorization": f"Bearer {plaintext}"},
            )
            found[identity] = response.json().get("title") if response.status_code == 200 else None
        return found

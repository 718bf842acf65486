"""Whether the public URL leads to this SCIM API, as far as the operator can see: one check for all ScimTokens.

A question without a token, to which only a SCIM API answers 401 with a SCIM error. It never blocks anything:
a cluster may be unable to reach its own ingress, and a token is proved another way before it is published.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import httpx
import structlog

from scim_operator.planning.endpoint_verdict import CHECK_SECONDS, SWITCHED_OFF, Reach, of_answer, of_failure

log = structlog.get_logger(__name__)

BODY_LIMIT: Final = 65_536
CONFIRM_SECONDS: Final = 10.0
"""How soon a first failure is looked at again: one lost packet is no news for ten thousand ScimTokens."""
AGENT: Final = "scim-operator-check"


async def ask(url: str, client: httpx.AsyncClient) -> Reach:
    """Ask below ``url`` without a token, once, on a connection of its own: an old one hides a new certificate."""
    try:
        async with (
            asyncio.timeout(CHECK_SECONDS),
            client.stream(
                "GET",
                f"{url}/ServiceProviderConfig",
                headers={"user-agent": AGENT, "connection": "close"},
                follow_redirects=False,
            ) as answer,
        ):
            body = b""
            async for part in answer.aiter_bytes():
                body += part
                if len(body) >= BODY_LIMIT:
                    break
            return of_answer(url, answer.status_code, body, answer.headers.get("location"))
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        return of_failure(url, error)


class EndpointCheck:
    """Asks once per interval, for all ScimTokens together, and remembers what came of it.

    Args:
        url: the SCIM base URL that people paste.
        client: for the requests.
        interval: seconds between two checks; None: never.
        changed: called when the condition has other words than before.
    """

    def __init__(
        self, url: str, client: httpx.AsyncClient, *, interval: float | None, changed: Callable[[], None]
    ) -> None:
        self._url, self._client, self._interval, self._changed = url, client, interval, changed
        self._reach: Reach | None = SWITCHED_OFF if interval is None else None

    @property
    def reach(self) -> Reach | None:
        """What the last check told; None before the first."""
        return self._reach

    async def run(self) -> None:
        """Check until cancelled."""
        if self._interval is None:
            self._changed()
            return
        while True:
            fresh = await ask(self._url, self._client)
            if fresh.status == "False" and self._reach != fresh:
                await asyncio.sleep(min(CONFIRM_SECONDS, self._interval))
                fresh = await ask(self._url, self._client)
            self._take(fresh)
            await asyncio.sleep(self._interval)

    def _take(self, fresh: Reach) -> None:
        if fresh == self._reach:
            return
        self._reach = fresh
        (log.info if fresh.status == "True" else log.warning)(
            "endpoint checked", url=self._url, reason=fresh.reason, message=fresh.message
        )
        self._changed()

"""Whether the public URL leads to this SCIM API, as far as the operator can see: one check for all ScimTokens.

A question without a token, to which only a SCIM API answers 401 with a SCIM error. It never blocks anything:
a cluster may be unable to reach its own ingress, and a token is verified another way before it is published.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Final

import httpx
import structlog

from scim_operator.planning.endpoint_verdict import (
    CHECK_DISABLED,
    CHECK_SECONDS,
    ConnectionFailure,
    EndpointVerdict,
    verdict_of_failure,
    verdict_of_response,
)

log = structlog.get_logger(__name__)

BODY_LIMIT: Final = 65_536
CONFIRM_SECONDS: Final = 10.0
"""How soon a first failure is checked again: one lost packet must not change ten thousand statuses."""
AGENT: Final = "scim-operator-check"


async def probe(url: str, client: httpx.AsyncClient) -> EndpointVerdict:
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
            return verdict_of_response(url, answer.status_code, body, answer.headers.get("location"))
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        return verdict_of_exception(url, error)


def verdict_of_exception(url: str, error: BaseException) -> EndpointVerdict:
    """What it means that a request below ``url`` raised this."""
    for cause in _causes(error):
        match cause:
            case ssl.SSLCertVerificationError():
                return verdict_of_failure(
                    url, ConnectionFailure.CERTIFICATE, cause.verify_message.rstrip(".")
                )
            case ssl.SSLError():
                return verdict_of_failure(url, ConnectionFailure.TLS, cause.reason or "handshake failed")
            case socket.gaierror():
                return verdict_of_failure(url, ConnectionFailure.DNS, str(cause))
            case ConnectionRefusedError():
                return verdict_of_failure(url, ConnectionFailure.REFUSED, str(cause))
            case httpx.ProxyError():
                return verdict_of_failure(url, ConnectionFailure.PROXY, str(cause))
            case TimeoutError() | httpx.TimeoutException():
                return verdict_of_failure(url, ConnectionFailure.TIMEOUT, str(cause))
            case _:
                continue
    return verdict_of_failure(url, ConnectionFailure.OTHER, type(error).__name__)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it, the deepest first: httpx wraps the most specific one."""
    chain: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and at not in chain:
        chain.append(at)
        at = at.__cause__ or at.__context__
    return reversed(chain)


class EndpointProbe:
    """Asks once per interval, for all ScimTokens together, and remembers what came of it.

    Args:
        url: the SCIM base URL that people paste.
        client: for the requests.
        interval: seconds between two checks; None: never.
        changed: called when the verdict differs from the one before.
    """

    def __init__(
        self, url: str, client: httpx.AsyncClient, *, interval: float | None, changed: Callable[[], None]
    ) -> None:
        self._url, self._client, self._interval, self._changed = url, client, interval, changed
        self._reach: EndpointVerdict | None = CHECK_DISABLED if interval is None else None

    @property
    def verdict(self) -> EndpointVerdict | None:
        """The verdict of the last check; None before the first."""
        return self._reach

    async def run(self) -> None:
        """Check until cancelled."""
        if self._interval is None:
            self._changed()
            return
        while True:
            verdict = await probe(self._url, self._client)
            if verdict.status == "False" and self._reach != verdict:
                await asyncio.sleep(min(CONFIRM_SECONDS, self._interval))
                verdict = await probe(self._url, self._client)
            self._update(verdict)
            await asyncio.sleep(self._interval)

    def _update(self, verdict: EndpointVerdict) -> None:
        if verdict == self._reach:
            return
        self._reach = verdict
        (log.info if verdict.status == "True" else log.warning)(
            "endpoint checked", url=self._url, reason=verdict.reason, message=verdict.message
        )
        self._changed()

"""HTTP requests to where others say: the address is checked after the name is resolved, and the connection goes there.

No redirects, no cookies, no compression, and an answer is read up to a bound.
"""

import asyncio
import dataclasses
import socket
import ssl
import urllib.request
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal

from scim_api.contract.tls import without_strict_profile
from scim_api.outbound.addresses import HttpUrl, is_address

if TYPE_CHECKING:
    import httpx

CONNECT_SECONDS: Final = 2.0
"""For each address."""
MAX_TARGETS: Final = 4
"""Addresses of one name that are tried one after the other."""
_KEEP_SECONDS: Final = 5.0
"""How long an idle connection is kept, where any is."""

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host."""
Failure = Literal["refused", "dns", "tls", "connect", "answer"]


class NotAnswered(Exception):
    """There was no answer; the message says why, and repeats nothing that the other side wrote."""

    def __init__(self, failure: Failure, reason: str) -> None:
        super().__init__(reason)
        self.failure: Final = failure
        """``refused``: the address may not be asked; ``answer``: it was no whole HTTP response."""


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """A response, as far as it was read."""

    status: int
    headers: Mapping[str, str]
    """By lower-case names."""
    body: bytes
    is_whole: bool
    """Whether the body ended within the bound."""


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host, as the system's resolver has them. Raises ``OSError`` and ``UnicodeError``."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class PinnedClient:
    """Asks checked addresses.

    A host's name is resolved once for a request, and the connection goes to an address that was checked; its
    certificate has to be one for the name. By an egress proxy (HTTPS_PROXY, but for NO_PROXY's names) the proxy
    resolves and decides.

    httpx is imported by the first request.

    Args:
        resolver: of names.
        transport: to be asked in the place of the network.
        verify: whose certificates to trust; None for the usual ones.
        kept: idle connections that are kept. They are kept by address: with any, all requests have to be to one host.
    """

    def __init__(
        self,
        *,
        resolver: Resolver = resolve,
        transport: "httpx.AsyncBaseTransport | None" = None,
        verify: ssl.SSLContext | None = None,
        kept: int = 0,
    ) -> None:
        self._resolve, self._given, self._verify, self._kept = resolver, transport, verify, kept
        self._transports: dict[str | None, httpx.AsyncBaseTransport] = {}
        self._opening = asyncio.Lock()

    async def ask(
        self,
        method: str,
        url: HttpUrl,
        *,
        is_allowed: Callable[[str], bool],
        headers: Mapping[str, str],
        limit: int,
        seconds: float,
        content: bytes | None = None,
    ) -> Answer:
        """The answer to one request.

        Args:
            method: of HTTP.
            url: where.
            is_allowed: which addresses may be asked.
            headers: besides ``Host`` and what a body needs.
            limit: bytes of the answer's body that are read.
            seconds: for each read and write; the caller bounds the whole.
            content: the body.

        Raises:
            NotAnswered: there was no answer.
        """
        proxy = _proxy_for(url)
        transport = await self._transport(proxy)
        import httpx  # by now it has been imported, in another thread

        if proxy is None or is_address(url.host):
            targets = await self._addresses(url, is_allowed)
        else:
            targets = [url.host]
        failure: Exception | None = None
        for target in targets[:MAX_TARGETS]:
            request = _request(method, url, target, headers, content, seconds)
            try:
                return await _read(transport, request, limit)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
            except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
                raise NotAnswered("answer", f"no whole answer ({type(error).__name__})") from None
        raise _not_connected(failure, url, proxy)

    async def aclose(self) -> None:
        """Close what was opened."""
        transports, self._transports = self._transports, {}
        for transport in transports.values():
            await transport.aclose()

    async def _addresses(self, url: HttpUrl, is_allowed: Callable[[str], bool]) -> list[str]:
        """Where the connection may go, at least one."""
        try:
            found = list(dict.fromkeys(await self._resolve(url.host, url.port)))
        except (OSError, UnicodeError):
            found = []
        if not found:
            raise NotAnswered("dns", f"{url.host} can't be resolved")
        allowed = [one for one in found if is_allowed(one)]
        if not allowed:
            raise NotAnswered("refused", f"{url.host} is at {found[0][:64]}, which is no public address")
        return allowed

    async def _transport(self, proxy: str | None) -> "httpx.AsyncBaseTransport":
        async with self._opening:
            transport = self._given or self._transports.get(proxy)
            if transport is None:
                transport = await asyncio.to_thread(_new_transport, self._verify, proxy, self._kept)
                self._transports[proxy] = transport
            return transport


def _request(
    method: str, url: HttpUrl, target: str, headers: Mapping[str, str], content: bytes | None, seconds: float
) -> "httpx.Request":
    import httpx

    host = f"[{target}]" if ":" in target else target
    return httpx.Request(
        method,
        f"{url.scheme}://{host}:{url.port}{url.target}",
        headers={"Host": url.authority, "Accept-Encoding": "identity", "User-Agent": "scim-api", **headers},
        content=content,
        extensions={
            "sni_hostname": url.host,
            "timeout": httpx.Timeout(seconds, connect=CONNECT_SECONDS).as_dict(),
        },
    )


async def _read(transport: "httpx.AsyncBaseTransport", request: "httpx.Request", limit: int) -> Answer:
    response = await transport.handle_async_request(request)
    headers = {name.lower(): value for name, value in response.headers.items()}
    try:
        body = bytearray()
        async for piece in response.aiter_raw():
            body += piece
            if len(body) > limit:
                return Answer(response.status_code, headers, bytes(body[:limit]), is_whole=False)
        return Answer(response.status_code, headers, bytes(body), is_whole=True)
    finally:
        await response.aclose()


def _new_transport(verify: ssl.SSLContext | None, proxy: str | None, kept: int) -> "httpx.AsyncBaseTransport":
    """Takes a tenth of a second: httpx is imported, and the authorities to trust are read."""
    import httpx

    limits = httpx.Limits(max_keepalive_connections=kept, keepalive_expiry=_KEEP_SECONDS)
    try:
        if proxy is not None and (httpx.URL(proxy).port or 0) not in range(65_536):
            raise ValueError(proxy)
        context = verify or without_strict_profile(httpx.create_ssl_context())
        return httpx.AsyncHTTPTransport(verify=context, proxy=proxy, limits=limits)
    except (httpx.InvalidURL, ValueError, ImportError, OSError):
        raise NotAnswered("connect", "HTTPS_PROXY is no URL of a proxy, or SSL_CERT_FILE no file") from None


def _proxy_for(url: HttpUrl) -> str | None:
    """The egress proxy by which a URL is asked; None: directly."""
    if url.scheme != "https":
        return None
    proxies = urllib.request.getproxies_environment()
    proxy = proxies.get("https") or proxies.get("all")
    if not proxy or urllib.request.proxy_bypass_environment(url.host, proxies):  # type: ignore[attr-defined]
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _not_connected(error: BaseException | None, url: HttpUrl, proxy: str | None) -> NotAnswered:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return NotAnswered(
                "tls", f"the certificate at {url.host} is not one for this name that is trusted here"
            )
        if isinstance(error, ssl.SSLError):
            return NotAnswered("tls", f"no TLS connection to {url.host} came about")
        error = error.__cause__ or error.__context__
    return NotAnswered(
        "connect", f"{url.authority if proxy is None else 'the egress proxy'} can't be connected to"
    )

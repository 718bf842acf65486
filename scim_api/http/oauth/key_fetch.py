"""Fetching an issuer's keys over HTTPS, within bounds and from nowhere but where an administrator allows it."""

import asyncio
import socket
import ssl
import urllib.request
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final, Literal

from scim_api.http.oauth.key_address import KeyAddress, KeyHosts, is_public
from scim_api.http.oauth.key_set import MAX_KEY_SET, KeySet, KeySetInvalid, parse_key_set

if TYPE_CHECKING:
    import httpx

FETCH_SECONDS: Final = 5.0
"""For all of it: the name, the connection, and the answer."""
CONNECT_SECONDS: Final = 2.0
"""For each address."""
MAX_TARGETS: Final = 4
"""Addresses of one name that are tried one after the other."""
MAX_FETCHES: Final = 8
"""At a time, of all issuers."""
_MEDIA_TYPES: Final = ("application/json", "application/jwk-set+json")

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host."""


class KeysNotFetched(Exception):
    """Keys were not fetched; the message says why, and repeats nothing that the other side wrote."""

    def __init__(self, result: Literal["refused", "unreachable", "invalid"], reason: str) -> None:
        super().__init__(reason)
        self.result: Final = result
        """For the metric: not to be asked, did not answer, or answered something else than keys."""


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host, as the system's resolver has them. Raises ``OSError`` and ``UnicodeError``."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class KeyFetcher:
    """Asks for keys: no redirects, no cookies, no compression.

    A host's name is resolved once, and the connection goes to an address that was checked; its certificate has to be
    one for the name. By an egress proxy (HTTPS_PROXY, but for NO_PROXY's names) the proxy resolves and decides.

    httpx is imported by the first fetch: a service without workload identities does without it.

    Args:
        hosts: the administrator's.
        seconds: for one fetch.
        resolver: of names.
        transport: to be asked in the place of the network.
        verify: whose certificates to trust; None for the usual ones.
    """

    def __init__(
        self,
        hosts: KeyHosts,
        *,
        seconds: float = FETCH_SECONDS,
        resolver: Resolver = resolve,
        transport: "httpx.AsyncBaseTransport | None" = None,
        verify: ssl.SSLContext | None = None,
    ) -> None:
        self._hosts, self._seconds, self._resolve, self._verify = hosts, seconds, resolver, verify
        self._given = transport
        self._transports: dict[str | None, httpx.AsyncBaseTransport] = {}
        self._opening, self._turns = asyncio.Lock(), asyncio.Semaphore(MAX_FETCHES)

    def check(self, url: str) -> KeyAddress:
        """The parts of a URL that may be asked. Raises ``KeysNotFetched``."""
        address = self._hosts.address(url)
        if address is None:
            raise KeysNotFetched(
                "refused", "the host is not on the administrator's list (SCIM_API_KEYS_HOSTS)"
            )
        return address

    async def fetch(self, url: str) -> KeySet:
        """The keys that are published there now. Raises ``KeysNotFetched``."""
        address = self.check(url)
        try:
            async with asyncio.timeout(self._seconds), self._turns:
                text = await self._ask(address)
        except TimeoutError:
            raise KeysNotFetched("unreachable", f"no answer within {self._seconds:g} seconds") from None
        try:
            return parse_key_set(text)
        except KeySetInvalid as error:
            raise KeysNotFetched("invalid", f"what is published there can't be used: {error}") from None

    async def aclose(self) -> None:
        """Close what was opened."""
        transports, self._transports = self._transports, {}
        for transport in transports.values():
            await transport.aclose()

    async def _ask(self, address: KeyAddress) -> bytes:
        proxy = _proxy_for(address)
        transport = await self._transport(proxy)
        import httpx  # by now it has been imported, in another thread

        targets = [address.host] if proxy is not None else await self._addresses(address)
        for target in targets[:MAX_TARGETS]:
            try:
                return await self._read(transport, address, target)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
            except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
                raise KeysNotFetched("unreachable", f"no whole answer ({type(error).__name__})") from None
        raise KeysNotFetched("unreachable", _why_not_connected(failure, address, proxy))

    async def _addresses(self, address: KeyAddress) -> list[str]:
        """Where the connection may go, at least one."""
        try:
            found = list(dict.fromkeys(await self._resolve(address.host, address.port)))
        except (OSError, UnicodeError):
            found = []
        if not found:
            raise KeysNotFetched("unreachable", f"{address.host} can't be resolved")
        allowed = [one for one in found if address.is_named or is_public(one)]
        if not allowed:
            raise KeysNotFetched(
                "refused", f"{address.host} is at {found[0][:64]}, which is no public address"
            )
        return allowed

    async def _read(self, transport: "httpx.AsyncBaseTransport", address: KeyAddress, target: str) -> bytes:
        """The body of the answer of whoever is at ``target``, an address or the host's own name."""
        import httpx

        host = f"[{target}]" if ":" in target else target
        request = httpx.Request(
            "GET",
            f"{address.scheme}://{host}:{address.port}{address.target}",
            headers={
                "Host": address.authority,
                "Accept": ", ".join(_MEDIA_TYPES),
                "Accept-Encoding": "identity",
                "User-Agent": "scim-api",
            },
            extensions={
                "sni_hostname": address.host,
                "timeout": httpx.Timeout(self._seconds, connect=CONNECT_SECONDS).as_dict(),
            },
        )
        response = await transport.handle_async_request(request)
        try:
            _check_head(response)
            body = bytearray()
            async for piece in response.aiter_raw():
                body += piece
                if len(body) > MAX_KEY_SET:
                    raise KeysNotFetched("invalid", f"the answer has more than {MAX_KEY_SET} bytes")
            return bytes(body)
        finally:
            await response.aclose()

    async def _transport(self, proxy: str | None) -> "httpx.AsyncBaseTransport":
        async with self._opening:
            transport = self._given or self._transports.get(proxy)
            if transport is None:
                transport = await asyncio.to_thread(_new_transport, self._verify, proxy)
                self._transports[proxy] = transport
            return transport


def _new_transport(verify: ssl.SSLContext | None, proxy: str | None) -> "httpx.AsyncBaseTransport":
    """Takes a tenth of a second: httpx is imported, and the authorities to trust are read."""
    import httpx

    limits = httpx.Limits(max_keepalive_connections=0)
    try:
        if proxy is not None and (httpx.URL(proxy).port or 0) not in range(65_536):
            raise ValueError(proxy)
        return httpx.AsyncHTTPTransport(verify=verify or True, proxy=proxy, limits=limits)
    except (httpx.InvalidURL, ValueError, ImportError, OSError):
        raise KeysNotFetched(
            "unreachable", "HTTPS_PROXY is no URL of a proxy, or SSL_CERT_FILE no file"
        ) from None


def _proxy_for(address: KeyAddress) -> str | None:
    """The egress proxy by which the keys are asked for; None: directly."""
    if address.scheme != "https":
        return None
    proxies = urllib.request.getproxies_environment()
    proxy = proxies.get("https") or proxies.get("all")
    if not proxy or urllib.request.proxy_bypass_environment(address.host, proxies):  # type: ignore[attr-defined]
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _check_head(response: "httpx.Response") -> None:
    if response.status_code != 200:
        raise KeysNotFetched("invalid", f"the answer's status is {response.status_code}; it has to be 200")
    media_type = response.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type not in _MEDIA_TYPES:
        raise KeysNotFetched("invalid", "the answer's Content-Type is not application/json")
    if response.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise KeysNotFetched("invalid", "the answer is compressed, which was not asked for")


def _why_not_connected(error: BaseException | None, address: KeyAddress, proxy: str | None) -> str:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"the certificate at {address.host} is not one for this name that is trusted here"
        if isinstance(error, ssl.SSLError):
            return f"no TLS connection to {address.host} came about"
        error = error.__cause__ or error.__context__
    return f"{address.authority if proxy is None else 'the egress proxy'} can't be connected to"

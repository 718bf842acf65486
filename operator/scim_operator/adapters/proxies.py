"""Which requests go by a proxy: those to the world outside, as HTTPS_PROXY and NO_PROXY say, and no others.

What is asked inside of the cluster, Kubernetes and the SCIM API's Services, is asked directly: a proxy outside
can't reach it, and has no business with it. For the rest NO_PROXY is read as Go programs and curl read it, with
networks such as 10.0.0.0/8, which neither httpx nor aiohttp understands.
"""

import contextlib
import dataclasses
import ipaddress
import socket
import ssl
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Final, Self

import httpx
import structlog
from kubernetes.aio import client

from scim_api.contract.tls import without_strict_profile

log = structlog.get_logger(__name__)

ALWAYS_DIRECT: Final = ("localhost", "127.0.0.0/8", "::1/128", ".svc", ".cluster.local")
"""Never by a proxy, whatever NO_PROXY says."""
_SCHEMES: Final = ("http", "https")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclasses.dataclass(frozen=True, slots=True)
class _Exemption:
    """One entry of NO_PROXY."""

    network: Network | None = None
    name: str = ""
    """Itself and all names below it; empty with no network: every host."""
    port: int | None = None
    """None: any."""

    def covers(self, host: str, port: int | None) -> bool:
        if self.port not in (None, port):
            return False
        if self.network is None:
            return not self.name or host == self.name or host.endswith(f".{self.name}")
        with contextlib.suppress(ValueError):
            address = ipaddress.ip_address(host)
            return (getattr(address, "ipv4_mapped", None) or address) in self.network
        return False


def _exemptions(entries: str) -> Iterator[_Exemption]:
    for entry in entries.lower().replace(",", " ").split():
        name, port = entry, None
        if (network := _network(entry)) is None:
            before, colon, after = entry.rpartition(":")
            if colon and after.isdecimal():
                name, port = before, int(after)
                network = _network(name)
        name = "" if network is not None else name.removeprefix("*").strip(".")
        if network is not None or name or entry == "*":
            yield _Exemption(network, name, port)


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text.removeprefix("[").removesuffix("]"), strict=False)
    except ValueError:
        return None


@dataclasses.dataclass(frozen=True, slots=True)
class ProxyRules:
    """What the environment says about proxies."""

    proxies: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """The proxy's URL by the scheme of the request's, ``http`` or ``https``."""
    exempt: tuple[_Exemption, ...] = ()

    @classmethod
    def read(cls, variables: Mapping[str, str]) -> Self:
        """From HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY by their first words in lower case: ``http``, ``no``."""
        proxies: dict[str, str] = {}
        for scheme in _SCHEMES:
            variable = scheme if variables.get(scheme) else "all"
            if value := variables.get(variable):
                url = value if "://" in value else f"http://{value}"
                if _usable(url):
                    proxies[scheme] = url
                else:
                    log.warning(
                        "proxy ignored",
                        variable=f"{variable.upper()}_PROXY",
                        reason="write http://host:port or https://host:port",
                    )
        return cls(proxies, tuple(_exemptions(",".join((*ALWAYS_DIRECT, variables.get("no", ""))))))

    def proxy_for(self, url: httpx.URL) -> str | None:
        """The URL of the proxy by which a request to ``url`` goes; None: directly."""
        proxy = self.proxies.get(url.scheme)
        if proxy is None:
            return None
        host = url.raw_host.decode("ascii").removesuffix(".").lower()
        port = url.port or {"http": 80, "https": 443}.get(url.scheme)
        return None if any(entry.covers(host, port) for entry in self.exempt) else proxy


def _usable(url: str) -> bool:
    try:
        return httpx.Proxy(url).url.scheme in _SCHEMES and bool(httpx.URL(url).host)
    except (httpx.InvalidURL, ValueError):
        return False


class OutsideTransport(httpx.AsyncBaseTransport):
    """Sends each request directly or by a proxy, as the rules say.

    Args:
        rules: of the environment.
        verify: whose certificates to trust; None for the usual ones.
    """

    def __init__(self, rules: ProxyRules, *, verify: ssl.SSLContext | None = None) -> None:
        self._rules = rules
        context = verify or without_strict_profile(httpx.create_ssl_context())
        self._by: dict[str | None, httpx.AsyncHTTPTransport] = {
            proxy: httpx.AsyncHTTPTransport(verify=context, proxy=proxy)
            for proxy in (None, *rules.proxies.values())
        }

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it. Raises ``httpx.ProxyError`` also when the proxy can't be reached: the fault is not the target's."""
        proxy = self._rules.proxy_for(request.url)
        try:
            return await self._by[proxy].handle_async_request(request)
        except httpx.ConnectError as error:
            if proxy is None or not _never_arrived(error):
                raise
        at = httpx.URL(proxy)
        raise httpx.ProxyError(
            f"the proxy {at.host}:{at.port or at.scheme} can't be reached", request=request
        )

    async def aclose(self) -> None:
        """Close all connections."""
        for transport in self._by.values():
            await transport.aclose()


def _never_arrived(error: BaseException | None) -> bool:
    """Whether no connection came about, so that it was the proxy's own address that failed."""
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return False
        if isinstance(error, socket.gaierror | ConnectionRefusedError):
            return True
        error = error.__cause__ or error.__context__
    return False


def outside_client(*, verify: ssl.SSLContext | None = None, timeout: httpx.Timeout) -> httpx.AsyncClient:
    """For what may be outside of the cluster: by the environment's proxy, with its exceptions."""
    rules = ProxyRules.read(urllib.request.getproxies_environment())
    return httpx.AsyncClient(transport=OutsideTransport(rules, verify=verify), timeout=timeout)


def inside_client(*, verify: ssl.SSLContext | bool = True, timeout: httpx.Timeout) -> httpx.AsyncClient:
    """For the SCIM API's own Services: never by a proxy."""
    return httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(verify=verify), timeout=timeout)


def kubernetes_client() -> client.ApiClient:
    """For Kubernetes as configured, by the kubeconfig's ``proxy-url`` if it has one; never by the environment's."""
    configuration = client.Configuration.get_default_copy()
    configuration.client_session_kwargs = {"trust_env": False}
    configuration.disable_strict_ssl_verification = True  # see scim_api.contract.tls
    return client.ApiClient(configuration)

"""URLs that may be asked at all, and addresses that are on the internet."""

import dataclasses
import ipaddress
import re
from collections.abc import Sequence
from typing import Final, Self

_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>[0-9A-Za-z.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<target>/[!\"$-\[\]-~]*)?"
)
"""No user, no fragment, no backslash; a path and perhaps a query."""
PORTS: Final = {"http": 80, "https": 443}
_NOT_PUBLIC: Final = tuple(
    ipaddress.ip_network(network)
    for network in (
        # IANA's registry of special-purpose addresses (RFC 6890), but for what is globally reachable
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4",
        # of Azure's, where a virtual machine asks its host; not in the registry, and not on the internet
        "168.63.129.16/32",
        # the same for IPv6, within what is unicast at all
        "2001::/23", "2001:db8::/32", "3fff::/20",
    )
)  # fmt: skip
_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


@dataclasses.dataclass(frozen=True, slots=True)
class HttpUrl:
    """A URL of a form that may be asked, in its parts."""

    scheme: str
    host: str
    """In lower case; an IPv6 address without brackets."""
    port: int
    target: str
    """Path and query."""

    @classmethod
    def read(cls, text: str) -> Self | None:
        """The parts of an absolute http or https URL; None for every other text, one with a user among them."""
        parts = _URL.fullmatch(text)
        if parts is None:
            return None
        scheme = parts["scheme"]
        port = int(parts["port"] or PORTS[scheme])
        if not 0 < port <= 65535:
            return None
        return cls(scheme, parts["host"].lower().strip("[]"), port, parts["target"] or "/")

    @property
    def authority(self) -> str:
        """Host, and the port unless it is the scheme's own, as a ``Host`` header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclasses.dataclass(frozen=True, slots=True)
class AllowedNetworks:
    """Networks that an administrator allows although they are not on the internet."""

    networks: Sequence[Network] = ()

    @classmethod
    def read(cls, text: str) -> Self:
        """From a list with commas: ``10.0.0.0/8, fd00::/8``. Raises ``ValueError``, with what is wrong."""
        networks: list[Network] = []
        for entry in filter(None, (entry.strip() for entry in text.split(","))):
            try:
                networks.append(ipaddress.ip_network(entry))
            except ValueError:
                raise ValueError(
                    f"{entry!r} is no network: write CIDRs such as 10.0.0.0/8, with commas between them"
                ) from None
        return cls(tuple(networks))

    def __contains__(self, text: str) -> bool:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address):
            address = address.ipv4_mapped or address
        return any(address in network for network in self.networks if network.version == address.version)


def is_address(text: str) -> bool:
    """Whether a host is an IP address and no name."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_public(text: str) -> bool:
    """Whether an IP address, as a resolver tells it, is one that is reached over the internet and nowhere nearer.

    IPv4 addresses within IPv6 ones count as themselves: mapped (RFC 4291), 6to4 (RFC 3056), NAT64 (RFC 6052).
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(address.packed[12:])
        if inner is None and address not in _UNICAST:
            return False
        address = inner or address
    return not any(address in network for network in _NOT_PUBLIC if network.version == address.version)

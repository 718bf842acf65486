"""From where keys may be fetched: the administrator's list of hosts, and addresses that are on the internet."""

import dataclasses
import ipaddress
import re
from typing import Final, Self

_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>[0-9A-Za-z.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<target>/[!\"$-\[\]-~]*)?"
)
"""No user, no fragment, no backslash; a path and perhaps a query."""
_HOST: Final = re.compile(r"[0-9a-z]([0-9a-z.-]{0,251}[0-9a-z])?")
_PORTS: Final = {"http": 80, "https": 443}
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
class KeyAddress:
    """A URL of keys that may be asked, in its parts."""

    scheme: str
    host: str
    """In lower case; an IPv6 address without brackets."""
    port: int
    target: str
    """Path and query."""
    is_named: bool
    """Whether the administrator's list names this very origin, which then may be anywhere."""

    @property
    def authority(self) -> str:
        """Host, and the port unless it is the scheme's own, as a ``Host`` header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


@dataclasses.dataclass(frozen=True, slots=True)
class KeyHosts:
    """From where an administrator lets keys be fetched."""

    hosts: frozenset[str] = frozenset()
    """With https at port 443, at public addresses."""
    origins: frozenset[tuple[str, str, int]] = frozenset()
    """Scheme, host and port: in clear text and at private addresses, too."""

    @classmethod
    def read(cls, text: str) -> Self:
        """From a list with commas: ``login.example.com, http://127.0.0.1:8099``.

        Raises:
            ValueError: an entry is neither a host's name nor an origin; the message shows it.
        """
        hosts, origins = set(), set()
        for entry in filter(None, (entry.strip() for entry in text.split(","))):
            parts = _URL.fullmatch(entry)
            if parts is not None and parts["target"] in (None, "/") and _port(parts) is not None:
                origins.add(_origin(parts))
            elif _HOST.fullmatch(entry.lower()):
                hosts.add(entry.lower())
            else:
                raise ValueError(
                    f"{entry!r} is not a host: write names such as login.microsoftonline.com, or an origin such as "
                    "https://keys.example.com:8443, with commas between them"
                )
        return cls(frozenset(hosts), frozenset(origins))

    def address(self, url: str) -> KeyAddress | None:
        """The parts of a URL that may be asked; None for every other."""
        parts = _URL.fullmatch(url)
        if parts is None or _port(parts) is None:
            return None
        scheme, host, port = origin = _origin(parts)
        is_named = origin in self.origins
        if not is_named and not (scheme == "https" and port == _PORTS["https"] and host in self.hosts):
            return None
        return KeyAddress(scheme, host, port, parts["target"] or "/", is_named)


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


def _port(parts: re.Match[str]) -> int | None:
    port = int(parts["port"] or _PORTS[parts["scheme"]])
    return port if 0 < port <= 65535 else None


def _origin(parts: re.Match[str]) -> tuple[str, str, int]:
    return parts["scheme"], parts["host"].lower().strip("[]"), _port(parts) or 0

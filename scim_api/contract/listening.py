"""Where a program listens: one address for IPv4, for IPv6, or for both."""

import errno
import ipaddress
import socket
from typing import Final

EVERYWHERE: Final = "::"
"""All addresses of IPv6 and of IPv4, whichever of the two a machine has."""
_EVERYWHERE_IPV4: Final = "0.0.0.0"  # noqa: S104 (a pod's policies say who may ask)
_NO_IPV6: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT})


def bound(host: str, port: int) -> socket.socket:
    """A socket of TCP that is bound and does not listen yet.

    Args:
        host: an address, or a name of this machine. ``::`` takes connections of IPv4 too, whatever the system's
            default is, and becomes ``0.0.0.0`` where the kernel has no IPv6.
        port: 0 takes a free one.

    Raises:
        OSError: the address is taken, or none of this machine's.
    """
    try:
        return _bound(host, port)
    except OSError as error:
        if host != EVERYWHERE or error.errno not in _NO_IPV6:
            raise
    return _bound(_EVERYWHERE_IPV4, port)


def _bound(host: str, port: int) -> socket.socket:
    family, address = _address(host, port)
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if host == EVERYWHERE:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


def _address(host: str, port: int) -> tuple[socket.AddressFamily, tuple[object, ...]]:
    """Family and address to bind: of a name that has both, the one of IPv4."""
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, _, _, _, address = min(found, key=lambda item: item[0] != socket.AF_INET)
        return family, address
    return (socket.AF_INET6 if version == 6 else socket.AF_INET), (host, port)


def shown(host: str, port: int) -> str:
    """Both as in a URL: an address of IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

"""Listening for IPv4, IPv6 or both, with real sockets on loopback."""

import errno
import socket
from typing import Any

import pytest

from scim_api.contract import listening

BOTH = ("127.0.0.1", "::1")


def answering(host: str) -> list[str]:
    """At which loopback addresses a connection is taken, when bound to ``host``."""
    with listening.bound(host, 0) as listener:
        listener.listen()
        port = listener.getsockname()[1]
        return [address for address in BOTH if connects(address, port)]


def connects(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=5).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("::", [*BOTH]),
        ("0.0.0.0", ["127.0.0.1"]),
        ("127.0.0.1", ["127.0.0.1"]),
        ("::1", ["::1"]),
        ("localhost", ["127.0.0.1"]),
    ],
)
def test_an_address_takes_what_it_says(host: str, expected: list[str]) -> None:
    assert answering(host) == expected


def test_everywhere_is_both_also_where_the_system_keeps_them_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with net.ipv6.bindv6only=1."""

    class Apart(socket.socket):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            if self.family == socket.AF_INET6:
                self.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)

    monkeypatch.setattr(socket, "socket", Apart)
    assert answering("::") == [*BOTH]


@pytest.mark.parametrize("code", [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL])
def test_without_ipv6_everywhere_is_all_of_ipv4(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    class Without(socket.socket):
        def __init__(self, family: int = -1, *arguments: Any, **options: Any) -> None:
            if family == socket.AF_INET6:
                raise OSError(code, "no IPv6")
            super().__init__(family, *arguments, **options)

    monkeypatch.setattr(socket, "socket", Without)
    assert answering("::") == ["127.0.0.1"]
    with pytest.raises(OSError, match="no IPv6"):
        listening.bound("::1", 0)


def test_a_port_that_one_of_the_families_has_is_taken() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(OSError, match="in use"):
            listening.bound("::", other.getsockname()[1])


def test_a_name_that_is_none_is_an_os_error() -> None:
    with pytest.raises(OSError, match=r"known|resolution"):
        listening.bound("nobody.invalid", 0)


def test_an_address_is_shown_as_in_a_url() -> None:
    assert [listening.shown(host, 80) for host in ("::", "127.0.0.1")] == ["[::]:80", "127.0.0.1:80"]

"""From where keys may be fetched: the administrator's list of hosts."""

import dataclasses
import re
from typing import Final, Self

from scim_api.outbound.addresses import PORTS, HttpUrl

_HOST: Final = re.compile(r"[0-9a-z]([0-9a-z.-]{0,251}[0-9a-z])?")


@dataclasses.dataclass(frozen=True, slots=True)
class KeyAddress:
    """A URL of keys that may be asked."""

    url: HttpUrl
    is_named: bool
    """Whether the administrator's list names this very origin, which then may be anywhere."""


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
            url = HttpUrl.read(entry)
            if url is not None and url.target == "/":
                origins.add((url.scheme, url.host, url.port))
            elif _HOST.fullmatch(entry.lower()):
                hosts.add(entry.lower())
            else:
                raise ValueError(
                    f"{entry!r} is not a host: write names such as login.microsoftonline.com, or an origin such as "
                    "https://keys.example.com:8443, with commas between them"
                )
        return cls(frozenset(hosts), frozenset(origins))

    def address(self, text: str) -> KeyAddress | None:
        """The address of a URL that may be asked; None for every other."""
        url = HttpUrl.read(text)
        if url is None:
            return None
        is_named = (url.scheme, url.host, url.port) in self.origins
        is_listed = url.scheme == "https" and url.port == PORTS["https"] and url.host in self.hosts
        return KeyAddress(url, is_named) if is_named or is_listed else None

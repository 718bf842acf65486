"""Ports for processes that are started with a number: no two callers are given the same one.

A port that the kernel hands out and that is closed again may be handed out anew, to another caller or to a connection
that goes out, before the process listens on it. These are below Linux's range for that (``ip_local_port_range``).
"""

import itertools
import os
import random
import socket
from collections.abc import Iterator
from typing import Final

FIRST: Final = 10_000
LAST: Final = 29_999
"""Below the range of Kubernetes' NodePorts, too."""


def _numbers() -> Iterator[int]:
    span = LAST - FIRST + 1
    start = random.Random(f"{os.getpid()}/{os.urandom(8).hex()}").randrange(span)
    return (FIRST + (start + step) % span for step in itertools.count())


_NEXT: Final = _numbers()


def free_port() -> int:
    """A TCP port on loopback that nobody listens on now, and that no earlier call in this process has returned."""
    for port in _NEXT:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("the numbers do not end")

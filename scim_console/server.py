"""The console's server: on this machine alone, for the person who started it."""

import contextlib
import os
import socket
import threading
from collections.abc import Callable
from types import FrameType
from typing import Final

import uvicorn

from scim_console.access import Access
from scim_console.app import create_app
from scim_console.model import Source

ADDRESS: Final = "127.0.0.1"
_GRACE: Final = 2
"""Seconds for requests that are being answered when it ends."""


class PortInUse(Exception):
    """Another program listens there."""


class _Server(uvicorn.Server):
    """Ends what pages follow before it waits for their connections.

    Args:
        config: as uvicorn has it.
        close: ends what they follow.
    """

    def __init__(self, config: uvicorn.Config, close: Callable[[], None]) -> None:
        super().__init__(config)
        self._close = close

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal to end."""
        self._close()
        super().handle_exit(sig, frame)


def serve(
    source: Source,
    port: int,
    announce: Callable[[str], None],
    open_browser: Callable[[str], object] | None,
) -> None:
    """Serve until Ctrl-C.

    Args:
        source: what is shown.
        port: to listen on; 0: one that is free.
        announce: called with the address to open, when it is answered.
        open_browser: called with it in a thread of its own; None: nobody opens it.

    Raises:
        PortInUse: with what to do.
    """
    with contextlib.closing(_listening(port)) as listener:
        access = Access(listener.getsockname()[1])
        app = create_app(source, access)
        config = uvicorn.Config(
            app.asgi,
            log_level="warning",
            access_log=False,  # it would have the key
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE,
            ws="none",
        )
        threading.Thread(target=app.warm, daemon=True).start()
        announce(access.url)
        if open_browser is not None:
            threading.Thread(target=open_browser, args=(access.url,), daemon=True).start()
        # uvicorn sends itself the signal once more when it has ended.
        with contextlib.suppress(KeyboardInterrupt):
            _Server(config, app.close).run(sockets=[listener])


def _listening(port: int) -> socket.socket:
    """Listening already, so that whoever is told the address is answered."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # on Windows it would let another program listen there, too
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((ADDRESS, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise PortInUse(
            f"port {port} of {ADDRESS} is not free ({error.strerror}): leave --port out, or choose another"
        ) from None
    return listener

"""TLS on a port: a certificate that is renewed while we serve, and handshakes that cost a client no more than a head.

asyncio's TLS server holds a connection that never shakes hands for a minute, and counts it nowhere; uvicorn passes
neither on. Hence its protocol, as asyncio's and uvloop's transports both take it, with a number and a deadline.
"""

import asyncio
import ssl
import time
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import structlog
from uvicorn.config import Config
from uvicorn.server import ServerState

from scim_api.server.settings import SettingsError

log = structlog.get_logger(__name__)
CERTIFICATE_FILE: Final = "tls.crt"
KEY_FILE: Final = "tls.key"
REREAD_SECONDS: Final = 1.0
"""The files are looked at most this often, when a connection comes."""


class ServerCertificate:
    """Certificate and key as Kubernetes mounts a Secret of type ``kubernetes.io/tls``; a renewed pair counts from the
    next connection on.

    Args:
        directory: with ``tls.crt`` and ``tls.key``, in PEM.
        clock: seconds that only go forward.

    Raises:
        SettingsError: they are not there, or no pair.
    """

    def __init__(self, directory: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._directory, self._clock = directory, clock
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_3
        self._read_at, self._changed_at = clock(), 0
        try:
            self._load()
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(
                f"operator-tls-dir: {directory} needs {CERTIFICATE_FILE} and {KEY_FILE}, a pair in PEM"
                f" ({error.strerror or type(error).__name__})"
            ) from None

    @property
    def context(self) -> ssl.SSLContext:
        """For the next connection."""
        now = self._clock()
        if now - self._read_at >= REREAD_SECONDS:
            self._read_at = now
            try:
                self._load()
            except (OSError, ssl.SSLError) as error:
                log.warning("TLS certificate not read; the one before is kept", reason=type(error).__name__)
        return self._context

    def _load(self) -> None:
        certificate, key = self._directory / CERTIFICATE_FILE, self._directory / KEY_FILE
        changed_at = max(certificate.stat().st_mtime_ns, key.stat().st_mtime_ns)
        if changed_at != self._changed_at:
            self._context.load_cert_chain(certificate, key)
            self._changed_at = changed_at


class BoundedTls(SSLProtocol):
    """A connection until it has shaken hands; then ``protocol`` has it, through TLS.

    Args:
        config: uvicorn's.
        server_state: uvicorn's.
        app_state: uvicorn's.
        certificate: to show.
        protocol: makes the protocol behind it, from uvicorn's arguments.
        handshakes: at most so many at a time; the next one takes the place of the oldest.
        seconds: how long one may take.
    """

    _shaking: Final[dict["BoundedTls", None]] = {}
    """In the order of their arrival."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        certificate: ServerCertificate,
        protocol: Callable[..., asyncio.BaseProtocol],
        handshakes: int,
        seconds: float,
    ) -> None:
        super().__init__(
            _loop or asyncio.get_running_loop(),
            protocol(config, server_state, app_state),
            certificate.context,
            None,  # type: ignore[arg-type]  # nobody waits
            server_side=True,
            ssl_handshake_timeout=seconds,  # type: ignore[arg-type]
            ssl_shutdown_timeout=seconds,
        )
        self._handshakes = handshakes

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to shake hands."""
        if len(self._shaking) >= self._handshakes:
            next(iter(self._shaking)).abort_handshake()
        self._shaking[self] = None
        self._plain = transport
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """It is over, maybe before it began."""
        self._shaking.pop(self, None)
        super().connection_lost(exc)

    def abort_handshake(self) -> None:
        """End it; whoever it is has taken too long."""
        self._shaking.pop(self, None)
        self._plain.abort()

    def _on_handshake_complete(self, handshake_exc: BaseException | None) -> None:
        self._shaking.pop(self, None)
        super()._on_handshake_complete(handshake_exc)

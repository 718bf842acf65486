"""One request to the endpoint without a credential, as anybody on the internet may make it: TLS, name and answer.

By the standard library, so that ``doctor`` also works where no HTTP client is installed.
"""

import contextlib
import functools
import http.client
import json
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from kubectl_scim.doctor.facts import Answer, Certificate, Failure
from kubectl_scim.tls import without_strict_profile

SECONDS: Final = 10.0
_BODY_LIMIT: Final = 65_536
_ERROR: Final = "urn:ietf:params:scim:api:messages:2.0:Error"


def ask(url: str, release: str, context: ssl.SSLContext | None = None) -> Answer:
    """What ``GET <url>/ServiceProviderConfig`` comes to; through the proxy of the environment, if there is one.

    Args:
        url: the SCIM base URL.
        release: of this plugin, for the User-Agent.
        context: whom to trust; None: whom this machine trusts.
    """
    seen: list[Certificate] = []
    if not url.startswith(("https://", "http://")):
        return Answer(url, failure=Failure.OTHER, detail="no http or https")
    opener = urllib.request.build_opener(
        _Https(context or without_strict_profile(ssl.create_default_context()), seen), _NoRedirect()
    )
    try:
        request = urllib.request.Request(  # noqa: S310 (http and https only)
            f"{url}/ServiceProviderConfig", headers={"User-Agent": f"kubectl-scim/{release}"}
        )
        with opener.open(request, timeout=SECONDS) as answer:
            return Answer(url, answer.status, certificate=_first(seen))
    except urllib.error.HTTPError as answer:
        with answer:
            body = b""
            with contextlib.suppress(OSError, http.client.HTTPException):
                body = answer.read(_BODY_LIMIT)
            where = answer.headers.get("Location")
            return Answer(url, answer.code, _is_scim_error(body), location=where, certificate=_first(seen))
    except (OSError, http.client.HTTPException, ValueError) as error:
        failure, detail = _failure(error)
        return Answer(url, failure=failure, detail=detail, certificate=_first(seen))


class _Connection(http.client.HTTPSConnection):
    """Keeps the certificate of the server that it has verified."""

    def __init__(self, *arguments: Any, seen: list[Certificate], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._seen = seen

    def connect(self) -> None:
        super().connect()
        found = self.sock.getpeercert()
        if found:
            self._seen.append(_certificate(found))


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, context: ssl.SSLContext, seen: list[Certificate]) -> None:
        super().__init__(context=context)
        self._mine, self._seen = context, seen

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        connection: Any = functools.partial(_Connection, seen=self._seen)
        return self.do_open(connection, req, context=self._mine)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Entra follows none."""

    def redirect_request(self, *_arguments: Any, **_options: Any) -> None:
        return None


def _first(seen: list[Certificate]) -> Certificate | None:
    return seen[0] if seen else None


def _certificate(found: dict[str, Any]) -> Certificate:
    begins, ends = (
        datetime.fromtimestamp(ssl.cert_time_to_seconds(found[key]), UTC) for key in ("notBefore", "notAfter")
    )
    return Certificate(begins, ends, tuple(name for _, name in found.get("subjectAltName", ())))


def _is_scim_error(body: bytes) -> bool:
    with contextlib.suppress(ValueError, RecursionError):
        content = json.loads(body)
        return isinstance(content, dict) and content.get("schemas") == [_ERROR]
    return False


def _failure(error: BaseException) -> tuple[Failure, str]:
    for cause in _causes(error):
        match cause:
            case ssl.SSLCertVerificationError():
                return Failure.CERTIFICATE, cause.verify_message.rstrip(".")
            case ssl.SSLError():
                return Failure.TLS, cause.reason or "the handshake failed"
            case socket.gaierror():
                return Failure.DNS, cause.strerror or str(cause)
            case ConnectionRefusedError():
                return Failure.REFUSED, cause.strerror or str(cause)
            case TimeoutError():
                return Failure.TIMEOUT, f"within {SECONDS:g} s"
            case _:
                continue
    return Failure.OTHER, str(error) or type(error).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it."""
    at: BaseException | None = error
    while at is not None:
        yield at
        reason = getattr(at, "reason", None)
        at = reason if isinstance(reason, BaseException) else at.__cause__ or at.__context__

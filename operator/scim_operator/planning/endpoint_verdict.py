"""What a check of the public URL means, as the condition EndpointReachable tells it. Pure."""

import contextlib
import dataclasses
import socket
import ssl
from collections.abc import Iterator
from typing import Final, Literal
from urllib.parse import urlsplit

import httpx
import orjson

CHECK_SECONDS: Final = 10.0
"""For all of one check: a name that does not resolve, or a body that never ends, must not hold it."""


SCIM_ERROR: Final = "urn:ietf:params:scim:api:messages:2.0:Error"


_BEHIND: Final = frozenset({500, 502, 503, 504})


@dataclasses.dataclass(frozen=True, slots=True)
class Reach:
    """What became of a check; the words of the condition ``EndpointReachable``."""

    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str

    @property
    def words(self) -> str:
        """Reason and message."""
        return f"{self.reason} {self.message}"


SWITCHED_OFF: Final = Reach(
    "Unknown", "CheckSwitchedOff", "the endpoint is not checked (SCIM_OPERATOR_ENDPOINT_CHECK=false)"
)


NOT_YET: Final = Reach("Unknown", "NotCheckedYet", "the endpoint has not been checked yet")


def of_answer(url: str, status: int, body: bytes, location: str | None = None) -> Reach:
    """What an answer to a question without a token tells.

    Args:
        url: the SCIM base URL that was asked below.
        status: HTTP status.
        body: at least its first 64 KiB.
        location: where a redirect leads.
    """
    if status == 401 and _is_scim_error(body):
        return Reach("True", "Reachable", f"{url} answers as a SCIM API and asks for a token")
    match status:
        case 404:
            return _no(
                "NotFound",
                f"{url} answers 404: host and TLS are right, the path is not. Let the Ingress pass /scim/v2 and all "
                "below it to the SCIM API without rewriting it, and let SCIM_OPERATOR_ENDPOINT_URL end in /scim/v2",
            )
        case 401 | 407:
            return _no(
                "WrongService",
                f"{url} answers {status}, but not as a SCIM API: a proxy in front of it asks for a login of its own. "
                "Exempt /scim/v2 from it: Entra brings only its token",
            )
        case 403:
            return _no(
                "Forbidden",
                f"{url} answers 403 before the SCIM API is asked: a firewall or a list of allowed addresses. Let "
                "Entra's addresses in (service tag AzureActiveDirectory); if only the operator is kept out, set "
                "SCIM_OPERATOR_ENDPOINT_CHECK=false",
            )
        case 429:
            return _no("Overloaded", f"{url} answers 429: something in front of the SCIM API limits requests")
        case _ if 300 <= status < 400:
            aim = urlsplit(location or "")
            where = f"{aim.scheme}://{aim.netloc}" if aim.netloc else "another address"
            return _no(
                "Redirected",
                f"{url} answers {status} and sends on to {where}: Entra needs the final address. Put it into "
                "SCIM_OPERATOR_ENDPOINT_URL, with https",
            )
        case _ if status in _BEHIND:
            return _no(
                "Unavailable",
                f"{url} answers {status}: the Ingress is there, the SCIM API behind it is not, or has no database. "
                "Look at its pods, its Service and its log",
            )
        case _:
            return _no(
                "WrongService",
                f"{url} answers {status} where a SCIM API asks for a token: it leads to another service. Correct "
                "SCIM_OPERATOR_ENDPOINT_URL, or where the Ingress leads",
            )


def of_failure(url: str, error: BaseException) -> Reach:
    """What it tells that no answer came: TLS, name, port and time told apart."""
    parts = urlsplit(url)
    host = parts.hostname or url
    port = parts.port or (443 if parts.scheme == "https" else 80)
    for cause in _causes(error):
        match cause:
            case ssl.SSLCertVerificationError():
                return _no(
                    "TlsFailed",
                    f"the certificate of {host} is not trusted ({cause.verify_message.rstrip('.')}): Entra refuses it "
                    "too. Serve a certificate of a public authority, in its time, for this name, with its whole chain",
                )
            case ssl.SSLError():
                return _no(
                    "TlsFailed",
                    f"no TLS with {host}:{port} ({cause.reason or 'handshake failed'}): does that port speak HTTPS, "
                    "TLS 1.2 or newer?",
                )
            case socket.gaierror():
                return _no(
                    "DnsFailed",
                    f"the name {host} does not resolve: make its DNS record, or correct SCIM_OPERATOR_ENDPOINT_URL",
                )
            case ConnectionRefusedError():
                return _no(
                    "ConnectionRefused",
                    f"{host}:{port} refuses connections: nothing listens there. Look at the Ingress controller and "
                    "its Service",
                )
            case TimeoutError() | httpx.TimeoutException():
                return _no(
                    "TimedOut",
                    f"{host}:{port} does not answer within {CHECK_SECONDS:g} s: a firewall, or a cluster that does not "
                    "reach its own ingress. In that case set SCIM_OPERATOR_ENDPOINT_CHECK=false",
                )
            case _:
                continue
    return _no("ConnectionFailed", f"the connection to {host}:{port} failed ({type(error).__name__})")


def _no(reason: str, message: str) -> Reach:
    return Reach("False", reason, message)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it, the deepest first: httpx wraps what tells the most."""
    chain: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and at not in chain:
        chain.append(at)
        at = at.__cause__ or at.__context__
    return reversed(chain)


def _is_scim_error(body: bytes) -> bool:
    with contextlib.suppress(orjson.JSONDecodeError):
        content = orjson.loads(body)
        return isinstance(content, dict) and content.get("schemas") == [SCIM_ERROR]
    return False

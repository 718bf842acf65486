"""What a check of the public URL means, as the condition EndpointReachable reports it. Pure."""

import contextlib
import dataclasses
import enum
from typing import Final, Literal
from urllib.parse import urlsplit

import orjson

from scim_api.contract.urns import ERROR

CHECK_SECONDS: Final = 10.0
"""For all of one check: a name that does not resolve, or a body that never ends, must not hold it."""
_BACKEND_FAILED: Final = frozenset({500, 502, 503, 504})


@dataclasses.dataclass(frozen=True, slots=True)
class EndpointVerdict:
    """The result of a check: status, reason and message of the condition ``EndpointReachable``."""

    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str

    @property
    def summary(self) -> str:
        """Reason and message."""
        return f"{self.reason} {self.message}"


CHECK_DISABLED: Final = EndpointVerdict(
    "Unknown", "CheckDisabled", "the endpoint is not checked (SCIM_OPERATOR_ENDPOINT_CHECK=false)"
)
PENDING: Final = EndpointVerdict("Unknown", "Pending", "the endpoint has not been checked yet")


def verdict_of_response(url: str, status: int, body: bytes, location: str | None = None) -> EndpointVerdict:
    """What a response to a request without a token means.

    Args:
        url: the SCIM base URL that was asked below.
        status: HTTP status.
        body: at least its first 64 KiB.
        location: where a redirect leads.
    """
    if status == 401 and _is_scim_error(body):
        return EndpointVerdict("True", "Reachable", f"{url} answers as a SCIM API and asks for a token")
    match status:
        case 404:
            return _unreachable(
                "NotFound",
                f"{url} answers 404: host and TLS are right, the path is not. Let the Ingress pass /scim/v2 and all "
                "below it to the SCIM API without rewriting it, and let SCIM_OPERATOR_ENDPOINT_URL end in /scim/v2",
            )
        case 401 | 407:
            return _unreachable(
                "WrongService",
                f"{url} answers {status}, but not as a SCIM API: a proxy in front of it asks for a login of its own. "
                "Exempt /scim/v2 from it: Entra brings only its token",
            )
        case 403:
            return _unreachable(
                "Forbidden",
                f"{url} answers 403 before the SCIM API is asked: a firewall or a list of allowed addresses. Let "
                "Entra's addresses in (service tag AzureActiveDirectory); if only the operator is kept out, set "
                "SCIM_OPERATOR_ENDPOINT_CHECK=false",
            )
        case 429:
            return _unreachable(
                "Overloaded", f"{url} answers 429: something in front of the SCIM API limits requests"
            )
        case _ if 300 <= status < 400:
            aim = urlsplit(location or "")
            where = f"{aim.scheme}://{aim.netloc}" if aim.netloc else "another address"
            return _unreachable(
                "Redirected",
                f"{url} answers {status} and sends on to {where}: Entra needs the final address. Put it into "
                "SCIM_OPERATOR_ENDPOINT_URL, with https",
            )
        case _ if status in _BACKEND_FAILED:
            return _unreachable(
                "Unavailable",
                f"{url} answers {status}: the Ingress is there, the SCIM API behind it is not, or has no database. "
                "Look at its pods, its Service and its log",
            )
        case _:
            return _unreachable(
                "WrongService",
                f"{url} answers {status} where a SCIM API asks for a token: it leads to another service. Correct "
                "SCIM_OPERATOR_ENDPOINT_URL, or where the Ingress leads",
            )


class ConnectionFailure(enum.StrEnum):
    """Why no answer came."""

    CERTIFICATE = "certificate"
    TLS = "tls"
    DNS = "dns"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    PROXY = "proxy"
    OTHER = "other"


def verdict_of_failure(url: str, failure: ConnectionFailure, detail: str) -> EndpointVerdict:
    """What it means that no answer came: TLS, name, port and time told apart.

    Args:
        url: the SCIM base URL that was asked below.
        failure: which of them failed.
        detail: of the failure, in the words of the library that met it.
    """
    parts = urlsplit(url)
    host = parts.hostname or url
    port = parts.port or (443 if parts.scheme == "https" else 80)
    match failure:
        case ConnectionFailure.CERTIFICATE:
            return _unreachable(
                "TlsFailed",
                f"the certificate of {host} is not trusted ({detail}): Entra refuses it "
                "too. Serve a certificate of a public authority, in its time, for this name, with its whole chain",
            )
        case ConnectionFailure.TLS:
            return _unreachable(
                "TlsFailed",
                f"no TLS with {host}:{port} ({detail}): does that port speak HTTPS, TLS 1.2 or newer?",
            )
        case ConnectionFailure.DNS:
            return _unreachable(
                "DnsFailed",
                f"the name {host} does not resolve: make its DNS record, or correct SCIM_OPERATOR_ENDPOINT_URL",
            )
        case ConnectionFailure.REFUSED:
            return _unreachable(
                "ConnectionRefused",
                f"{host}:{port} refuses connections: nothing listens there. Look at the Ingress controller and "
                "its Service",
            )
        case ConnectionFailure.TIMEOUT:
            return _unreachable(
                "TimedOut",
                f"{host}:{port} does not answer within {CHECK_SECONDS:g} s: a firewall, or a cluster that does not "
                "reach its own ingress. In that case set SCIM_OPERATOR_ENDPOINT_CHECK=false",
            )
        case ConnectionFailure.PROXY:
            return _unreachable(
                "ConnectionFailed",
                f"no way to {host}:{port} by the proxy of HTTPS_PROXY or HTTP_PROXY ({detail}): let it pass there, or "
                f"add {host} to NO_PROXY",
            )
        case ConnectionFailure.OTHER:
            return _unreachable("ConnectionFailed", f"the connection to {host}:{port} failed ({detail})")


def _unreachable(reason: str, message: str) -> EndpointVerdict:
    return EndpointVerdict("False", reason, message)


def _is_scim_error(body: bytes) -> bool:
    with contextlib.suppress(orjson.JSONDecodeError):
        content = orjson.loads(body)
        return isinstance(content, dict) and content.get("schemas") == [ERROR]
    return False

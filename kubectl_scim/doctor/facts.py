"""What ``doctor`` has seen: each thing as it is, or why it could not be looked at; and how a check says so. Pure."""

import dataclasses
import enum
from collections.abc import Callable
from datetime import datetime
from typing import Final, Literal, TypeVar

from kubectl_scim.kubectl import Forbidden, KubectlError, NotFound
from scim_console.model import Check

T = TypeVar("T")
ASK_FOR_RIGHT: Final = "ask for this permission, or let somebody who has it run the doctor"


@dataclasses.dataclass(frozen=True, slots=True)
class Unread:
    """Something that could not be looked at."""

    why: Literal["missing", "denied", "failed"]
    message: str
    """What kubectl said; of ``denied`` it names the right."""


def read(call: Callable[[], T]) -> T | Unread:
    """What kubectl answers, or why there is no answer."""
    try:
        return call()
    except NotFound as error:
        return Unread("missing", str(error))
    except Forbidden as error:
        return Unread("denied", str(error))
    except KubectlError as error:
        return Unread("failed", str(error))


class Failure(enum.StrEnum):
    """Why no answer came from the endpoint."""

    CERTIFICATE = "certificate"
    TLS = "tls"
    DNS = "dns"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    OTHER = "other"


@dataclasses.dataclass(frozen=True, slots=True)
class Certificate:
    """A server's certificate that was verified, for its host name too."""

    not_before: datetime
    not_after: datetime
    names: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What a request to the endpoint without a credential came to."""

    url: str
    """The SCIM base URL."""
    status: int | None = None
    """Of HTTP; None: no answer came."""
    is_scim_error: bool = False
    """Whether the body is an error of a SCIM API (RFC 7644, section 3.12)."""
    location: str | None = None
    """Where a redirect leads."""
    failure: Failure | None = None
    detail: str = ""
    """Of the failure, in the words of the library that met it."""
    certificate: Certificate | None = None


def passed(name: str, message: str) -> Check:
    """It is as it should be."""
    return Check(name, "passed", message, None)


def failed(name: str, message: str, remedy: str) -> Check:
    """It is not; the remedy says what to do."""
    return Check(name, "failed", message, remedy)


def not_checkable(name: str, message: str, remedy: str | None = None) -> Check:
    """It cannot be determined."""
    return Check(name, "not checkable", message, remedy)


def unread(name: str, why: Unread) -> Check:
    """It cannot be determined, because something could not be looked at."""
    return not_checkable(name, why.message, ASK_FOR_RIGHT if why.why == "denied" else None)

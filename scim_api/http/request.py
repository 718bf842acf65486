"""One authenticated SCIM request, and the reading of bodies within bounds."""

import asyncio
import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl

from starlette.types import Receive

from scim_api.core import limits
from scim_api.core.errors import ScimError, invalid_value, quoted
from scim_api.core.json_body import decode_json
from scim_api.core.messages.search_request import SINGLE_PARAMETERS
from scim_api.core.schema.tenant_schema import TenantSchema
from scim_api.http.authentication import Authenticator
from scim_api.http.change_watch import ChangeWatch, most_waiting
from scim_api.http.metrics import Metrics
from scim_api.http.rate_limit import RateLimiter
from scim_api.http.token_refusals import TokenRefusals
from scim_api.store.change_log import CHANGE_RETENTION
from scim_api.store.protocol import Access, Store

MAX_DISCARDED_BYTES: Final = 32 * 1024 * 1024
"""How much of an unread body is discarded, so that the client gets to read the response."""


DISCARD_SECONDS: Final = 5.0
"""How long that may take."""
_LISTS: Final = frozenset({"attributes", "excludedattributes"})
_QUOTED_IN_QUERY: Final = re.compile(
    r'(?:"|%22)(?:(?:%5C|\\)(?:%..|.)|(?!"|%22).)*+(?:"|%22|\Z)', re.IGNORECASE | re.DOTALL
)
"""A string of a filter, still percent-encoded, up to its end; ``%5C`` is the backslash before a character."""
MAX_UNCOUNTED_BYTES: Final = 128 * 1024
"""Bodies no longer than this are not counted: the number of connections bounds them."""
Argument = TypeVar("Argument")
Result = TypeVar("Result")
_ASIDE: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="long-body")
"""Where long bodies are read, one after the other: several would take the interpreter from the event loop."""
MAX_BUFFERED_BODIES: Final = 64 * 1024 * 1024
"""Bytes of the longer bodies that one process holds at a time."""


class TooManyBodies(Exception):
    """The process holds ``MAX_BUFFERED_BODIES`` bytes of other requests' bodies; this one has to come again."""


class BufferedBodies:
    """How many bytes of long request bodies the process holds, bounded.

    Args:
        limit: bytes.
    """

    def __init__(self, limit: int = MAX_BUFFERED_BODIES) -> None:
        self._limit = limit
        self._total = 0

    @property
    def total(self) -> int:
        """Bytes that are held now."""
        return self._total

    async def read(self, receive: Receive, limit: int) -> bytes:
        """The whole body; whoever takes it gives it back with ``release``.

        Args:
            receive: the request's.
            limit: bytes that this body may have.

        Raises:
            BodyTooLarge: it has more.
            ClientDisconnected: it ends early.
            TooManyBodies: there is no room for it.
        """
        message = await receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            whole: bytes = message.get("body", b"")
            if len(whole) <= min(limit, MAX_UNCOUNTED_BYTES):
                return whole
        parts, size, held = list[bytes](), 0, 0
        try:
            while True:
                if message["type"] != "http.request":
                    raise ClientDisconnected
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > limit:
                    raise BodyTooLarge(limit)
                more = _counted(size) - held
                if self._total + more > self._limit:
                    raise TooManyBodies
                held += more
                self._total += more
                if not message.get("more_body", False):
                    return parts[0] if len(parts) == 1 else b"".join(parts)
                message = await receive()
        except BaseException:
            self._total -= held
            raise

    def release(self, body: bytes) -> None:
        """A body that was read is needed no more."""
        self._total -= _counted(len(body))


def _counted(size: int) -> int:
    return size if size > MAX_UNCOUNTED_BYTES else 0


@dataclasses.dataclass(slots=True)
class ServiceContext:
    """What requests share within one process."""

    store: Store
    authenticator: Authenticator
    limiter: RateLimiter
    metrics: Metrics
    base_url: str
    """The public URL up to and with ``/scim/v2``."""
    stopping: bool = False
    """Whether the process has been asked to end: it still serves, and is no longer ready."""
    bodies: BufferedBodies = dataclasses.field(default_factory=BufferedBodies)
    """Of both ports."""
    reading_limiter: RateLimiter = dataclasses.field(default_factory=RateLimiter)
    """Of ReadOnly tokens: however much applications read, it takes nothing from whoever provisions."""
    token_refusals: TokenRefusals = dataclasses.field(default_factory=TokenRefusals)
    """Of the token endpoint; a background job writes them."""
    group_body: int = limits.MAX_BODY
    """Bytes of a body at ``/Groups``."""
    keep_changes: timedelta = CHANGE_RETENTION
    """How long the log of changes goes back."""
    connections: dataclasses.InitVar[int] = 1_000
    """That the public port takes at a time."""
    change_watch: ChangeWatch = dataclasses.field(init=False)
    """Wakes requests that wait for changes."""

    def __post_init__(self, connections: int) -> None:
        self.change_watch = ChangeWatch(self.store.change_log, limit=most_waiting(connections))


@dataclasses.dataclass(slots=True)
class ScimRequest:
    """One authenticated request."""

    service: ServiceContext
    access: Access
    tenant_schema: TenantSchema
    headers: Mapping[bytes, bytes]
    query: bytes
    body: bytes
    resource_id: str
    document: dict[str, Any] | ScimError | None = None
    """What ``decode_aside`` has made of the body."""

    async def decode_aside(self, decode: Callable[[bytes], dict[str, Any]] | None = None) -> None:
        """Decode a long body in another thread: it may take a tenth of a second, in which others are answered."""
        try:
            self.document = await aside(decode or decode_json, self.body)
        except ScimError as error:
            self.document = error

    def json(self) -> dict[str, Any]:
        """The body as an object. Raises ``ScimError`` 415 or 400 (invalidSyntax)."""
        sent = self.headers.get(b"content-type", b"")
        content_type = sent.split(b";", 1)[0].strip().lower()
        if content_type not in (b"", b"application/scim+json", b"application/json"):
            raise ScimError(
                415,
                f"Send the body as application/scim+json or application/json: its Content-Type is"
                f" {quoted(sent.decode('latin-1'))}.",
            )
        if self.document is None:
            return decode_json(self.body)
        if isinstance(self.document, ScimError):
            raise self.document
        return self.document

    def query_parameters(self) -> dict[str, str]:
        """Query parameters with lower-case names; unknown ones, such as Entra's flags, are ignored.

        Raises:
            ScimError: 400 invalidValue for a query that cannot be read, or that says the same thing twice; the
                values of a parameter that is a list are joined.
        """
        if not self.query:
            return {}
        try:
            pairs = parse_qsl(
                _with_literal_plus(self.query.decode("ascii")),
                keep_blank_values=True,
                errors="strict",
                max_num_fields=100,
            )
        except ValueError as error:
            raise ScimError(
                400,
                "The query string has more than 100 parameters, or is not percent-encoded UTF-8; correct it.",
                "invalidValue",
            ) from error
        parameters: dict[str, str] = {}
        for name, value in pairs:
            key = name.lower()
            if key in parameters:
                value = _both(key, parameters[key], value)
            parameters[key] = value
        return parameters


async def aside(function: Callable[[Argument], Result], argument: Argument) -> Result:
    """What a pure function makes of much, while the event loop answers other requests. Raises what it raises."""
    return await asyncio.get_running_loop().run_in_executor(_ASIDE, function, argument)


def _with_literal_plus(query: str) -> str:
    """The query such that ``+`` is a blank wherever it stands.

    Forms write blanks as ``+``, and a plus as ``%2B``. Clients that follow RFC 3986 write blanks as ``%20``, and
    a plus as itself: in ``%20eq%20"ada+test@…"`` it belongs to the value between the quotation marks.
    """
    if "%20" not in query or "+" not in query:
        return query
    return _QUOTED_IN_QUERY.sub(lambda match: match[0].replace("+", "%2B"), query)


def _both(key: str, one: str, other: str) -> str:
    """The value of a parameter that comes twice. Raises 400 invalidValue when it can have one value alone."""
    if key in _LISTS:
        return ",".join(value for value in (one, other) if value)
    if key not in SINGLE_PARAMETERS:
        return other
    name = SINGLE_PARAMETERS[key]
    raise invalid_value(f"The query has {name} twice, {quoted(one)} and {quoted(other)}; send it once.")


class BodyTooLarge(Exception):
    """The body has more bytes than it may.

    Args:
        limit: bytes.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit


class ClientDisconnected(Exception):
    """The client closed the connection; there is nobody to respond to."""


async def discard_body(receive: Receive) -> None:
    """Read and forget the rest of a body, within bounds: a client that is still sending can't read the response."""
    remaining = MAX_DISCARDED_BYTES
    try:
        async with asyncio.timeout(DISCARD_SECONDS):
            while remaining > 0:
                message = await receive()
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return
                remaining -= len(message.get("body", b""))
    except TimeoutError:
        return


def encoding_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """How a body with these headers is encoded, as its Content-Encoding says; empty for not at all.

    Args:
        headers: all of them, names in lower case; the same name may come several times.
    """
    values = [value.decode("latin-1").strip() for name, value in headers if name == b"content-encoding"]
    codings = {coding.strip().lower() for value in values for coding in value.split(",")}
    return ", ".join(values) if codings - {"", "identity"} else ""


def has_body(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a request with these headers, names in lower case, has a body to read."""
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"

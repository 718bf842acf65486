"""Opening connections to PostgreSQL, and what its errors mean.

A URL may name several hosts, of which one takes writes at a time. They are tried in turn, each with a
deadline of its own, beginning with the one that worked last.
"""

import contextlib
import dataclasses
import getpass
import os
import ssl
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import quote, urlencode

import asyncpg
import structlog

from scim_api.contract.tls import without_strict_profile
from scim_api.store.errors import ReadOnly, Unavailable
from scim_api.store.postgres.pooler import pooled
from scim_api.store.urls import SYSTEM_ROOTS, PostgresUrl, in_file, parse_postgres, read_url

log = structlog.get_logger(__name__)

CONNECT_SECONDS: Final = 5.0
"""How long one host may take, unless the URL's ``connect_timeout`` says otherwise."""

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

UNAVAILABLE: Final = (
    OSError,  # a TimeoutError is one, too
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.exceptions.OperatorInterventionError,
    asyncpg.exceptions.InsufficientResourcesError,
    asyncpg.exceptions.InvalidAuthorizationSpecificationError,
    asyncpg.exceptions.InvalidCatalogNameError,
    asyncpg.exceptions.InsufficientPrivilegeError,
    asyncpg.exceptions.ReadOnlySQLTransactionError,
    asyncpg.exceptions.UndefinedTableError,
    asyncpg.exceptions.ForeignKeyViolationError,
)
_NEXT_HOST: Final = (
    OSError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.exceptions.OperatorInterventionError,
    asyncpg.exceptions.InsufficientResourcesError,
)
"""What another host may do better; a refused password is refused by all of them."""
_REFUSED: Final = (asyncpg.exceptions.InvalidAuthorizationSpecificationError,)
"""The server knows the user not, or by another password."""
_READ_ONLY: Final = (
    asyncpg.exceptions.ReadOnlySQLTransactionError,
    asyncpg.exceptions.TargetServerAttributeNotMatched,
)


@dataclasses.dataclass(frozen=True, slots=True)
class Session:
    """How a connection is used: how long a command may take (seconds; None for ever), how many prepared
    statements are kept, and settings of the session, ``application_name`` among them.
    """

    settings: Mapping[str, str]
    command_seconds: float | None = None
    cache: int = 100


class Connector:
    """Opens connections to the database of one URL.

    Where a file holds the URL, user and password are those that stand in it when a connection is opened: so a
    password may change while the process runs. Until the server takes the new one, the one that worked last is
    tried, too. Another address in the file needs a restart: the connections that are open lead to the old one.

    Args:
        url: ``postgresql://…``, or ``file:///path`` of a file that holds it.
        session: what each connection is like.

    Raises:
        ValueError: the URL is malformed, names no user where the process has none, or names a file that
            can't be read; one sentence, without a password.
    """

    def __init__(self, url: str, session: Session) -> None:
        self._source, self._session = url, session
        self._url = parse_postgres(read_url(url))
        check_user(self._url)
        self._options = _options(self._url, session)
        self._first = 0
        self._reported = ""

    async def __call__(self) -> Connection:
        """A connection, from the first host that gives one. Raises ``Unavailable``."""
        url = self._changed() if in_file(self._source) else None
        if url is None:
            return await self._open(self._options)
        options = {**self._options, "user": url.user, "password": url.password}
        try:
            connection = await self._open(options)
        except Unavailable as error:
            if not isinstance(error.__cause__, _REFUSED):
                raise
            self._report("user or password in the database URL's file are refused", str(error))
            try:
                return await self._open(self._options)
            except Unavailable as former:
                if not isinstance(former.__cause__, _REFUSED):
                    raise error from error.__cause__
            # Refused as well: the server has changed its mind between the two.
            connection = await self._open(options)
        self._url, self._options, self._reported = url, options, ""
        return connection

    def _changed(self) -> PostgresUrl | None:
        """The file's URL when its user or password are others than those that worked last; nothing else may be."""
        try:
            url = parse_postgres(read_url(self._source))
        except ValueError as error:
            self._report("the database URL's file can't be used; going on with what it held", str(error))
            return None
        if dataclasses.replace(url, user=self._url.user, password=self._url.password) != self._url:
            self._report("another address in the database URL's file; restart to use it", "")
            return None
        return url if (url.user, url.password) != (self._url.user, self._url.password) else None

    def _report(self, event: str, reason: str) -> None:
        """Log it, once for as long as it is so."""
        if self._reported != event:
            self._reported = event
            log.warning(event, reason=reason)

    async def _open(self, options: Mapping[str, Any]) -> Connection:
        hosts = self._url.hosts
        if len(hosts) < 2:
            return await self._connect(hosts, options)
        errors: list[BaseException] = []
        for turn in range(len(hosts)):
            place = (self._first + turn) % len(hosts)
            try:
                connection = await self._connect(hosts[place : place + 1], options)
            except Unavailable as error:
                if not isinstance(error.__cause__, _NEXT_HOST):
                    raise
                errors.append(error)
            else:
                self._first = place
                return connection
        kind = ReadOnly if any(isinstance(error, ReadOnly) for error in errors) else Unavailable
        raise kind("; ".join(dict.fromkeys(map(str, errors)))) from errors[0]

    async def _connect(self, hosts: tuple[tuple[str, int], ...], options: Mapping[str, Any]) -> Connection:
        where: dict[str, Any] = {"port": self._url.port}
        if hosts:
            where = {"host": hosts[0][0], "port": hosts[0][1]}
        try:
            return await asyncpg.connect(**where, **options)
        except (*UNAVAILABLE, asyncpg.PostgresError, ValueError) as error:
            raise unavailable(error) from error


def check_user(url: PostgresUrl, known_user: Callable[[], str] = getpass.getuser) -> None:
    """See that there is a user to connect as.

    Raises:
        ValueError: the URL names none, and neither environment nor operating system does.
    """
    if url.user or "service" in url.driver or os.environ.get("PGUSER") or os.environ.get("PGSERVICE"):
        return
    try:
        known_user()
    except (KeyError, OSError, ImportError):
        raise ValueError(
            f"database URL: it names no user, and this process's uid {os.getuid()} has no name; "
            "write postgresql://user@host/database"
        ) from None


def _options(url: PostgresUrl, session: Session) -> dict[str, Any]:
    """Arguments of ``asyncpg.connect``, but for host and port."""
    return {
        "dsn": f"postgresql://?{urlencode(url.driver, quote_via=quote)}",  # it takes TLS's files no other way
        "user": url.user,
        "password": url.password,
        "database": url.database,
        "ssl": _tls_context(url.driver),
        "target_session_attrs": url.target,
        "timeout": url.connect_seconds or CONNECT_SECONDS,
        "command_timeout": session.command_seconds,
        **_session(url, session),
    }


def _session(url: PostgresUrl, session: Session) -> dict[str, Any]:
    if not url.pooler:
        return {"statement_cache_size": session.cache, "server_settings": {**url.session, **session.settings}}
    settings = dict(session.settings)
    name = settings.pop("application_name")  # the one that PgBouncer takes
    return {
        "statement_cache_size": 0,
        "server_settings": {"application_name": name},
        "connection_class": pooled(settings),
    }


def _tls_context(driver: Mapping[str, str]) -> ssl.SSLContext | None:
    """The context for ``sslrootcert=system``; None leaves it to the driver, whose files are tried here.

    Raises:
        ValueError: a file can't be read or is not what it should be.
    """
    mode = driver.get("sslmode", "prefer")
    verifying = mode not in {"disable", "allow", "prefer"}
    roots = driver.get("sslrootcert")
    certificate, key = driver.get("sslcert"), driver.get("sslkey")
    if mode == "disable" or not (verifying or certificate):
        return None
    context = without_strict_profile(ssl.create_default_context())
    for name in ("sslrootcert", "sslcrl"):
        path = driver.get(name)
        if verifying and path and path != SYSTEM_ROOTS:
            with _readable(name, path, "a file of certificates in PEM form"):
                context.load_verify_locations(cafile=path)
    if certificate:
        if key:
            with _readable("sslkey", key, "a key"):
                pass
        with _readable("sslcert", certificate, "a certificate in PEM form whose key is sslkey"):
            context.load_cert_chain(certificate, key, password=lambda: driver.get("sslpassword", ""))
    return context if roots == SYSTEM_ROOTS else None


@contextlib.contextmanager
def _readable(name: str, path: str, what: str) -> Iterator[None]:
    try:
        with Path(path).open("rb"):
            pass
        yield
    except ssl.SSLError:
        raise ValueError(f"database URL: {name}={path} is not {what}") from None
    except OSError as error:
        raise ValueError(f"database URL: {name}={path} can't be read ({error.strerror})") from None


@contextlib.contextmanager
def translated_errors() -> Iterator[None]:
    """Turns the errors of a database that is gone, full, read-only or not set up into ``Unavailable``."""
    try:
        yield
    except asyncpg.DataError:
        raise
    except UNAVAILABLE as error:
        raise unavailable(error) from error


def unavailable(error: BaseException) -> Unavailable:
    """What the caller gets for an error of the driver."""
    read_only = isinstance(error, _READ_ONLY)
    return (ReadOnly if read_only else Unavailable)(f"PostgreSQL: {reason(error)}")


def reason(error: BaseException) -> str:
    """What a person needs to know about an error, on one line."""
    match error:
        case asyncpg.exceptions.UndefinedTableError():
            return "the database has no schema yet; run `scim-api migrate`"
        case asyncpg.exceptions.ForeignKeyViolationError():
            return "the tenant was deleted"
        case asyncpg.exceptions.TargetServerAttributeNotMatched():
            return "it takes no writes: a standby, or read-only by a setting"
        case asyncpg.exceptions.ProtocolViolationError() if "startup parameter" in str(error):
            return f"{error}; behind PgBouncer, add pgbouncer=true to the database URL"
        case TimeoutError():
            return "no answer in time"
        case _:
            return f"{type(error).__name__}: {' '.join(str(error).split())}"

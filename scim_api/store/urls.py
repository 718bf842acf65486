"""Database URLs: what a PostgreSQL URL says, and how any URL may be shown.

A URL may stand in a file, for a password that changes while a process runs: ``read_url``.

URLs hold passwords, and a password that is not percent-encoded ends wherever its first ``/``, ``?``, ``#``
or ``@`` stands. So no message repeats a part of a URL that might be a part of a password.
"""

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote

DEFAULT_PORT: Final = 5432
_FILE: Final = "file://"
_MAX_FILE: Final = 65_536
SYSTEM_ROOTS: Final = "system"
"""``sslrootcert=system``: trust whom the operating system trusts."""

_SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_TLS_VERSIONS: Final = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_BOOLEAN_SSL: Final = MappingProxyType(
    {"true": "require", "1": "require", "on": "require", "false": "disable", "0": "disable", "off": "disable"}
)
"""``ssl=`` as JDBC and Node.js write it; libpq, too, takes ``ssl=true`` for ``sslmode=require``."""

_TLS: Final = ("sslrootcert", "sslcert", "sslkey", "sslcrl", "sslpassword")
_DRIVER_CHOICES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "sslmode": _SSL_MODES,
        "ssl_min_protocol_version": _TLS_VERSIONS,
        "ssl_max_protocol_version": _TLS_VERSIONS,
        "sslnegotiation": ("postgres", "direct"),
        "gsslib": ("gssapi", "sspi"),
    }
)
_DRIVER: Final = frozenset({*_TLS, *_DRIVER_CHOICES, "passfile", "service", "krbsrvname"})
"""What the driver itself reads from a URL."""
_SESSION: Final = frozenset({"options", "search_path"})
_OURS: Final = frozenset(
    {
        "host", "port", "user", "password", "dbname", "database", "ssl", "connect_timeout",
        "target_session_attrs", "gssencmode", "pgbouncer",
    }
)  # fmt: skip
_IGNORED: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "application_name": frozenset(),
        "channel_binding": frozenset({"prefer", "disable"}),
        "client_encoding": frozenset({"utf8", "utf-8", "auto"}),
        "fallback_application_name": frozenset(),
        "gssdelegation": frozenset({"0"}),
        "keepalives": frozenset({"1"}),
        "keepalives_count": frozenset(),
        "keepalives_idle": frozenset(),
        "keepalives_interval": frozenset(),
        "load_balance_hosts": frozenset({"disable"}),
        "max_protocol_version": frozenset(),
        "min_protocol_version": frozenset(),
        "sslcertmode": frozenset({"allow"}),
        "sslcompression": frozenset({"0"}),
        "sslsni": frozenset({"1"}),
        "tcp_user_timeout": frozenset({"0"}),
    }
)
"""Parameters of libpq without effect here, and the values that ask for what happens anyway."""
KNOWN: Final = tuple(sorted(_DRIVER | _SESSION | _OURS | set(_IGNORED)))

ENCODE: Final = (
    "database URL: user name or password hold a character that ends them; percent-encode it "
    "(/ is %2F, ? is %3F, # is %23, @ is %40, : is %3A, & is %26, % is %25)"
)


@dataclasses.dataclass(frozen=True, slots=True)
class PostgresUrl:
    """What a ``postgresql://`` URL says, read as libpq reads it.

    ``hosts`` are names, addresses or directories of sockets, each with its port; none means the driver's
    default. ``driver`` and ``session`` are parameters by name: those that the driver reads (TLS, files),
    and settings of each session. ``target`` is ``target_session_attrs``, None for any server.
    ``connect_seconds`` is for each host. ``pooler`` says that sessions change between transactions. ``ignored`` names the parameters that have no effect here.
    """

    hosts: tuple[tuple[str, int], ...]
    port: int | None
    user: str | None
    password: str | None = dataclasses.field(repr=False)
    database: str | None
    driver: Mapping[str, str] = dataclasses.field(repr=False)
    session: Mapping[str, str] = dataclasses.field(repr=False)
    target: str | None
    connect_seconds: float | None
    pooler: bool
    ignored: tuple[str, ...]


class _Mistake(Exception):
    """What is wrong, in words that may repeat names and values of parameters."""


def in_file(url: str) -> bool:
    """Whether it only names the file that holds the database URL: ``file:///etc/scim-api/database/url``."""
    return url.startswith(_FILE)


def read_url(url: str) -> str:
    """The database URL itself: what the file holds now, if one is named, else the URL as it is.

    Raises:
        ValueError: the file can't be read, or holds none; the message names it and nothing of what is in it.
    """
    if not in_file(url):
        return url
    path = Path(unquote(url.removeprefix(_FILE)))
    if not path.is_absolute():
        raise ValueError("database URL: write file:/// and the absolute path of a file that holds it")
    try:
        with path.open(encoding="utf-8") as file:
            found = file.read(_MAX_FILE).strip()
    except OSError as error:
        raise ValueError(f"database URL: file {path} can't be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ValueError(f"database URL: file {path} is not UTF-8") from None
    if not found or in_file(found):
        raise ValueError(
            f"database URL: file {path} holds none; write postgresql://user@host/database into it"
        )
    return found


def is_postgres(url: str) -> bool:
    """Whether the URL's scheme is one of PostgreSQL."""
    return url.startswith(("postgresql://", "postgres://"))


def parse_postgres(url: str) -> PostgresUrl:
    """Read a ``postgresql://`` URL.

    Raises:
        ValueError: one sentence that says what to change, and repeats nothing of a password.
    """
    _check_characters(url := url.rstrip())
    userinfo, hosts, path, query = _split(url)
    try:
        parameters = dict(_parameters(query))
        return _understood(userinfo, hosts, path, parameters)
    except _Mistake as mistake:
        doubtful = "@" in query or "password=" in query  # what looks like a parameter may be a password's
        raise ValueError(ENCODE if doubtful else f"database URL: {mistake}") from None


def ignored_parameters(url: str) -> str | None:
    """One sentence that names the parameters without effect; None when there are none.

    Raises:
        ValueError: as ``read_url`` and ``parse_postgres``.
    """
    url = read_url(url)
    names = parse_postgres(url).ignored if is_postgres(url) else ()
    return f"database URL: without effect here: {', '.join(names)}" if names else None


def redact_url(url: str) -> str:
    """A database URL as it may be shown: without password and parameters."""
    if not is_postgres(url):
        return url.split("?", 1)[0]
    try:
        parse_postgres(url)
    except ValueError:
        return "postgresql://…"
    userinfo, hosts, path, _ = _split(url.rstrip())
    user = "" if userinfo is None else f"{userinfo.partition(':')[0]}@"
    return f"{url.partition('://')[0]}://{user}{hosts}{path}"


def _check_characters(url: str) -> None:
    if re.search(r"[\x00-\x1f\x7f]", url):
        raise ValueError(
            "database URL: it holds a line break or another control character; percent-encode it"
        )
    try:
        url.encode()
    except UnicodeEncodeError:
        raise ValueError("database URL: it is not UTF-8; percent-encode what is not ASCII") from None


def _split(url: str) -> tuple[str | None, str, str, str]:
    """User information (None without ``@``), list of hosts, path, query; all as they stand there."""
    rest = url.partition("://")[2]
    end = re.search(r"[/?#]|$", rest)
    authority, tail = (rest[: end.start()], rest[end.start() :]) if end else (rest, "")
    userinfo, at, hosts = authority.rpartition("@")
    path, _, query = tail.partition("?")
    if "@" in userinfo or "#" in tail or "@" in path:
        raise ValueError(ENCODE)
    return userinfo if at else None, hosts, path, query


def _parameters(query: str) -> Iterable[tuple[str, str]]:
    for part in filter(None, query.split("&")):
        name, equals, value = part.partition("=")
        if not equals:
            raise _Mistake("a parameter has no value; write ?name=value&name=value")
        yield _decoded(name), _decoded(value)


def _decoded(text: str) -> str:
    try:
        value = unquote(text, errors="strict")
    except UnicodeError:
        raise _Mistake("something percent-encoded in it is not UTF-8") from None
    if "\x00" in value:
        raise _Mistake("%00 can be in none of its parts")
    return value


def _understood(userinfo: str | None, hosts: str, path: str, parameters: dict[str, str]) -> PostgresUrl:
    user, _, password = (userinfo or "").partition(":")
    default_port = _port(parameters["port"]) if parameters.get("port", "").isdigit() else None
    given_hosts = parameters.get("host") or hosts
    decode: Callable[[str], str] = str if parameters.get("host") else _decoded
    addresses = _hosts(given_hosts, parameters.get("port"), decode)
    if unknown := sorted(set(parameters) - set(KNOWN)):
        raise _Mistake(
            f"unknown parameter {', '.join(unknown)}; known are {', '.join(KNOWN)} "
            "(a setting of the server goes into options=-c%20name%3Dvalue)"
        )
    database = parameters.get("dbname") or parameters.get("database") or _decoded(path.removeprefix("/"))
    return PostgresUrl(
        hosts=addresses,
        port=default_port,
        user=parameters.get("user") or _decoded(user) or None,
        password=parameters.get("password") or _decoded(password) or None,
        database=database or None,
        driver=_driver(parameters),
        session={name: parameters[name] for name in sorted(_SESSION & set(parameters))},
        target=_target(parameters, len(addresses)),
        connect_seconds=_connect_seconds(parameters.get("connect_timeout")),
        pooler=_pooler(parameters),
        ignored=tuple(_without_effect(parameters)),
    )


def _hosts(hosts: str, ports: str | None, decode: Callable[[str], str]) -> tuple[tuple[str, int], ...]:
    """Each host with its port: its own, else the one at its place in ``port=``, else the default.

    Args:
        hosts: as in ``a,b:5433,[::1]:5432``, or directories of sockets.
        ports: the value of the parameter ``port``.
        decode: what makes a host's name of how it is written.
    """
    names = hosts.split(",") if hosts else []
    defaults = [_port(one) if one else DEFAULT_PORT for one in ports.split(",")] if ports else [DEFAULT_PORT]
    if len(defaults) not in {1, len(names)} and names:
        raise _Mistake("port= must name one port, or one for each host")
    return tuple(
        _host(name, defaults[place if len(defaults) > 1 else 0], decode) for place, name in enumerate(names)
    )


def _host(written: str, port: int, decode: Callable[[str], str]) -> tuple[str, int]:
    if written.count(":") > 1 and not written.startswith("["):
        name, own = written, ""  # an IPv6 address as host= may have it
    elif found := re.fullmatch(r"\[([0-9A-Fa-f:.%]+)\](?::(.*))?", written):
        name, own = found[1], found[2] or ""
    else:
        name, _, own = (written, "", "") if written.startswith("/") else written.partition(":")
    name = decode(name)
    if not name or (not name.startswith("/") and re.search(r"[\s/@\[\]]", name)):
        raise _Mistake("a host is empty or no name; write host, host:5432, [::1]:5432 or host1,host2")
    return name, _port(own) if own else port


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= 65_535):
        raise _Mistake(
            "a port must be a number from 1 to 65535; if it is a part of the password, percent-encode that "
            "(/ is %2F, ? is %3F, # is %23, @ is %40)"
        )
    return int(text)


def _driver(parameters: Mapping[str, str]) -> dict[str, str]:
    driver = {name: value for name, value in parameters.items() if name in _DRIVER and value}
    if "ssl" in parameters and "sslmode" not in driver:
        driver["sslmode"] = _BOOLEAN_SSL.get(parameters["ssl"].lower(), parameters["ssl"])
    system = driver.get("sslrootcert") == SYSTEM_ROOTS
    if system and driver.setdefault("sslmode", "verify-full") != "verify-full":
        raise _Mistake("sslrootcert=system needs sslmode=verify-full: anybody has a certificate of these")
    for name, choices in _DRIVER_CHOICES.items():
        if name in driver and driver[name] not in choices:
            raise _Mistake(f"{name}={driver[name]} is not known; write one of {', '.join(choices)}")
    if parameters.get("gssencmode", "prefer") not in {"disable", "prefer"}:
        raise _Mistake("gssencmode must be disable or prefer; use TLS (sslmode=verify-full)")
    return driver


def _target(parameters: Mapping[str, str], hosts: int) -> str | None:
    """Of several hosts only one that takes writes is of use."""
    target = parameters.get("target_session_attrs") or ("read-write" if hosts > 1 else None)
    if target not in {None, "any", "read-write", "primary"}:
        raise _Mistake(f"target_session_attrs={target} does not do: scim-api writes; use read-write")
    return None if target == "any" else target


def _pooler(parameters: Mapping[str, str]) -> bool:
    value = parameters.get("pgbouncer", "false").lower()
    if value not in {"true", "false"}:
        raise _Mistake("pgbouncer must be true or false")
    if value == "true" and (kept := sorted(_SESSION & set(parameters))):
        raise _Mistake(f"{kept[0]} does not go with pgbouncer=true; use ALTER ROLE … SET in the database")
    return value == "true"


def _connect_seconds(text: str | None) -> float | None:
    if not text:
        return None
    if not re.fullmatch(r"-?[0-9]{1,6}", text):
        raise _Mistake("connect_timeout must be a whole number of seconds")
    return float(text) if int(text) > 0 else None


def _without_effect(parameters: Mapping[str, str]) -> Iterable[str]:
    for name in sorted(set(parameters) & set(_IGNORED)):
        if parameters[name].lower() not in _IGNORED[name]:
            yield name
    mode = parameters.get("sslmode") or parameters.get("ssl", "")
    roots = parameters.get("sslrootcert")
    if roots and roots != SYSTEM_ROOTS and mode in {"", "disable", "allow", "prefer", "false", "0", "off"}:
        yield "sslrootcert (without sslmode=verify-full)"

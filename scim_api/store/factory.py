"""The driver for a database URL."""

import re
from collections.abc import Sequence

from scim_api.store.protocol import Store
from scim_api.store.urls import ignored_parameters, is_postgres, parse_postgres, read_url


def create_store(url: str) -> Store:
    """The driver for a database URL, not yet opened.

    ``sqlite:///relative.db``, ``sqlite:////absolute.db``, ``postgresql://user@host/name``, or ``file:///path`` of a
    file that holds one of these.

    Raises:
        ValueError: the URL is of no such form or malformed; the message says what to write.
    """
    source, url = url, read_url(url)
    if url.startswith("sqlite:///"):
        from scim_api.store.sqlite.store import SqliteStore

        return SqliteStore(url.removeprefix("sqlite:///"))
    if is_postgres(url):
        parse_postgres(url)
        from scim_api.store.postgres.store import PostgresStore

        return PostgresStore(source)
    scheme = re.match(r"[a-z][a-z0-9+.-]{0,30}(?=://)", url)  # anything else may be a part of a password
    raise ValueError(
        f"database URL {f'with scheme {scheme[0]!r}' if scheme else 'without scheme'}: "
        "write sqlite:///scim.db or postgresql://user@host/database"
    )


def surprises(url: str) -> Sequence[tuple[str, str]]:
    """What works and may surprise, as an event for the log and a sentence that says what to do.

    Raises:
        ValueError: as ``create_store``.
    """
    found, url = [], read_url(url)
    if ignored := ignored_parameters(url):
        found.append(("parameters without effect", f"{ignored}; take them out"))
    if url.startswith("sqlite:///"):
        from scim_api.store.sqlite.connection import path_of
        from scim_api.store.sqlite.file_system import network_warning

        if warning := network_warning(path_of(url)):
            found.append(("database on a network's file system", warning))
    return found

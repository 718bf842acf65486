"""The driver for a database URL."""

from scim_api.store.protocol import Store


def create_store(url: str) -> Store:
    """The driver for a database URL, not yet opened.

    ``sqlite:///relative.db``, ``sqlite:////absolute.db`` or ``postgresql://user@host/name``.

    Raises:
        ValueError: the URL is of neither form; the message says what to write.
    """
    if url.startswith("sqlite:///"):
        from scim_api.store.sqlite.store import SqliteStore

        return SqliteStore(url.removeprefix("sqlite:///"))
    if url.startswith(("postgresql://", "postgres://")):
        from scim_api.store.postgres.store import PostgresStore

        return PostgresStore(url)
    scheme = url.split(":", 1)[0]
    raise ValueError(
        f"database URL with scheme {scheme!r}: write sqlite:///scim.db or postgresql://user@host/database"
    )

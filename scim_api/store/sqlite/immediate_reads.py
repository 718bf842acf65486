"""Reads of resources that SQLite answers within microseconds, in the event loop."""

from collections.abc import Callable, Sequence

from scim_api.core.model import Lookup, Resource
from scim_api.core.predicate import Predicate
from scim_api.core.types import ResourceKind
from scim_api.store.serialized import SerializedPage
from scim_api.store.sql.rows import to_serialized_page
from scim_api.store.sql.statements import GET, lookup, rendered_users
from scim_api.store.sql.transaction_script import Row


class SqliteReads:
    """``ImmediateReads`` on an SQLite file.

    Args:
        read: runs one statement; raises ``Unavailable``.
    """

    def __init__(self, read: Callable[..., Sequence[Row]]) -> None:
        self._read = read

    def get(self, tenant: int, kind: ResourceKind, resource_id: str) -> Resource | None:
        """One resource of this tenant."""
        rows = self._read(GET, tenant, kind, resource_id)
        return Resource(*rows[0]) if rows else None

    def lookup(
        self, tenant: int, kind: ResourceKind, by: Lookup, key: str, rest: Predicate | None = None
    ) -> Sequence[Resource]:
        """Those whose indexed key equals ``key`` and that meet ``rest``, ordered by creation."""
        statement = lookup("sqlite", tenant, kind, by, key, rest)
        return [Resource(*row) for row in self._read(statement.sql, *statement.parameters)]

    def rendered_users(self, tenant: int, base_url: str, *, offset: int, limit: int) -> SerializedPage | None:
        """A slice of all users, each as its JSON text in UTF-8; None for an empty page."""
        statement = rendered_users("sqlite", tenant, base_url, offset, limit)
        return to_serialized_page(self._read(statement.sql, *statement.parameters))

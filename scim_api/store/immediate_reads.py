"""Reads that a store answers without waiting, for requests that are answered where they arrive."""

from collections.abc import Sequence
from typing import Protocol

from scim_api.core.model import Lookup, Resource
from scim_api.core.predicate import Predicate
from scim_api.core.types import ResourceKind
from scim_api.store.serialized import SerializedPage


class ImmediateReads(Protocol):
    """The reads of ``Store`` of the same names, as plain functions. All raise ``Unavailable``."""

    def get(self, tenant: int, kind: ResourceKind, resource_id: str) -> Resource | None:
        """One resource of this tenant."""

    def lookup(
        self, tenant: int, kind: ResourceKind, by: Lookup, key: str, rest: Predicate | None = None
    ) -> Sequence[Resource]:
        """Those whose indexed key equals ``key``, ordered by creation."""

    def rendered_users(self, tenant: int, base_url: str, *, offset: int, limit: int) -> SerializedPage | None:
        """A slice of all users, each as its JSON text in UTF-8; None for an empty page."""

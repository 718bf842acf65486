"""Resources as they were seen last, so that a change need not read first what was read a moment ago.

Entra looks a person up and changes it at once. What is remembered is only ever a guess: the statement that
writes names the version and the moment that the guess is from, and writes nothing when the resource has
another by now; then it is read, as if nothing had been remembered.
"""

from typing import Final

from scim_api.core.model import Resource

MAX_ENTRIES: Final = 2_048
MAX_BODY_LENGTH: Final = 8 * 1024
"""Characters of a body: a longer one is not remembered, so that all of them stay within some 20 MB."""


class ResourceCache:
    """The resources of one process that were seen last."""

    def __init__(self) -> None:
        self._resources: dict[tuple[int, str], Resource] = {}

    def put(self, tenant: int, resource: Resource) -> None:
        """Remember, and forget the one that was remembered longest ago when there are too many."""
        if len(resource.doc) > MAX_BODY_LENGTH:
            return
        key = (tenant, resource.id)
        self._resources.pop(key, None)
        self._resources[key] = resource
        if len(self._resources) > MAX_ENTRIES:
            del self._resources[next(iter(self._resources))]

    def pop(self, tenant: int, resource_id: str) -> Resource | None:
        """What is remembered of a resource; it is forgotten, until it is seen again."""
        return self._resources.pop((tenant, resource_id), None)

"""A cache of resources that were read or written last, so that a PATCH need not read them again.

Entra looks a user up and changes them at once. A cached resource is a guess: the statement that writes names
its version and modification time, and writes nothing when the resource has others by now; then it is read, as
if nothing had been cached.
"""

from typing import Final

from scim_api.core.model import Resource

MAX_ENTRIES: Final = 2_048
MAX_BODY_LENGTH: Final = 8 * 1024
"""Characters of a body: a longer one is not remembered, so that all of them stay within some 20 MB."""


class ResourceCache:
    """The resources that this process read or wrote last."""

    def __init__(self) -> None:
        self._resources: dict[tuple[int, str], Resource] = {}

    def put(self, tenant: int, resource: Resource) -> None:
        """Cache a resource, in the place of the one that was cached longest ago when there are too many."""
        if len(resource.doc) > MAX_BODY_LENGTH:
            return
        key = (tenant, resource.id)
        self._resources.pop(key, None)
        self._resources[key] = resource
        if len(self._resources) > MAX_ENTRIES:
            del self._resources[next(iter(self._resources))]

    def pop(self, tenant: int, resource_id: str) -> Resource | None:
        """The cached resource, which leaves the cache until it is read or written again."""
        return self._resources.pop((tenant, resource_id), None)

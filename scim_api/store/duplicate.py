"""What is to be unique in a tenant and is not."""

import dataclasses

from scim_api.core.types import ResourceKind


@dataclasses.dataclass(frozen=True, slots=True)
class Duplicate:
    """Resources of a tenant that share a value which is to be unique."""

    tenant: str
    """``namespace/name``."""
    kind: ResourceKind
    attribute: str
    """As SCIM names it: ``userName``, ``displayName`` or ``emails[type eq "work"].value``."""
    key: str
    """The comparison key of the value."""
    ids: tuple[str, ...]
    """The oldest first; all of them are served, and nobody else gets the value."""

"""What a database gives as the JSON text that is published: no object is made of it."""

import dataclasses
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True, slots=True)
class SerializedPage:
    """A slice of a list as it is published: JSON text in UTF-8 for each resource."""

    total: int
    texts: Sequence[bytes]


@dataclasses.dataclass(frozen=True, slots=True)
class SerializedMembers:
    """A slice of a group's members as it is published: JSON text in UTF-8, with commas between."""

    last: int
    """Key of the last of them."""
    count: int
    text: bytes

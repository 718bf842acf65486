"""GUIDs, and times as Graph writes them."""

import re
import uuid
from datetime import UTC, datetime
from typing import Final

UNSET: Final = "0001-01-01T00:00:00Z"
"""A time that there is none of yet."""
_GUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def new_guid() -> str:
    """A random one."""
    return str(uuid.uuid4())


def is_guid(text: str) -> bool:
    """Whether it has the form of a GUID."""
    return _GUID.fullmatch(text) is not None


def graph_time(at: datetime | None) -> str:
    """With seven digits after the point, as Graph has it."""
    return UNSET if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"


def from_posix(seconds: float) -> datetime:
    """An aware datetime."""
    return datetime.fromtimestamp(seconds, UTC)

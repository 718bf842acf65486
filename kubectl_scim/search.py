"""What people type about people, as the SCIM service understands it. Pure."""

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

_ATTRIBUTES: Final = (
    "active|addresses|displayName|emails|entitlements|externalId|groups|id|ims|locale|members|meta|name|nickName|"
    "phoneNumbers|photos|preferredLanguage|profileUrl|roles|schemas|timezone|title|userName|userType|x509Certificates"
)
_FILTER: Final = re.compile(
    rf"""[\s(]*(?:not\s*\([\s(]*)?
    (?:
        (?:urn:\S+|(?:{_ATTRIBUTES})(?:\[.*\])?(?:\.[\w$-]+)?)\s+(?:eq|ne|co|sw|ew|gt|ge|lt|le|pr)\b
      | (?:{_ATTRIBUTES})\[                                      # a bracket is no part of a name
      | [A-Za-z][\w$:.-]*\s+(?:eq|ne|co|sw|ew|gt|ge|lt|le)\s+(?:"|true\b|false\b|null\b|-?\d)
      | [A-Za-z][\w$:.-]*\s+pr\s*$
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_AGO: Final = re.compile(r"(\d{1,9})\s*(s|min|m|h|d|w)")
_SECONDS: Final = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SEARCHED: Final = ("userName", "displayName", "emails.value")
"""Attributes of a person that a text is looked for in."""
_NAMES: Final = ("id", "userName", "externalId", 'emails[type eq "work"].value', "emails.value")
"""By which one person is found, in this order: all but the last from an index."""
TRIED: Final = "userName, e-mail, externalId or id"
"""The same for people."""


def is_filter(text: str) -> bool:
    """Whether it is a filter of SCIM (RFC 7644, section 3.4.2.2), and not a text to look for."""
    return _FILTER.match(text) is not None


def users_filter(text: str | None) -> str | None:
    """For users: a filter as it is; a text is looked for in userName, displayName and e-mail addresses."""
    return _filter(text, *_SEARCHED)


def groups_filter(text: str | None) -> str | None:
    """For groups: a filter as it is; a text is looked for in displayName."""
    return _filter(text, "displayName")


def person_filters(value: str) -> Iterator[str]:
    """Filters that find the one person whom a value names; the first that finds somebody counts."""
    return (f"{name} eq {quoted(value)}" for name in _NAMES)


def ids_filter(ids: list[str]) -> str:
    """Finds those with these ids."""
    return " or ".join(f"id eq {quoted(one)}" for one in ids)


def quoted(value: str) -> str:
    """A text as a filter writes it."""
    return json.dumps(value.encode("utf-8", "replace").decode(), ensure_ascii=False)


def since(text: str, now: datetime) -> datetime:
    """A time, as people say it: ``2h``, ``30min``, ``7d``, or RFC 3339; without a zone it is that of ``now``.

    Raises:
        ValueError: it is none of these.
    """
    ago = _AGO.fullmatch(text.strip())
    try:
        if ago is not None:
            return now - timedelta(seconds=int(ago[1]) * _SECONDS[ago[2]])
        found = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError):
        raise ValueError(f"{text} is no time: 2h, 30min, 7d, 2026-11-30 or 2026-11-30T09:00:00Z") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=now.tzinfo)


def _filter(text: str | None, *attributes: str) -> str | None:
    text = (text or "").strip()
    if not text or is_filter(text):
        return text or None
    return " or ".join(f"{name} co {quoted(text)}" for name in attributes)

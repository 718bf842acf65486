"""Changes of the log as sentences, and what can be asked of it. Pure."""

import dataclasses
import re
import urllib.parse
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

KINDS: Final[Mapping[str, tuple[str, frozenset[str]]]] = {
    "created": ("Created", frozenset({"user.created", "group.created"})),
    "changed": ("Attributes changed", frozenset({"user.updated", "group.updated"})),
    "enabled": ("Enabled or disabled", frozenset({"user.activated", "user.deactivated"})),
    "deleted": ("Deleted", frozenset({"user.deleted", "group.deleted"})),
    "members": ("Members of groups", frozenset({"group.member_added", "group.member_removed"})),
}
"""What the page lets people choose: its name, and the types of the feed."""
PERIODS: Final[Mapping[str, tuple[str, timedelta]]] = {
    "1h": ("Last hour", timedelta(hours=1)),
    "1d": ("Last 24 hours", timedelta(days=1)),
    "7d": ("Last 7 days", timedelta(days=7)),
    "30d": ("Last 30 days", timedelta(days=30)),
}
_EXTENSION: Final = re.compile(r"urn:.*:extension:([^:]+):[^:]+:[^:]+:(.+)", re.IGNORECASE)
_CORE: Final = re.compile(r"^urn:ietf:params:scim:schemas:core:2\.0:\w+:", re.IGNORECASE)
_TOLD: Final[Mapping[str, tuple[str, str, str]]] = {
    "user.created": ("ok", "Created", "was created"),
    "user.updated": ("quiet", "Changed", "was changed"),
    "user.activated": ("ok", "Enabled", "was enabled"),
    "user.deactivated": ("warning", "Disabled", "was disabled"),
    "user.deleted": ("error", "Deleted", "was deleted"),
    "group.created": ("ok", "Created", "was created"),
    "group.updated": ("quiet", "Changed", "was changed"),
    "group.deleted": ("error", "Deleted", "was deleted"),
    "group.member_added": ("ok", "Joined", "joined"),
    "group.member_removed": ("warning", "Left", "left"),
}
"""How each type is shown: badge, its word, and what was done."""


@dataclasses.dataclass(frozen=True, slots=True)
class Named:
    """A user or group that a change is of."""

    kind: Literal["user", "group"]
    id: str
    name: str
    exists: bool
    """Whether there is a page of it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Sentence:
    """``Ada joined Crew``: a change as the page tells it."""

    id: str
    at: datetime | None
    kind: str
    """``ok``, ``quiet``, ``warning`` or ``error``."""
    word: str
    who: Named
    did: str
    group: Named | None
    paths: Sequence[tuple[str, str]]
    """Attributes that changed: for people, and as SCIM writes them."""
    credential: str
    token: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody looks for in the log, as the address has it."""

    who: str = ""
    kind: str = ""
    credential: str = ""
    period: str = ""
    since: str = ""
    until: str = ""

    def query(self, **more: str) -> str:
        """As an address has it, without what is empty."""
        pairs = {**dataclasses.asdict(self), **more}
        return urllib.parse.urlencode({name: value for name, value in pairs.items() if value})

    @property
    def types(self) -> frozenset[str]:
        """Types of the feed; empty: all."""
        return KINDS[self.kind][1] if self.kind in KINDS else frozenset()

    def begin(self, now: datetime) -> datetime | None:
        """From when on. Raises ``ValueError``: no time."""
        if self.since:
            return moment(self.since)
        return now - PERIODS[self.period][1] if self.period in PERIODS else None

    def end(self) -> datetime | None:
        """Until when. Raises ``ValueError``: no time."""
        return moment(self.until) if self.until else None

    @property
    def is_any(self) -> bool:
        """Whether nothing is left out."""
        return not self.query()


def moment(text: str) -> datetime:
    """A time that was typed; without a zone it is UTC. Raises ``ValueError`` that says how to write it."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"“{text[:40]}” is no time: write it like 2026-11-30T14:00, in UTC.") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def subjects(change: Mapping[str, Any]) -> Sequence[tuple[Literal["user", "group"], str]]:
    """Whom a change names: kinds and ids."""
    kind: Literal["user", "group"] = "group" if _kind(change) == "group" else "user"
    found = [(kind, _string(change.get("resourceId")))]
    if change.get("member"):
        found.insert(0, ("user", _string(change["member"])))
    return found


def sentence(change: Mapping[str, Any], names: Mapping[str, Named]) -> Sentence:
    """A change as it is told.

    Args:
        change: as the feed has it.
        names: by id, of those that are known.
    """
    told = _string(change.get("type"))
    tone, word, did = _TOLD.get(told, ("quiet", "Other", told))
    named = [_named(kind, identity, change, names) for kind, identity in subjects(change)]
    actor = change.get("actor")
    actor = actor if isinstance(actor, Mapping) else {}
    token = actor.get("scimToken")
    paths = change.get("paths")
    return Sentence(
        id=_string(change.get("id")),
        at=_at(change.get("at")),
        kind=tone,
        word=word,
        who=named[0],
        did=did,
        group=named[1] if len(named) > 1 else None,
        paths=[(short(_string(path)), _string(path)) for path in paths] if isinstance(paths, list) else (),
        credential=_string(actor.get("credential")),
        token=token if isinstance(token, str) and token else None,
    )


def short(path: str) -> str:
    """``enterprise:department`` of a path with a schema's URN."""
    match = _EXTENSION.fullmatch(path)
    return f"{match[1]}:{match[2]}" if match else _CORE.sub("", path)


def _named(
    kind: Literal["user", "group"], identity: str, change: Mapping[str, Any], names: Mapping[str, Named]
) -> Named:
    if identity in names:
        return names[identity]
    external = change.get("externalId") if identity == change.get("resourceId") else None
    return Named(kind, identity, _string(external) or identity, exists=False)


def _kind(change: Mapping[str, Any]) -> str:
    return _string(change.get("type")).partition(".")[0]


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _at(value: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(_string(value))
    except ValueError:
        return None

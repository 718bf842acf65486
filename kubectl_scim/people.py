"""What people ask about people, answered by a tenant's directory: who is that, and what happened to them."""

import contextlib
import dataclasses
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from kubectl_scim.search import ids_filter, person_filters, quoted
from scim_console.model import Directory, HistoryQuery, ResourcePage, Unreachable

PAGE: Final = 200
"""Resources of one answer at most."""
_MOST: Final = 1000
"""Changes of one answer."""
_ENOUGH_PAGES: Final = 200
"""Of the history, for one question: each is short work for the service, and may be empty."""
_IDS: Final = 50
"""Ids that are asked for at a time."""
Resource = Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class About:
    """Whose changes; nothing: everybody's."""

    id: str | None = None
    external_id: str | None = None
    """In the place of an id, of somebody who is not there yet, or not any more."""

    def fits(self, change: Resource) -> bool:
        """Whether a change is theirs, or of a membership of theirs."""
        if self.id is not None:
            return self.id in {change.get("resourceId"), change.get("member")}
        return self.external_id is None or change.get("externalId") == self.external_id


@dataclasses.dataclass(frozen=True, slots=True)
class Log:
    """Changes, the newest first."""

    changes: Sequence[Resource]
    is_whole: bool
    """Whether there are no older ones."""
    obstacle: str | None = None
    """Why it could not be read, and is empty."""


@dataclasses.dataclass(frozen=True, slots=True)
class Person:
    """A user, present or deleted, or a group that was deleted."""

    about: About
    user: Resource | None
    """None: deleted."""
    groups: Sequence[Resource]
    log: Log

    @property
    def deletion(self) -> Resource | None:
        """The change that deleted them."""
        if self.user is not None:
            return None
        deleted = ("user.deleted", "group.deleted")
        return next((one for one in self.log.changes if one.get("type") in deleted), None)


def users(directory: Directory, filter: str | None, limit: int) -> ResourcePage:
    """So many users at most, page by page."""
    return _pages(directory.users, filter, limit)


def groups(directory: Directory, filter: str | None, limit: int) -> ResourcePage:
    """So many groups at most, page by page."""
    return _pages(directory.groups, filter, limit)


def matching(directory: Directory, value: str) -> Sequence[Resource]:
    """Users whom a userName, e-mail, externalId or id names; several may share an e-mail address."""
    for filter in person_filters(value):
        found = directory.users(filter, 1, PAGE).resources
        if found:
            return found
    return ()


def present(directory: Directory, user: Resource, log: HistoryQuery) -> Person:
    """A user with groups and log.

    Args:
        directory: of the tenant.
        user: as SCIM sends them.
        log: how much of the log, and of when.
    """
    about = About(id=str(user["id"]))
    joined = groups(directory, f"members[value eq {quoted(str(user['id']))}]", PAGE).resources
    try:
        found = history(directory, about, log)
    except Unreachable as error:  # over the network there is none
        found = Log((), is_whole=True, obstacle=str(error))
    return Person(about, user, joined, found)


def former(directory: Directory, value: str, log: HistoryQuery) -> Person | None:
    """Somebody who was deleted, by id or externalId: the log has no other name of theirs. None: nobody."""
    about = _departed(directory, value)
    return None if about is None else Person(about, None, (), history(directory, about, log))


def whom(directory: Directory, value: str) -> Sequence[About]:
    """Users or groups that a value names: by name, e-mail, externalId or id; if none is there, those who were."""
    found = matching(directory, value)
    if not found:
        for name in ("id", "displayName", "externalId"):
            found = directory.groups(f"{name} eq {quoted(value)}", 1, PAGE).resources
            if found:
                break
    if found:
        return [About(id=str(one["id"])) for one in found]
    return [_departed(directory, value) or About(external_id=value)]


def history(directory: Directory, about: About, query: HistoryQuery) -> Log:
    """The last changes, as many as ``query.limit``.

    Args:
        directory: of the tenant.
        about: whose.
        query: which, and how many.
    """
    external_id = about.external_id if about.id is None else None
    query, wanted = dataclasses.replace(query, about=about.id, external_id=external_id), query.limit
    found: list[Resource] = []
    for _ in range(_ENOUGH_PAGES):
        page = directory.history(dataclasses.replace(query, limit=min(wanted - len(found), _MOST)))
        found += page.changes
        if page.next is None:
            return Log(found, is_whole=True)
        if len(found) >= wanted:
            break
        query = dataclasses.replace(query, after=page.next)
    return Log(found, is_whole=False)


def following(
    changes: Iterable[Resource], about: About, query: HistoryQuery, shown: Collection[str] = ()
) -> Iterator[Resource]:
    """Of the changes that come, those that are asked for.

    Args:
        changes: all of them.
        about: whose.
        query: by which credential and of which types.
        shown: ids of those that were shown already.
    """
    for one in changes:
        credential = (one.get("actor") or {}).get("credential")
        if (
            one.get("id") not in shown
            and about.fits(one)
            and (query.credential is None or credential == query.credential)
            and (not query.types or one.get("type") in query.types)
        ):
            yield one


class Names:
    """What users and groups are called, for a log that has ids alone; who is not there any more has no name.

    Args:
        directory: of the tenant.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory, self._known = directory, dict[str, str]()

    def of(self, changes: Iterable[Resource]) -> Mapping[str, str]:
        """Names by id, of all that these changes are about."""
        wanted: dict[str, set[str]] = {"User": set(), "Group": set()}
        for one in changes:
            kind = str(one.get("resourceType"))
            wanted.get(kind, set()).add(str(one.get("resourceId")))
            if one.get("member") is not None:
                wanted["User"].add(str(one["member"]))
        self._learn(self._directory.users, wanted["User"], "userName")
        self._learn(self._directory.groups, wanted["Group"], "displayName")
        return self._known

    def _learn(self, listed: Any, ids: set[str], attribute: str) -> None:
        missing = sorted(ids - self._known.keys())
        for start in range(0, len(missing), _IDS):
            some = missing[start : start + _IDS]
            self._known |= dict.fromkeys(some, "")
            with contextlib.suppress(ValueError):  # too many people for that: ids are shown
                for one in listed(ids_filter(some), 1, PAGE).resources:
                    self._known[str(one["id"])] = str(one.get(attribute) or "")


def _departed(directory: Directory, value: str) -> About | None:
    """Who had this id, or this externalId when they were deleted. Entra's object ids look like our ids, and are externalIds."""
    if _is_id(value) and history(directory, About(id=value), HistoryQuery(limit=1)).changes:
        return About(id=value)
    deletions = history(directory, About(external_id=value), HistoryQuery(limit=1)).changes
    return About(id=str(deletions[0]["resourceId"]), external_id=value) if deletions else None


def _pages(listed: Any, filter: str | None, limit: int) -> ResourcePage:
    found: list[Resource] = []
    while True:
        page = listed(filter, len(found) + 1, min(limit - len(found), PAGE))
        found += page.resources
        if not page.resources or len(found) >= min(limit, page.total):
            return ResourcePage(page.total, found)


def _is_id(value: str) -> bool:
    try:
        uuid.UUID(value)
    except ValueError:
        return False
    return True

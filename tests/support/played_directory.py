"""A tenant's people in memory, for who asks a directory: filters of ``eq``, ``co`` and ``or``, and a log in pages."""

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from scim_console.model import HistoryPage, HistoryQuery, Missing, ResourcePage

Resource = Mapping[str, Any]
_COMPARISON = re.compile(r'(?P<path>[\w.]+(?:\[type eq "\w+"\])?(?:\.\w+)?) (?P<op>eq|co) "(?P<value>[^"]*)"')
_MEMBER = re.compile(r'members\[value eq "([^"]*)"\]')


def user(id: str, name: str, **more: Any) -> dict[str, Any]:
    """A user with a work e-mail address."""
    return {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "id": id,
        "externalId": f"e-{id}",
        "userName": name,
        "displayName": name.partition("@")[0].title(),
        "active": True,
        "emails": [{"type": "work", "value": name, "primary": True}],
        "meta": {"resourceType": "User", "lastModified": "2026-11-30T09:00:00Z"},
        **more,
    }


def change(id: str, kind: str, resource: str, **more: Any) -> dict[str, Any]:
    """A change as the feed has it."""
    return {
        "id": id,
        "at": "2026-11-30T09:00:00.120394Z",
        "type": kind,
        "resourceType": kind.partition(".")[0].capitalize(),
        "resourceId": resource,
        "externalId": f"e-{resource}",
        "version": 'W/"1"',
        "paths": None,
        "actor": {"credential": "t1", "scimToken": "team/entra"},
        **more,
    }


class PlayedDirectory:
    """The people, and what was asked.

    Args:
        users: as SCIM sends them.
        groups: with their members.
        changes: the newest first.
        page: changes of an answer at most; one more answer in between is empty.
    """

    def __init__(
        self,
        users: Sequence[Resource] = (),
        groups: Sequence[Resource] = (),
        changes: Sequence[Resource] = (),
        page: int = 1000,
    ) -> None:
        self._users, self._groups, self._changes, self._page = users, groups, changes, page
        self.coming: list[Resource] = []
        self.asked: list[Any] = []

    def users(self, filter: str | None, start_index: int, count: int) -> ResourcePage:
        return self._listed(self._users, filter, start_index, count)

    def groups(self, filter: str | None, start_index: int, count: int) -> ResourcePage:
        return self._listed(self._groups, filter, start_index, count)

    def user(self, id: str) -> Resource:
        return self._one(self._users, id)

    def group(self, id: str) -> Resource:
        return self._one(self._groups, id)

    def history(self, query: HistoryQuery) -> HistoryPage:
        self.asked.append(query)
        start, _, empty = (query.after or "0").partition("-")
        found = [one for one in self._changes if _fits(one, query)]
        if query.after is not None and not empty:
            return HistoryPage([], f"{start}-seen")
        end = int(start) + min(query.limit, self._page)
        return HistoryPage(found[int(start) : end], str(end) if end < len(found) else None)

    def head(self) -> str:
        return "head"

    def follow(
        self, stop: threading.Event, types: frozenset[str] = frozenset(), after: str = "now"
    ) -> Iterator[Resource]:
        self.asked.append(("follow", types, after))
        yield from self.coming

    def _listed(
        self, resources: Sequence[Resource], filter: str | None, start_index: int, count: int
    ) -> ResourcePage:
        self.asked.append((filter, start_index, count))
        found = [one for one in resources if filter is None or _holds(one, filter)]
        return ResourcePage(len(found), found[start_index - 1 : start_index - 1 + count])

    def _one(self, resources: Sequence[Resource], id: str) -> Resource:
        for one in resources:
            if one["id"] == id:
                return one
        raise Missing(f"there is no {id}")


def _fits(change: Resource, query: HistoryQuery) -> bool:
    return (
        (query.about is None or query.about in {change["resourceId"], change.get("member")})
        and (
            query.external_id is None
            or (change["externalId"] == query.external_id and change["type"].endswith(".deleted"))
        )
        and (query.credential is None or change["actor"]["credential"] == query.credential)
        and (not query.types or change["type"] in query.types)
    )


def _holds(resource: Resource, filter: str) -> bool:
    member = _MEMBER.fullmatch(filter)
    if member is not None:
        return any(one["value"] == member[1] for one in resource.get("members", ()))
    comparisons = list(_COMPARISON.finditer(filter))
    assert " or ".join(one[0] for one in comparisons) == filter, f"not played: {filter}"
    return any(
        one["value"].casefold() in value.casefold() if one["op"] == "co" else one["value"] == value
        for one in comparisons
        for value in _values(resource, one["path"])
    )


def _values(resource: Resource, path: str) -> list[str]:
    if path.startswith("emails"):
        return [str(one["value"]) for one in resource.get("emails", ())]
    return [str(resource[path])] if path in resource else []

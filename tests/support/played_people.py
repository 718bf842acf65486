"""The people of a played tenant: what each filter finds and what happened, written down by a test."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from scim_console.model import HistoryPage, HistoryQuery, Missing, ResourcePage


def user(id: str = "u-1", display: str = "Ada Lovelace", /, **more: Any) -> dict[str, Any]:
    """As SCIM sends it."""
    email = f"{display.split(maxsplit=1)[0].lower()}@contoso.example"
    return {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "id": id,
        "userName": email,
        "displayName": display,
        "active": True,
        "emails": [{"type": "work", "primary": True, "value": email}],
        "meta": {
            "resourceType": "User",
            "created": "2026-11-29T10:00:00Z",
            "lastModified": "2026-11-30T10:00:00Z",
        },
        **more,
    }


def change(number: int, type: str = "user.created", **more: Any) -> dict[str, Any]:
    """As the feed has it."""
    return {
        "id": f"{number}-0000",
        "at": "2026-11-30T10:00:00.000000Z",
        "type": type,
        "resourceId": "u-1",
        "externalId": None,
        "paths": None,
        "actor": {"credential": "fb8c8bfa672c14f3", "scimToken": "team/entra"},
        **more,
    }


class PlayedPeople:
    """Finds by filter what ``found`` has; remembers what it was asked."""

    def __init__(self) -> None:
        self.found: dict[str | None, Sequence[Mapping[str, Any]]] = {}
        self.found_groups: dict[str | None, Sequence[Mapping[str, Any]]] = {}
        self.totals: dict[str | None, int] = {}
        self.group_members: Sequence[Mapping[str, Any]] = ()
        self.past: list[Mapping[str, Any]] = []
        """The newest first."""
        self.coming: list[Mapping[str, Any]] = []
        self.asked: list[Any] = []
        self.trouble: Exception | None = None

    def users(self, filter: str | None, start_index: int, count: int) -> ResourcePage:
        return self._page(self.found, "users", filter, start_index, count)

    def groups(self, filter: str | None, start_index: int, count: int) -> ResourcePage:
        return self._page(self.found_groups, "groups", filter, start_index, count)

    def user(self, id: str) -> Mapping[str, Any]:
        self._check(("user", id))
        for one in self.found.get(None, ()):
            if one["id"] == id:
                return one
        raise Missing(f"There is no user with the id {id}")

    def group(self, id: str) -> Mapping[str, Any]:
        self._check(("group", id))
        return {"id": id, "members": self.group_members}

    def history(self, query: HistoryQuery) -> HistoryPage:
        self._check(query)
        start = int(query.after or 0)
        about = [one for one in self.past if _meets(one, query)]
        end = start + query.limit
        return HistoryPage(about[start:end], str(end) if len(about) > end else None)

    def follow(self, stop: threading.Event) -> Iterator[Mapping[str, Any]]:
        return iter(self.coming)

    def _page(
        self,
        found: Mapping[str | None, Sequence[Mapping[str, Any]]],
        *asked: Any,
    ) -> ResourcePage:
        self._check(asked)
        _, wanted, start_index, count = asked
        matches = found.get(wanted, ())
        total = self.totals.get(wanted, len(matches))
        return ResourcePage(total, matches[start_index - 1 : start_index - 1 + count])

    def _check(self, asked: Any) -> None:
        self.asked.append(asked)
        if self.trouble is not None:
            raise self.trouble


def _meets(change: Mapping[str, Any], query: HistoryQuery) -> bool:
    return (
        (query.about is None or query.about in {change["resourceId"], change.get("member")})
        and (query.external_id is None or query.external_id == change["externalId"])
        and (query.credential is None or query.credential == change["actor"]["credential"])
        and (not query.types or change["type"] in query.types)
    )

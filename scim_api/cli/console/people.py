"""The people of a tenant for the console, from the store: what its SCIM endpoint would answer, and what happened."""

import threading
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from scim_api.cli.console.database import Database
from scim_api.contract.admin import TenantSettings
from scim_api.core.filter.parser import IndexedLookup, parse_filter
from scim_api.core.filter.resolver import sort_attribute
from scim_api.core.messages.serialization import serialize_member, serialize_resource, splice_groups
from scim_api.core.model import Resource
from scim_api.core.schema.tenant_schema import compile_tenant_schema
from scim_api.core.types import ResourceKind
from scim_api.store import change_log
from scim_api.store.change_document import change_document
from scim_api.store.change_log import CHANGE_PAGE, Change
from scim_api.store.errors import ChangesGone
from scim_api.store.protocol import ListQuery, Page, Sort
from scim_console.model import HistoryPage, HistoryQuery, Missing, ResourcePage

LOOK_SECONDS: Final = 0.3
"""Between two looks at the log while a page follows it."""
_NAMES: Final[Mapping[ResourceKind, str]] = {"User": "userName", "Group": "displayName"}


class StoreDirectory:
    """``scim_console.model.Directory`` for one tenant.

    Args:
        database: to ask.
        tenant: surrogate key.
        settings: the tenant's.
        settings_hash: stands for them.
    """

    def __init__(self, database: Database, tenant: int, settings: TenantSettings, settings_hash: str) -> None:
        self._database, self._store, self._tenant = database, database.store, tenant
        self._schema = compile_tenant_schema(settings, settings_hash)

    def users(self, filter: str | None, start_index: int, count: int) -> ResourcePage:
        """Users whom a SCIM filter matches."""
        return self._list("User", filter, start_index, count)

    def groups(self, filter: str | None, start_index: int, count: int) -> ResourcePage:
        """Groups without their members; none where the tenant has none."""
        if "Group" not in self._schema.tables:
            return ResourcePage(0, ())
        return self._list("Group", filter, start_index, count)

    def user(self, id: str) -> Mapping[str, Any]:
        """One user, with the groups."""
        user = self._get("User", id)
        groups = self._database.ask(self._store.groups_of(self._tenant, (user.pk,)))
        endpoint = self._database.endpoint
        text = splice_groups(serialize_resource(user, endpoint), groups.get(user.pk, ()), endpoint)
        found: Mapping[str, Any] = orjson.loads(text)
        return found

    def group(self, id: str) -> Mapping[str, Any]:
        """One group with its members."""
        group = self._get("Group", id)
        members: list[Any] = []
        after = 0
        while True:
            page = self._database.ask(
                self._store.members(self._tenant, group.pk, after=after, limit=CHANGE_PAGE)
            )
            members += [orjson.loads(serialize_member(member, self._database.endpoint)) for member in page]
            if len(page) < CHANGE_PAGE:
                return {**self._document(group), "members": members}
            after = page[-1].pk

    def history(self, query: HistoryQuery) -> HistoryPage:
        """What happened, the newest first. Raises ``ValueError``: ``after`` is no ``next`` of a page."""
        wanted = change_log.HistoryQuery(
            resource=query.about,
            external_id=query.external_id,
            credential=query.credential,
            types=query.types,
            since=query.since,
            until=query.until,
        )
        before = None if query.after is None else int(query.after)
        page = self._database.ask(
            self._store.change_log.history(self._tenant, wanted, before=before, limit=query.limit)
        )
        following = None if page.next is None else str(page.next)
        return HistoryPage([_document_of(change) for change in page.changes], following)

    def follow(self, stop: threading.Event) -> Iterator[Mapping[str, Any]]:
        """Changes from this call on."""
        return self._follow(self._database.ask(self._store.change_log.head(self._tenant)), stop)

    def _follow(
        self, position: change_log.FeedPosition, stop: threading.Event
    ) -> Iterator[Mapping[str, Any]]:
        log = self._store.change_log
        while not stop.is_set():
            try:
                page = self._database.ask(log.page(self._tenant, position, limit=CHANGE_PAGE))
            except ChangesGone:  # another database by now, or restored: go on from what it has
                position = self._database.ask(log.head(self._tenant))
                continue
            yield from map(_document_of, page.changes)
            position = page.next
            if not page.has_more:
                stop.wait(LOOK_SECONDS)

    def _get(self, kind: ResourceKind, identity: str) -> Resource:
        found = self._database.ask(self._store.get(self._tenant, kind, identity.lower()))
        if found is None:
            raise Missing(
                f"There is no {kind.lower()} with the id {identity}; the log may know one that was deleted."
            )
        return found

    def _list(self, kind: ResourceKind, text: str | None, start_index: int, count: int) -> ResourcePage:
        page = self._database.ask(self._page(kind, text, max(start_index - 1, 0), count))
        return ResourcePage(page.total, [self._document(one) for one in page.resources])

    async def _page(self, kind: ResourceKind, text: str | None, offset: int, count: int) -> Page:
        """All users are in the order of creation, which an index has; whatever is looked through is sorted by name."""
        predicate = None
        if text is not None:
            parsed = parse_filter(self._schema, kind, text)
            if isinstance(parsed, IndexedLookup):
                found = await self._store.lookup(self._tenant, kind, parsed.by, parsed.key, parsed.rest)
                return Page(len(found), found[offset : offset + count])
            predicate = parsed
        sort = None
        if kind == "Group" or predicate is not None:
            sort = Sort(sort_attribute(self._schema.tables[kind], _NAMES[kind]))
        return await self._store.search(
            self._tenant, kind, ListQuery(predicate, sort, offset=offset, limit=count)
        )

    def _document(self, resource: Resource) -> Mapping[str, Any]:
        document: Mapping[str, Any] = orjson.loads(serialize_resource(resource, self._database.endpoint))
        return document


def _document_of(change: Change) -> Mapping[str, Any]:
    """As the feed has it."""
    document: Mapping[str, Any] = orjson.loads(orjson.dumps(change_document(change)))
    return document

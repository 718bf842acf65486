"""Lists: ``GET`` and ``.search`` on ``/Users``, ``/Groups`` and the base path, which searches both."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final

from scim_api.core.filter.entra_fast_path import read_page, read_user_lookup
from scim_api.core.filter.parser import IndexedLookup, parse_filter
from scim_api.core.filter.resolver import sort_attribute
from scim_api.core.limits import DEFAULT_RESULTS
from scim_api.core.messages.projection import Projection, projection
from scim_api.core.messages.search_request import (
    PagePosition,
    SearchRequest,
    encode_cursor,
    page_position,
    read_query,
    read_search,
)
from scim_api.core.messages.serialization import (
    MANAGER,
    list_response_head,
    serialize_resource,
    splice_groups,
    splice_manager,
)
from scim_api.core.model import GroupReference, Lookup, Resource
from scim_api.core.predicate import AttributePath, Comparison, LogicalExpression, Predicate, ValuePath
from scim_api.core.schema.tenant_schema import AttributeTable
from scim_api.core.types import ResourceKind
from scim_api.http.endpoint import Handler
from scim_api.http.request import ScimRequest
from scim_api.http.response import ScimResponse
from scim_api.http.scim.conditional import require_groups
from scim_api.http.scim.groups import group_body
from scim_api.store.immediate_reads import ImmediateReads
from scim_api.store.protocol import ListQuery, Page, Sort
from scim_api.store.serialized import SerializedPage

NEAR_OFFSET: Final = 1_000
"""A page at a larger offset is left to the store's own query."""
Projections = Mapping[ResourceKind, Projection | None]
_MANAGER: Final = MANAGER.encode()
_EMAILS: Final = AttributePath(("emails",), "complex", multi_valued=True)
_COMPARED: Final[Mapping[Lookup, AttributePath]] = {
    Lookup.ID: AttributePath((), "string", column="id"),
    Lookup.EXTERNAL: AttributePath(("externalid",), "string"),
}
_NAMES: Final[Mapping[ResourceKind, AttributePath]] = {
    "User": AttributePath(("username",), "string"),
    "Group": AttributePath(("displayname",), "string"),
}


def list_by_query(kind: ResourceKind | None) -> Handler:
    """The handler of a GET on an endpoint; None for the base path."""

    async def handler(request: ScimRequest) -> ScimResponse:
        search = read_query(request.query_parameters())
        if kind is not None and kind not in request.tenant_schema.tables:
            return _empty(search)
        return await _respond(request, kind, search)

    async def users(request: ScimRequest) -> ScimResponse:
        return await _entra_fast_path(request) or await handler(request)

    return users if kind == "User" else handler


def list_by_search_request(kind: ResourceKind | None) -> Handler:
    """The handler of ``POST …/.search`` (RFC 7644 section 3.4.3)."""

    async def handler(request: ScimRequest) -> ScimResponse:
        return await _respond(request, kind, read_search(request.json()))

    return handler


async def _entra_fast_path(request: ScimRequest) -> ScimResponse | None:
    """The response to one of the queries that Entra sends all the time; None for any other."""
    store, tenant = request.service.store, request.access.tenant
    lookup = read_user_lookup(request.query)
    if lookup is not None:
        return _found_users(request, await store.lookup(tenant, "User", *lookup))
    wanted = _near_page(request.query)
    if wanted is None:
        return None
    start_index, count = wanted
    base_url = request.service.base_url
    page = await store.rendered_users(tenant, base_url, offset=start_index - 1, limit=count)
    return _page_of_users(request, start_index, page)


def list_users_now(request: ScimRequest, reads: ImmediateReads) -> ScimResponse | None:
    """As ``_entra_fast_path``, with a store that need not be awaited."""
    tenant = request.access.tenant
    lookup = read_user_lookup(request.query)
    if lookup is not None:
        return _found_users(request, reads.lookup(tenant, "User", *lookup))
    wanted = _near_page(request.query)
    if wanted is None:
        return None
    start_index, count = wanted
    page = reads.rendered_users(tenant, request.service.base_url, offset=start_index - 1, limit=count)
    return _page_of_users(request, start_index, page)


def _found_users(request: ScimRequest, users: Sequence[Resource]) -> ScimResponse | None:
    """The list of them; None for more than fit on a page."""
    if len(users) > DEFAULT_RESULTS:
        return None
    head, base = list_response_head(len(users), len(users), start_index=1), request.service.base_url
    resources = ",".join([serialize_resource(user, base) for user in users])
    return ScimResponse(200, f"{head}{resources}]}}".encode())


def _near_page(query: bytes) -> tuple[int, int] | None:
    """The startIndex and count of a query for a page of everybody; None for another, or at a large offset."""
    page = read_page(query)
    return None if page is None or page[0] - 1 > NEAR_OFFSET else page


def _page_of_users(
    request: ScimRequest, start_index: int, page: SerializedPage | None
) -> ScimResponse | None:
    """A page as the database renders it; None for an empty one."""
    if page is None:
        return None
    head = list_response_head(page.total, len(page.texts), start_index=start_index).encode()
    users = b",".join(page.texts)
    if _MANAGER in users:
        users = splice_manager(users.decode(), request.service.base_url).encode()
    return ScimResponse(200, b"%b%b]}" % (head, users))


async def _respond(request: ScimRequest, kind: ResourceKind | None, search: SearchRequest) -> ScimResponse:
    if kind == "Group":
        require_groups(request)
    elif kind is None and "Group" not in request.tenant_schema.tables:
        kind = "User"
    tables = request.tenant_schema.tables
    requested: Projections = {
        name: projection(tables[name], search.attributes, search.excluded)
        for name in tables
        if kind in {None, name}
    }
    tenant, count = request.access.tenant, search.count
    position = page_position(search, tenant, kind)
    page = await _page(request, kind, search, position)
    resources, next_cursor = page.resources[:count], None
    if resources and len(page.resources) > count:
        following = PagePosition(resources[-1].pk, position.offset + count)
        next_cursor = encode_cursor(search, tenant, kind, following)
    head = list_response_head(
        page.total,
        len(resources),
        start_index=search.start_index if search.cursor is None else None,
        next_cursor=next_cursor,
    )
    return await _render(request, head, resources, requested)


def _empty(search: SearchRequest) -> ScimResponse:
    """The list of groups where they are switched off: Entra's Test Connection was seen to ask for it."""
    head = list_response_head(0, 0, start_index=search.start_index if search.cursor is None else None)
    return ScimResponse(200, f"{head}]}}".encode())


async def _page(
    request: ScimRequest, kind: ResourceKind | None, search: SearchRequest, position: PagePosition
) -> Page:
    """The resources of the page; by cursor one more, which tells whether there is a next page."""
    store, tenant, schema = request.service.store, request.access.tenant, request.tenant_schema
    limit = search.count + (search.cursor is not None)
    table = schema.all_types if kind is None else schema.tables[kind]
    sort = _sort(table, search)
    predicate: Predicate | None = None
    if search.filter:
        parsed = parse_filter(schema, kind, search.filter)
        if isinstance(parsed, IndexedLookup) and kind is not None:
            matches = await store.lookup(tenant, kind, parsed.by, parsed.key, parsed.rest)
            if sort is None or len(matches) < 2:
                rest = (
                    [match for match in matches if match.pk > position.after] if position.after else matches
                )
                return Page(len(matches), rest[position.offset : position.offset + limit])
            predicate = _predicate(kind, parsed)
        elif not isinstance(parsed, IndexedLookup):
            predicate = parsed
    return await store.search(
        tenant, kind, ListQuery(predicate, sort, after=position.after, offset=position.offset, limit=limit)
    )


def _sort(table: AttributeTable, search: SearchRequest) -> Sort | None:
    if search.sort_by is None:
        return None
    return Sort(sort_attribute(table, search.sort_by), search.descending)


def _predicate(kind: ResourceKind, lookup: IndexedLookup) -> Predicate:
    """An indexed equality as an expression, for the few resources that share a key and have to be sorted."""
    equal: Predicate
    if lookup.by is Lookup.WORK_EMAIL:
        kinds = Comparison(AttributePath(("type",), "string"), "eq", "work")
        values = Comparison(AttributePath(("value",), "string"), "eq", lookup.key)
        equal = ValuePath(_EMAILS, LogicalExpression("and", (kinds, values)))
    else:
        equal = Comparison(_COMPARED.get(lookup.by, _NAMES[kind]), "eq", lookup.key)
    return equal if lookup.rest is None else LogicalExpression("and", (equal, lookup.rest))


async def _render(
    request: ScimRequest, head: str, resources: Sequence[Resource], requested: Projections
) -> ScimResponse:
    groups = await user_groups(request, resources, requested.get("User"))
    if all(not _has_members(resource, requested) for resource in resources):
        rendered = ",".join(_text(request, resource, requested, groups) for resource in resources)
        return ScimResponse(200, f"{head}{rendered}]}}".encode())
    return ScimResponse(200, _pieces(request, head, resources, requested, groups))


async def _pieces(
    request: ScimRequest,
    head: str,
    resources: Sequence[Resource],
    requested: Projections,
    groups: Mapping[int, Sequence[GroupReference]],
) -> AsyncIterator[bytes]:
    separator = head.encode()
    for resource in resources:
        yield separator
        if _has_members(resource, requested):
            async for piece in group_body(request, resource, requested[resource.kind]):
                yield piece
        else:
            yield _text(request, resource, requested, groups).encode()
        separator = b","
    yield b"]}"


def _has_members(resource: Resource, requested: Projections) -> bool:
    if resource.kind != "Group":
        return False
    projection_of_groups = requested["Group"]
    return projection_of_groups is None or projection_of_groups.wants("members")


def _text(
    request: ScimRequest,
    resource: Resource,
    requested: Projections,
    groups: Mapping[int, Sequence[GroupReference]],
) -> str:
    base, requested_of_kind = request.service.base_url, requested[resource.kind]
    text = splice_groups(serialize_resource(resource, base), groups.get(resource.pk, ()), base)
    return text if requested_of_kind is None else requested_of_kind.apply_text(text)


async def user_groups(
    request: ScimRequest, resources: Sequence[Resource], requested: Projection | None
) -> Mapping[int, Sequence[GroupReference]]:
    """The groups of the users among the resources, by ``pk``, where a request asks for ``groups``."""
    if requested is None or not requested.wants("groups") or "Group" not in request.tenant_schema.tables:
        return {}
    users = [resource.pk for resource in resources if resource.kind == "User"]
    return await request.service.store.groups_of(request.access.tenant, users) if users else {}

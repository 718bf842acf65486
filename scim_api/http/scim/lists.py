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
from scim_api.core.messages.serialization import list_response_head, serialize_resource, splice_groups
from scim_api.core.model import GroupReference, Lookup, Resource
from scim_api.core.predicate import AttributePath, Comparison, LogicalExpression, Predicate, ValuePath
from scim_api.core.schema.tenant_schema import AttributeTable
from scim_api.core.types import ResourceKind
from scim_api.http.endpoint import Handler
from scim_api.http.request import ScimRequest
from scim_api.http.response import ScimResponse
from scim_api.http.scim.conditional import require_groups
from scim_api.http.scim.groups import group_body
from scim_api.store.protocol import ListQuery, Page, Sort

NEAR_OFFSET: Final = 1_000
"""A page further in than this is walked to, and so left to the store's own judgement."""
Projections = Mapping[ResourceKind, Projection | None]
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

    async def handler(call: ScimRequest) -> ScimResponse:
        return await _answer(call, kind, read_query(call.query_parameters()))

    async def users(call: ScimRequest) -> ScimResponse:
        return await _entra_fast_path(call) or await handler(call)

    return users if kind == "User" else handler


def list_by_search_request(kind: ResourceKind | None) -> Handler:
    """The handler of ``POST …/.search`` (RFC 7644 section 3.4.3)."""

    async def handler(call: ScimRequest) -> ScimResponse:
        return await _answer(call, kind, read_search(call.json()))

    return handler


async def _entra_fast_path(call: ScimRequest) -> ScimResponse | None:
    """The answer to one of the queries that Entra sends all the time; None for any other."""
    asked = read_user_lookup(call.query)
    if asked is not None:
        found = await call.service.store.lookup(call.access.tenant, "User", *asked)
        if len(found) > DEFAULT_RESULTS:
            return None
        head, base = list_response_head(len(found), len(found), start_index=1), call.service.base_url
        texts = ",".join([serialize_resource(one, base) for one in found])
        return ScimResponse(200, f"{head}{texts}]}}".encode())
    wanted = read_page(call.query)
    if wanted is None:
        return None
    return await _page_of_all_users(call, *wanted)


async def _page_of_all_users(call: ScimRequest, start_index: int, count: int) -> ScimResponse | None:
    """A page as the database renders it; None for one that is too far in, or empty."""
    offset = start_index - 1
    if offset > NEAR_OFFSET:
        return None
    store, tenant = call.service.store, call.access.tenant
    found = await store.rendered_users(tenant, call.service.base_url, offset=offset, limit=count)
    if found is None:
        return None
    head = list_response_head(found.total, len(found.texts), start_index=start_index).encode()
    return ScimResponse(200, b"%b%b]}" % (head, b",".join(found.texts)))


async def _answer(call: ScimRequest, kind: ResourceKind | None, search: SearchRequest) -> ScimResponse:
    if kind == "Group":
        require_groups(call)
    elif kind is None and "Group" not in call.tenant_schema.tables:
        kind = "User"
    tables = call.tenant_schema.tables
    wanted: Projections = {
        one: projection(tables[one], search.attributes, search.excluded)
        for one in tables
        if kind in {None, one}
    }
    tenant, count = call.access.tenant, search.count
    position = page_position(search, tenant, kind)
    slice_ = await _page(call, kind, search, position)
    found, next_cursor = slice_.resources[:count], None
    if found and len(slice_.resources) > count:
        following = PagePosition(found[-1].pk, position.offset + count)
        next_cursor = encode_cursor(search, tenant, kind, following)
    head = list_response_head(
        slice_.total,
        len(found),
        start_index=search.start_index if search.cursor is None else None,
        next_cursor=next_cursor,
    )
    return await _rendered(call, head, found, wanted)


async def _page(
    call: ScimRequest, kind: ResourceKind | None, search: SearchRequest, position: PagePosition
) -> Page:
    """The resources of the page, and one more by which to know that there is another page by cursor."""
    store, tenant, profile = call.service.store, call.access.tenant, call.tenant_schema
    limit = search.count + (search.cursor is not None)
    table = profile.all_types if kind is None else profile.tables[kind]
    sort = _sort(table, search)
    predicate: Predicate | None = None
    if search.filter:
        wanted = parse_filter(profile, kind, search.filter)
        if isinstance(wanted, IndexedLookup) and kind is not None:
            found = await store.lookup(tenant, kind, wanted.by, wanted.key, wanted.rest)
            if sort is None or len(found) < 2:
                left = [one for one in found if one.pk > position.after] if position.after else found
                return Page(len(found), left[position.offset : position.offset + limit])
            predicate = _predicate(kind, wanted)
        elif not isinstance(wanted, IndexedLookup):
            predicate = wanted
    return await store.search(
        tenant, kind, ListQuery(predicate, sort, after=position.after, offset=position.offset, limit=limit)
    )


def _sort(table: AttributeTable, search: SearchRequest) -> Sort | None:
    if search.sort_by is None:
        return None
    return Sort(sort_attribute(table, search.sort_by), search.descending)


def _predicate(kind: ResourceKind, wanted: IndexedLookup) -> Predicate:
    """An indexed equality as an expression, for the few resources that share a key and have to be sorted."""
    equal: Predicate
    if wanted.by is Lookup.WORK_EMAIL:
        kinds = Comparison(AttributePath(("type",), "string"), "eq", "work")
        values = Comparison(AttributePath(("value",), "string"), "eq", wanted.key)
        equal = ValuePath(_EMAILS, LogicalExpression("and", (kinds, values)))
    else:
        equal = Comparison(_COMPARED.get(wanted.by, _NAMES[kind]), "eq", wanted.key)
    return equal if wanted.rest is None else LogicalExpression("and", (equal, wanted.rest))


async def _rendered(
    call: ScimRequest, head: str, found: Sequence[Resource], wanted: Projections
) -> ScimResponse:
    groups = await user_groups(call, found, wanted.get("User"))
    if all(not _has_members(one, wanted) for one in found):
        texts = ",".join(_text(call, one, wanted, groups) for one in found)
        return ScimResponse(200, f"{head}{texts}]}}".encode())
    return ScimResponse(200, _pieces(call, head, found, wanted, groups))


async def _pieces(
    call: ScimRequest,
    head: str,
    found: Sequence[Resource],
    wanted: Projections,
    groups: Mapping[int, Sequence[GroupReference]],
) -> AsyncIterator[bytes]:
    separator = head.encode()
    for one in found:
        yield separator
        if _has_members(one, wanted):
            async for piece in group_body(call, one, wanted[one.kind]):
                yield piece
        else:
            yield _text(call, one, wanted, groups).encode()
        separator = b","
    yield b"]}"


def _has_members(resource: Resource, wanted: Projections) -> bool:
    if resource.kind != "Group":
        return False
    of_groups = wanted["Group"]
    return of_groups is None or of_groups.wants("members")


def _text(
    call: ScimRequest, resource: Resource, wanted: Projections, groups: Mapping[int, Sequence[GroupReference]]
) -> str:
    base, of_kind = call.service.base_url, wanted[resource.kind]
    text = splice_groups(serialize_resource(resource, base), groups.get(resource.pk, ()), base)
    return text if of_kind is None else of_kind.apply_text(text)


async def user_groups(
    call: ScimRequest, found: Sequence[Resource], wanted: Projection | None
) -> Mapping[int, Sequence[GroupReference]]:
    """The groups of the users among the resources, by ``pk``, where a request asks for ``groups``."""
    if wanted is None or not wanted.wants("groups") or "Group" not in call.tenant_schema.tables:
        return {}
    users = [one.pk for one in found if one.kind == "User"]
    return await call.service.store.groups_of(call.access.tenant, users) if users else {}

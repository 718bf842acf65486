"""``GET /changes/v1``: what happened to the tenant's users and groups, in order, from a cursor on.

Reading moves nothing in the service: whoever asks with the same cursor again gets the same again. A request that waits
holds neither a thread nor a connection of the database.
"""

import asyncio
import dataclasses
import time
from collections.abc import Mapping
from typing import Final

import orjson

from scim_api.core.errors import ScimError
from scim_api.http.changes.parameters import check_names, integer_of, types_of
from scim_api.http.request import ScimRequest
from scim_api.http.response import JSON, UNAUTHORIZED, ScimResponse
from scim_api.store.change_document import change_document
from scim_api.store.change_log import CHANGE_PAGE, ChangePage, FeedPosition
from scim_api.store.errors import ChangesGone
from scim_api.store.feed_cursor import InvalidCursor, decode, encode

DEFAULT_LIMIT: Final = 100
MAX_WAIT_SECONDS: Final = 30
NOW: Final = "now"
"""In the place of a cursor: the one after everything that has happened."""
_PARAMETERS: Final = ("after", "limit", "types", "wait")


@dataclasses.dataclass(frozen=True, slots=True)
class FeedQuery:
    """What a request asks for."""

    after: FeedPosition | None
    """None: from the oldest that is kept."""
    is_head: bool
    """Whether only the cursor after everything is wanted."""
    limit: int
    types: frozenset[str]
    """None: all."""
    wait: int
    """Seconds."""


def read_query(parameters: Mapping[str, str]) -> FeedQuery:
    """What query parameters, by lower-case names, ask for. Raises ``ScimError`` 400."""
    check_names(parameters, _PARAMETERS)
    after = parameters.get("after", "")
    return FeedQuery(
        after=None if after in {"", NOW} else _position(after),
        is_head=after == NOW,
        limit=integer_of(parameters, "limit", DEFAULT_LIMIT, 1, CHANGE_PAGE),
        types=types_of(parameters),
        wait=integer_of(parameters, "wait", 0, 0, MAX_WAIT_SECONDS),
    )


def _position(cursor: str) -> FeedPosition:
    try:
        return decode(cursor)
    except InvalidCursor:
        raise ScimError(
            400,
            "after is no cursor of this feed: send the next of an answer as it came, now for what comes from now"
            " on, or nothing for the oldest that is kept.",
            "invalidCursor",
        ) from None


async def changes(request: ScimRequest) -> ScimResponse:
    """A page of changes, at once or when there are any. Raises ``ScimError`` 400 and 410."""
    query = read_query(request.query_parameters())
    change_log, tenant = request.service.store.change_log, request.access.tenant
    if query.is_head:
        return _answer(ChangePage((), await change_log.head(tenant), has_more=False))
    began = time.monotonic()
    try:
        page: ChangePage | None = await change_log.page(
            tenant, query.after, limit=query.limit, types=query.types
        )
        if query.wait and page is not None and not page.changes and not page.has_more:
            page = await _wait(request, query, page)
    except ChangesGone as error:
        raise ScimError(
            410,
            f"This cursor leads nowhere any more: {error}. Get a new one with after=now, then read all users and"
            " groups, then go on from it.",
            "expiredCursor",
        ) from None
    response = UNAUTHORIZED if page is None else _answer(page)
    return dataclasses.replace(response, waited=time.monotonic() - began) if query.wait else response


async def _wait(request: ScimRequest, query: FeedQuery, page: ChangePage) -> ChangePage | None:
    """The first page that has something, or the last one; None when the token is accepted no more."""
    service, access = request.service, request.access
    deadline = time.monotonic() + query.wait
    async with service.change_watch.changes_of(access.tenant) as changed:
        while changed is not None:
            page = await service.store.change_log.page(
                access.tenant, page.next, limit=query.limit, types=query.types
            )
            if page.changes or page.has_more or service.stopping:
                break
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    await changed.wait()
            except TimeoutError:
                break
            changed.clear()
            if not await service.authenticator.is_accepted(access):
                return None
    return page


def _answer(page: ChangePage) -> ScimResponse:
    document = {
        "changes": [change_document(change) for change in page.changes],
        "next": encode(page.next),
        "hasMore": page.has_more,
    }
    return ScimResponse(200, orjson.dumps(document), media_type=JSON)

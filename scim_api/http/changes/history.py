"""``GET /changes/v1/history``: what happened to a person or a group, or by a credential, the newest first.

For looking, not for following: what is committed while somebody turns pages may be on none of them. A request looks at
some thousands of changes at most, and then says where to go on.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

import orjson

from scim_api.core.errors import ScimError, invalid_value, quoted
from scim_api.http.changes.parameters import check_names, integer_of, types_of
from scim_api.http.request import ScimRequest
from scim_api.http.response import JSON, ScimResponse
from scim_api.store.change_document import change_document
from scim_api.store.change_log import CHANGE_PAGE, HistoryQuery
from scim_api.store.feed_cursor import InvalidCursor, decode_history, encode_history

DEFAULT_LIMIT: Final = 100
_PARAMETERS: Final = ("resourceId", "externalId", "credential", "types", "since", "until", "after", "limit")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


class HistoryRequest(NamedTuple):
    """What a request asks for."""

    query: HistoryQuery
    before: int | None
    """None: from the newest on."""
    limit: int


def read_request(parameters: Mapping[str, str]) -> HistoryRequest:
    """What query parameters, by lower-case names, ask for. Raises ``ScimError`` 400."""
    known = {name.lower(): name for name in _PARAMETERS}
    check_names([name for name in parameters if name not in known], _PARAMETERS)
    since, until = _moment(parameters, "since"), _moment(parameters, "until")
    if since is not None and until is not None and until <= since:
        raise invalid_value(
            "until is not after since, so nothing can be between them; send the later one as until."
        )
    after = parameters.get("after", "")
    return HistoryRequest(
        HistoryQuery(
            resource=_text(parameters, "resourceId"),
            external_id=_text(parameters, "externalId"),
            credential=_text(parameters, "credential"),
            types=types_of(parameters),
            since=since,
            until=until,
        ),
        _before(after) if after else None,
        integer_of(parameters, "limit", DEFAULT_LIMIT, 1, CHANGE_PAGE),
    )


def _before(cursor: str) -> int:
    try:
        return decode_history(cursor)
    except InvalidCursor:
        raise ScimError(
            400,
            "after is no cursor of the history: send the next of an answer as it came, or nothing for the newest"
            " changes.",
            "invalidCursor",
        ) from None


def _text(parameters: Mapping[str, str], name: str) -> str | None:
    text = parameters.get(name.lower(), "")
    if "\0" in text:
        raise invalid_value(f"{name} has a character that no value has, U+0000; send it without.")
    return text or None


def _moment(parameters: Mapping[str, str], name: str) -> datetime | None:
    text = parameters.get(name, "")
    if not text:
        return None
    try:
        if _TIME.fullmatch(text):
            return datetime.fromisoformat(text.upper())
    except ValueError:
        pass
    raise invalid_value(
        f"{name} is {quoted(text)}; send a time as RFC 3339 has it, such as 2026-11-23T14:00:00Z, with %2B for a +."
    )


async def history(request: ScimRequest) -> ScimResponse:
    """A page of changes. Raises ``ScimError`` 400."""
    query, before, limit = read_request(request.query_parameters())
    page = await request.service.store.change_log.history(
        request.access.tenant, query, before=before, limit=limit
    )
    document = {
        "changes": [change_document(change) for change in page.changes],
        "next": None if page.next is None else encode_history(page.next),
    }
    return ScimResponse(200, orjson.dumps(document), media_type=JSON)

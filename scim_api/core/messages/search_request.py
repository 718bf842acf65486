"""What a query asks for (RFC 7644 sections 3.4.2 and 3.4.3), and cursors (RFC 9865), without any I/O.

A cursor is bound to its query: it carries a digest of tenant, resource type, filter and order, so that it
cannot be taken to another one. Without ``sortBy`` it holds the key of the last resource returned, so that
nothing is skipped or repeated while others create and delete. With ``sortBy`` it holds the number of
resources returned so far, which is as exact as ``startIndex`` is. Nothing is kept between requests, so
that a cursor never expires.
"""

import base64
import binascii
import dataclasses
import hashlib
import re
import struct
from collections.abc import Mapping
from typing import Any, Final, Literal

from scim_api.core.errors import ScimError, described, invalid_syntax, invalid_value, quoted
from scim_api.core.limits import DEFAULT_RESULTS, MAX_RESULTS

_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,30}", re.ASCII)
_MAX_OFFSET: Final = 2**53
"""No list is that long; larger numbers would not fit into the databases' integers."""
_CURSOR: Final = struct.Struct(">c8sQ")
_NAMES: Final = {
    name.lower(): name
    for name in (
        "attributes",
        "excludedAttributes",
        "filter",
        "sortBy",
        "sortOrder",
        "startIndex",
        "count",
        "cursor",
    )
}
SINGLE_PARAMETERS: Final[Mapping[str, str]] = {
    key: name for key, name in _NAMES.items() if key not in {"attributes", "excludedattributes"}
}
"""The parameters that have one value, by their names in lower case; the others are lists."""


@dataclasses.dataclass(frozen=True, slots=True)
class SearchRequest:
    """A query, its numbers within their bounds."""

    attributes: str | None
    """Names separated by commas, as ``projection`` takes them."""
    excluded: str | None
    filter: str | None
    sort_by: str | None
    descending: bool
    start_index: int
    count: int
    cursor: str | None
    """None: pages by index; "": the first page."""


@dataclasses.dataclass(frozen=True, slots=True)
class PagePosition:
    """Where a page begins."""

    after: int = 0
    """Only resources whose key is larger."""
    offset: int = 0
    """Of those, so many are left out."""


def read_query(parameters: Mapping[str, str]) -> SearchRequest:
    """The query of a GET.

    Args:
        parameters: by name in lower case, URL-decoded; those that mean nothing here are ignored.

    Raises:
        ScimError: 400 that names the parameter and what to write.
    """
    return _search(parameters.get)


def read_search(body: Mapping[str, Any]) -> SearchRequest:
    """The query of a SearchRequest; names in any case, unknown ones are ignored.

    Raises:
        ScimError: 400 that names the attribute and what to write.
    """
    values: dict[str, str] = {}
    for name, value in body.items():
        canonical = _NAMES.get(name.lower())
        if canonical is None or value is None:
            continue
        if canonical.lower() in values:
            raise invalid_syntax(f"{canonical} is sent twice, under two spellings of its name; send it once.")
        values[canonical.lower()] = _text(canonical, value)
    return _search(values.get)


def _text(name: str, value: object) -> str:
    """A value of a SearchRequest as the parameter of a GET has it."""
    if name in {"attributes", "excludedAttributes"}:
        if isinstance(value, list) and all(isinstance(name_in_list, str) for name_in_list in value):
            return ",".join(value)
        if isinstance(value, str):
            return value
        raise invalid_value(
            f'{name} is {quoted(value)}; it must be an array of attribute names, such as ["userName"].'
        )
    if name in {"startIndex", "count"}:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise _no_integer(name, value, cursor=False)
        return str(value)
    if isinstance(value, str):
        return value
    raise invalid_value(f"{name} must be a string, but {described(value)} was sent; write it between quotes.")


def _search(get: Any) -> SearchRequest:
    cursor: str | None = get("cursor")
    if cursor is not None and get("startindex"):
        raise invalid_value(
            "startIndex and cursor exclude each other: send startIndex to page by index, or cursor to page by"
            " cursor."
        )
    sent = get("sortorder") or "ascending"
    order = sent.lower()
    if order not in {"ascending", "descending"}:
        raise invalid_value(f"sortOrder is {quoted(sent)}; write ascending or descending.")
    count = _integer("count", get("count"), DEFAULT_RESULTS, 0, cursor=cursor is not None)
    return SearchRequest(
        attributes=get("attributes"),
        excluded=get("excludedattributes"),
        filter=get("filter") or None,
        sort_by=get("sortby") or None,
        descending=order == "descending",
        start_index=_integer("startIndex", get("startindex"), 1, 1, cursor=False),
        count=min(count, MAX_RESULTS),
        cursor=cursor,
    )


def _integer(name: str, text: str | None, default: int, lowest: int, *, cursor: bool) -> int:
    """Paging numbers: below the lowest counts as the lowest (RFC 7644 section 3.4.2.4)."""
    if not text:
        return default
    if _INTEGER.fullmatch(text) is None:
        raise _no_integer(name, text, cursor=cursor)
    return max(lowest, min(int(text), _MAX_OFFSET))


def _no_integer(name: str, value: object, *, cursor: bool) -> ScimError:
    detail = f"{name} is {described(value)}, which is no integer; write a number such as {DEFAULT_RESULTS}."
    return ScimError(400, detail, "invalidCount" if cursor else "invalidValue")


def encode_cursor(search: SearchRequest, tenant: int, kind: str | None, position: PagePosition) -> str:
    """The cursor of the page that begins at a position.

    Args:
        search: the query that it belongs to.
        tenant: its tenant.
        kind: the resource type that is searched; None for all.
        position: with one of both numbers set.
    """
    mark, number = (b"o", position.offset) if search.sort_by else (b"k", position.after)
    packed = _CURSOR.pack(mark, _digest(search, tenant, kind), number)
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def page_position(search: SearchRequest, tenant: int, kind: str | None) -> PagePosition:
    """Where the page begins that a query asks for, by cursor or by index.

    Raises:
        ScimError: 400 invalidCursor for what is no cursor of this query.
    """
    if search.cursor is None:
        return PagePosition(offset=search.start_index - 1)
    if not search.cursor:
        return PagePosition()
    mark, digest, number = _unpacked(search.cursor)
    expected: Literal[b"o", b"k"] = b"o" if search.sort_by else b"k"
    if mark != expected or digest != _digest(search, tenant, kind) or number > _MAX_OFFSET:
        raise _invalid_cursor()
    return PagePosition(offset=number) if search.sort_by else PagePosition(after=number)


def _unpacked(cursor: str) -> tuple[bytes, bytes, int]:
    try:
        packed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        mark, digest, number = _CURSOR.unpack(packed)
    except (binascii.Error, struct.error, ValueError):
        raise _invalid_cursor() from None
    return mark, digest, number


def _invalid_cursor() -> ScimError:
    return ScimError(
        400,
        "cursor is not one that this query was answered with. Send the nextCursor of the page before, with the"
        " same filter, sortBy and sortOrder, or an empty cursor to begin again.",
        "invalidCursor",
    )


def _digest(search: SearchRequest, tenant: int, kind: str | None) -> bytes:
    parts = (tenant, kind, search.filter, search.sort_by, search.descending)
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).digest()[:8]

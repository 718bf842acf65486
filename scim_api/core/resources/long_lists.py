"""Reading the body of a group with many members: its long lists are read in pieces, the rest as any other body.

A parser in C keeps the interpreter until it is done, and a list of 100,000 members would keep everybody waiting. So a long
list of flat objects is found as text, taken out, and read piece by piece; of what a member is, its id is all that stays.
The text between the brackets is JSON if each of its pieces is. What a string stands for in its place is JSON only where a
list can be: inside of another string its quotation marks would end that.
"""

import re
import secrets
from collections.abc import Iterator
from typing import Any, Final

from scim_api.core.errors import ScimError, too_large
from scim_api.core.json_body import decode_json
from scim_api.core.limits import MAX_BODY, MAX_MEMBERS
from scim_api.core.resources.members import MemberIds, id_or_entry, read_members

LONG: Final = 8 * 1024
"""Bytes of a list that is read in pieces."""
PIECE: Final = 64 * 1024
"""Bytes of a piece; also what one entry may have at most."""
_BEGIN: Final = re.compile(rb'"(?:members|value)"\s*:\s*\[', re.IGNORECASE)
_ENTRY: Final = rb'\s*+\{(?:[^"{}\[\]]++|"(?:[^"\\]++|\\.)*+")*+\}\s*+'
_ENTRIES: Final = re.compile(rb"(?:" + _ENTRY + rb",)++", re.DOTALL)
_LAST: Final = re.compile(_ENTRY + rb"\]", re.DOTALL)


def decode_group(body: bytes) -> dict[str, Any]:
    """Read a request body as ``decode_json`` does; entries of long lists of members may be ids instead of objects.

    Where the members are the body's own they are ``MemberIds``. Without its lists a body has ``MAX_BODY`` bytes at most.

    Raises:
        ScimError: as ``decode_json``, and as ``read_members``; 413 for more than ``MAX_MEMBERS`` in a list.
    """
    try:
        document = _decode_in_pieces(body)
    except ScimError:
        if len(body) > MAX_BODY:
            raise
        document = None
    if document is None:
        if len(body) > MAX_BODY:
            raise _too_long()
        document = decode_json(body)
    names = [name for name in document if name.lower() == "members"]
    if len(names) == 1 and isinstance(document[names[0]], list):
        document[names[0]] = MemberIds(read_members(document[names[0]]))
    return document


def _decode_in_pieces(body: bytes) -> dict[str, Any] | None:
    """The body, or None where its long lists are no members."""
    mark, rest, lists = secrets.token_hex(16), list[bytes](), dict[str, list[Any]]()
    done = looked = size = 0
    while found := _BEGIN.search(body, looked, looked + MAX_BODY):
        looked = found.end()
        end = _end_of_list(body, looked)
        if end - looked < LONG:
            continue
        name = f"{mark}{len(lists)}"
        lists[name] = _members(body, looked, end)
        rest += (body[done : looked - 1], b'"%b"' % name.encode())
        size += looked - done
        done = looked = end
        if size > MAX_BODY:
            return None
    if not lists or size + len(body) - done > MAX_BODY:
        return None
    document = decode_json(b"".join((*rest, body[done:])))
    return document if _put_back(document, lists) else None


def _end_of_list(body: bytes, start: int) -> int:
    """Where a list of flat objects ends, behind its bracket; ``start`` for what is none."""
    at = start
    while found := _ENTRIES.match(body, at, at + PIECE):
        at = found.end()
    last = _LAST.match(body, at, at + PIECE)
    return start if last is None else last.end()


def _pieces(body: bytes, start: int, end: int) -> Iterator[bytes]:
    """The entries from ``start`` up to the bracket before ``end``, some of them at a time."""
    while found := _ENTRIES.match(body, start, start + PIECE):
        yield body[start : found.end() - 1]
        start = found.end()
    yield body[start : end - 1]


def _members(body: bytes, start: int, end: int) -> list[Any]:
    """The entries: ids, and as they were sent where that is not all there is to them."""
    members = list[Any]()
    for piece in _pieces(body, start, end):
        members += map(id_or_entry, decode_json(b'{"members":[%b]}' % piece)["members"])
        if len(members) > MAX_MEMBERS:
            raise too_large(
                f"A list names more than {MAX_MEMBERS} members; send several requests that add fewer."
            )
    return members


def _put_back(document: dict[str, Any], lists: dict[str, list[Any]]) -> bool:
    """Put lists where their names stand; whether that is where members are for each of them."""
    holders = [(document, name) for name in document if name.lower() == "members"]
    operations = [value for name, value in document.items() if name.lower() == "operations"]
    for operation in (one for value in operations if isinstance(value, list) for one in value):
        if isinstance(operation, dict):
            for name, value in operation.items():
                if name.lower() == "value":
                    holders += [(operation, name)]
                    holders += [(value, inner) for inner in value] if isinstance(value, dict) else []
    count = 0
    for holder, name in holders:
        value = holder[name]
        if isinstance(value, str) and value in lists:
            holder[name] = lists[value]
            count += 1
    return count == len(lists)


def _too_long() -> ScimError:
    return too_large(
        f"The body is larger than {MAX_BODY} bytes without the members of the group, or one of them is more than a flat"
        " object; send less at once."
    )

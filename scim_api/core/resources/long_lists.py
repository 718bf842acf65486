"""Reading the body of a group with many members: its long lists are read in pieces, the rest as any other body.

A parser in C keeps the interpreter until it is done, and a list of 100,000 members would keep everybody waiting. So a long
list of flat objects is found as text, taken out, and read piece by piece; of what a member is, its id is all that stays.
The text between the brackets is JSON if each of its pieces is.

Nothing is looked at more than a few times, whatever a client sends: a list begins outside of strings alone, and flat entries
have no other list in them, so that a list that turns out to be none is not begun again within what was looked at.
"""

import re
import secrets
from collections.abc import Iterator
from typing import Any, Final

from scim_api.core.errors import ScimError, too_large
from scim_api.core.json_body import decode_json
from scim_api.core.limits import MAX_BODY, MAX_BODY_VALUES, MAX_MEMBERS
from scim_api.core.resources.members import MemberIds, id_or_entry, read_members

LONG: Final = 8 * 1024
"""Bytes of a list that is read in pieces."""
PIECE: Final = 64 * 1024
"""Bytes of a piece; also what one entry may have at most."""
_STRING: Final = rb'"(?:[^"\\]++|\\.)*+"'
_NAME: Final = rb'"(?i:members|value)"'
_OTHER: Final = re.compile(rb'(?:[^"]++|(?!%b)%b)*+' % (_NAME, _STRING), re.DOTALL)
"""What no list of members begins in, as far as whole strings go."""
_BEGIN: Final = re.compile(_NAME + rb"\s*+:\s*+\[")
_ANY_STRING: Final = re.compile(_STRING, re.DOTALL)
_ENTRY: Final = rb'\s*+\{(?:[^"{}\[\]]++|%b)*+\}\s*+' % _STRING
_ENTRIES: Final = re.compile(rb"(?:" + _ENTRY + rb",)++", re.DOTALL)
_LAST: Final = re.compile(_ENTRY + rb"\]", re.DOTALL)


def decode_group(body: bytes) -> dict[str, Any]:
    """Read a request body as ``decode_json`` does; entries of long lists of members may be ids instead of objects.

    Where the members are the body's own they are ``MemberIds``. Without its lists a body has ``MAX_BODY`` bytes at most.

    Raises:
        ScimError: as ``decode_json``, and as ``read_members``; 413 for more than ``MAX_MEMBERS`` in all lists.
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
    mark, rest, lists, budget = secrets.token_hex(16), list[bytes](), dict[str, list[Any]](), _Budget()
    done = looked = size = 0
    while (begin := _begin_of_list(body, looked, done + MAX_BODY - size)) is not None:
        looked = end = _end_of_list(body, begin)
        if end - begin < LONG:
            continue
        name = f"{mark}{len(lists)}"
        lists[name] = _members(body, begin, end, budget)
        rest += (body[done : begin - 1], b'"%b"' % name.encode())
        size += begin - done
        done = end
    if not lists or size + len(body) - done > MAX_BODY:
        return None
    document = decode_json(b"".join((*rest, body[done:])))
    return document if _put_back(document, lists) else None


def _begin_of_list(body: bytes, start: int, limit: int) -> int | None:
    """Where a list that may be one of members begins, behind its bracket; None for none before ``limit``.

    Args:
        body: the whole.
        start: outside of a string.
        limit: from where on nothing is looked for.
    """
    at = start
    while at < min(limit, len(body)):
        begin = at
        other = _OTHER.match(body, at, min(at + PIECE, limit))
        at = at if other is None else other.end()
        found = _BEGIN.match(body, at, limit)
        if found is not None:
            return found.end()
        string = _ANY_STRING.match(body, at, limit)  # with one of the names, or longer than a piece
        if string is not None:
            at = string.end()
        elif at == begin:
            return None  # it has no end, so this is no JSON
    return None


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


class _Budget:
    """What all lists of a body may have together."""

    def __init__(self) -> None:
        self._members = self._values = 0

    def take(self, entries: list[Any]) -> None:
        """Count entries. Raises ``ScimError`` 413."""
        self._members += len(entries)
        self._values += sum(1 + len(entry) for entry in entries if type(entry) is dict)
        if self._members > MAX_MEMBERS:
            raise too_large(
                f"The body names more than {MAX_MEMBERS} members; send several requests that add fewer."
            )
        if self._values > MAX_BODY_VALUES:
            raise too_large(
                f"The body has more than {MAX_BODY_VALUES} values besides the ids of members; send less at once."
            )


def _members(body: bytes, start: int, end: int, budget: _Budget) -> list[Any]:
    """The entries: ids, and as they were sent where that is not all there is to them."""
    members = list[Any]()
    for piece in _pieces(body, start, end):
        entries = [id_or_entry(entry) for entry in decode_json(b'{"members":[%b]}' % piece)["members"]]
        budget.take(entries)
        members += entries
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

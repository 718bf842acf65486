"""Positions in feed and history as clients hold them: opaque, and refused when they are none that were given out."""

import base64
import binascii
import zlib
from typing import Any, Final

import orjson

from scim_api.store.change_log import FeedPosition, LatePage, Unfinished

_FORM: Final = 1
_HISTORY_FORM: Final = 2
_LARGEST: Final = 2**63 - 1


class InvalidCursor(ValueError):
    """It was never given out, or lost something on the way."""


def encode(position: FeedPosition) -> str:
    """The cursor for a position: letters, digits, ``-`` and ``_``."""
    late = position.late
    fields = [
        _FORM, position.tenant, position.epoch, position.pk, position.mark, *_numbers(position.unfinished),
        [] if late is None else [late.after, *_numbers(late.of)],
    ]  # fmt: skip
    return _seal(fields)


def decode(cursor: str) -> FeedPosition:
    """The position of a cursor. Raises ``InvalidCursor``."""
    try:
        form, tenant, epoch, pk, mark, listed, start, end, late = _unseal(cursor)
        if form != _FORM:
            raise InvalidCursor
        return FeedPosition(
            _number(tenant),
            _number(epoch),
            _number(pk),
            _number(mark),
            _unfinished(listed, start, end),
            None if late == [] else _late_page(*late),
        )
    except (ValueError, TypeError) as error:
        raise InvalidCursor from error


def encode_history(before: int) -> str:
    """The cursor for ``HistoryPage.next``."""
    return _seal([_HISTORY_FORM, before])


def decode_history(cursor: str) -> int:
    """The ``before`` of a cursor of the history. Raises ``InvalidCursor``."""
    try:
        form, before = _unseal(cursor)
    except (ValueError, TypeError) as error:
        raise InvalidCursor from error
    if form != _HISTORY_FORM:
        raise InvalidCursor
    return _number(before)


def _seal(fields: list[Any]) -> str:
    payload = orjson.dumps(fields)
    return base64.urlsafe_b64encode(_sum(payload) + payload).decode().rstrip("=")


def _unseal(cursor: str) -> Any:
    try:
        data = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeError) as error:
        raise InvalidCursor from error
    payload = data[4:]
    if data[:4] != _sum(payload):
        raise InvalidCursor
    return orjson.loads(payload)


def _sum(payload: bytes) -> bytes:
    return zlib.crc32(payload).to_bytes(4, "big")


def _numbers(unfinished: Unfinished) -> tuple[list[int], int, int]:
    return (list(unfinished.listed), unfinished.start, unfinished.end)


def _late_page(after: Any, listed: Any, start: Any, end: Any) -> LatePage:
    return LatePage(_unfinished(listed, start, end), _number(after))


def _unfinished(listed: Any, start: Any, end: Any) -> Unfinished:
    if not isinstance(listed, list):
        raise InvalidCursor
    return Unfinished(tuple(map(_number, listed)), _number(start), _number(end))


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= _LARGEST:
        raise InvalidCursor
    return value

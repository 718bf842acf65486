"""The form in which single values are compared: strings by a comparison key, date-times as microseconds."""

import re
from datetime import datetime, timedelta
from unicodedata import normalize

_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)?", re.ASCII)


_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  (naive on purpose: plain arithmetic that cannot overflow)


_MICROSECOND = timedelta(microseconds=1)


def comparison_key(value: str, *, case_exact: bool) -> str:
    """The form that equality, order and substrings are decided on.

    NFC, and lower case unless the attribute is caseExact: the comparison key of scim2-models, so that
    its ``ScimFilter.match`` can be the oracle.
    """
    if value.isascii():
        return value if case_exact else value.lower()
    composed = normalize("NFC", value)
    return composed if case_exact else normalize("NFC", composed.lower())


def to_microseconds(value: str) -> int | None:
    """A dateTime (RFC 7643 section 2.3.5) as microseconds since 1970 in UTC; None when it is none.

    Without an offset it is taken as UTC. Digits past the sixth are cut.
    """
    if not _DATE_TIME.fullmatch(value):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    offset = moment.utcoffset() or timedelta()
    return (moment.replace(tzinfo=None) - _EPOCH) // _MICROSECOND - offset // _MICROSECOND


def from_microseconds(value: int) -> str | None:
    """Microseconds since 1970 as ``2026-11-23T14:00:00.123456Z``; None outside the years 1 to 9999."""
    try:
        moment = _EPOCH + timedelta(microseconds=value)
    except OverflowError:
        return None
    return moment.isoformat(timespec="microseconds") + "Z"


def is_storable(text: str) -> bool:
    """Whether a database can hold the string: no NUL (PostgreSQL), no lone surrogate (UTF-8)."""
    if "\x00" in text:
        return False
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

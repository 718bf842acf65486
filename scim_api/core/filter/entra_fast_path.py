"""The queries that Entra sends for each user, read from the bytes of the query string in one step.

One regular expression takes the place of splitting parameters, reading numbers, the grammar of filters and
resolving names. It knows one spelling of each query and gives up on every other: those take the plain path,
which reads these alike (a property test compares the two).
"""

import re
from typing import Final
from urllib.parse import unquote

from scim_api.core.limits import MAX_FILTER, MAX_RESULTS
from scim_api.core.model import Lookup
from scim_api.core.values.comparison import comparison_key

_PREFIX: Final = b"filter="
_EQUALITY: Final = re.compile(
    r'(?:(userName)|(externalId)|emails\[type eq "work"\]\.value) eq "([^"\\\x00-\x1f]*)"'
)
_COMMON: Final = re.compile(
    rb"filter=(?:(userName)|(externalId)|emails(?:%5[Bb]|\[)type(?:%20|\+)eq(?:%20|\+)%22work%22(?:%5[Dd]|\])\.value)"
    rb"(?:%20|\+)eq(?:%20|\+)%22((?:[0-9A-Za-z._~@-]++|%40)*+)%22"
)
"""A query string that needs no decoding, but for an ``@`` in its operand."""
_PAGE: Final = re.compile(rb"startIndex=([1-9][0-9]{0,8})&count=([0-9]{1,9})")


def read_page(query: bytes) -> tuple[int, int] | None:
    """The startIndex and count of a query string that asks for a page of everything, and nothing else.

    Returns:
        The first is 1 at least, the second ``MAX_RESULTS`` at most; None for every other query string.
    """
    match = _PAGE.fullmatch(query)
    return (int(match[1]), min(int(match[2]), MAX_RESULTS)) if match else None


def read_user_lookup(query: bytes) -> tuple[Lookup, str] | None:
    """What a query string asks of ``/Users``, if it is one equality that an index answers, and nothing else.

    Returns:
        The index and the operand in its normal form; None for every other query string.
    """
    common = _COMMON.fullmatch(query)
    if common is not None and len(query) <= MAX_FILTER and not (b"+" in query and b"%20" in query):
        by = Lookup.NAME if common[1] else Lookup.EXTERNAL if common[2] else Lookup.WORK_EMAIL
        operand = common[3].replace(b"%40", b"@").decode("ascii")
        return by, operand if by is Lookup.EXTERNAL else comparison_key(operand, case_exact=False)
    if not query.startswith(_PREFIX) or b"&" in query:
        return None
    if b"%20" not in query:  # else blanks are written so, and a plus is one
        query = query.replace(b"+", b" ")
    try:
        text = unquote(query[7:].decode("ascii"), errors="strict")
    except UnicodeDecodeError:
        return None
    match = _EQUALITY.fullmatch(text)
    if match is None or len(text) > MAX_FILTER:
        return None
    value: str = match[3]
    by = Lookup.NAME if match[1] else Lookup.EXTERNAL if match[2] else Lookup.WORK_EMAIL
    return by, comparison_key(value, case_exact=by is Lookup.EXTERNAL)

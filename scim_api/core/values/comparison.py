"""The form in which single values are compared: strings by a comparison key, date-times as microseconds."""

import re
from datetime import datetime, timedelta
from unicodedata import normalize

_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)?", re.ASCII)


_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  (naive on purpose: plain arithmetic that cannot overflow)


_MICROSECOND = timedelta(microseconds=1)


_EXPANDING = re.compile("([\u00df\u0149\u0587\u1e9a\u1e9e\ufb00-\ufb06\ufb13-\ufb17])")
"""The letters that ``str.casefold`` makes several of, after NFD; their simple folding is their lower case."""


def comparison_key(value: str, *, case_exact: bool) -> str:
    """The form that equality, order and substrings are decided on.

    NFC for caseExact attributes. For the others canonical caseless matching (Unicode 3.13, D145) with the
    simple case foldings of CaseFolding.txt: NFD, each code point folded by itself, NFC. So a letter has one
    key wherever it stands (final sigma is a sigma), no letter becomes two ("\u00df" is not "ss"), and
    ``key(a + b) == key(a) + key(b)`` unless ``b`` begins with what composes with the end of ``a``, such as a
    combining accent: a letter with its accent is one letter, however it was typed. Folding works on the
    decomposed form, because capital and small letters do not compose with the same accents.

    Keys are stored: whoever changes what they are raises ``normal_form.KEY_FORM``.
    """
    if value.isascii():
        return value if case_exact else value.lower()
    if case_exact:
        return normalize("NFC", value)
    return normalize("NFC", _fold(normalize("NFD", value)))


def _fold(decomposed: str) -> str:
    """Each code point by its simple case folding."""
    folded = decomposed.casefold()
    if len(folded) == len(decomposed):
        return folded
    parts = _EXPANDING.split(decomposed)
    return "".join(part.lower() if place % 2 else part.casefold() for place, part in enumerate(parts))


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

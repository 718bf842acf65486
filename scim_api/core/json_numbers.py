"""JSON numbers that are kept as they were sent, digit by digit.

The usual parser makes 1.1 of ``1.10`` and 18446744073709552000 of ``18446744073709551617``. Such numbers become a
``Number`` here, which knows its text; all others stay what Python has for them. Only custom fields hold
numbers, so texts without any cost one search.
"""

import json
import math
import re
from decimal import Decimal
from typing import Any, Final, Self

import orjson

from scim_api.contract.urns import CUSTOM_USER

MIN_INTEGER: Final = -(2**63)
MAX_INTEGER: Final = 2**63 - 1
_MOST_CHARACTERS: Final = 200
"""Of a number that is looked at: no double has as many digits that count."""
_LITERAL: Final = (
    r"[:,\[\s](?:-?[0-9]+(?:\.[0-9]+(?:[eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+)|-?[0-9]{19,}|-0)(?=\s*[,}\]])"
)
"""A number that the usual parser may change, or what looks like one within a string."""
_PIECE: Final = 64 * 1024
_IN_BYTES: Final = re.compile(_LITERAL.encode())
_IN_TEXT: Final = re.compile(_LITERAL)


class Number(float):
    """A number as it was sent.

    Attributes:
        text: its JSON text. The value of the object is the double next to it; infinite for what is too large.
    """

    text: str

    def __new__(cls, text: str) -> Self:
        """Read JSON text of a number."""
        number = super().__new__(cls, text)
        number.text = text
        return number


def read_fraction(text: str) -> float:
    """A JSON number with a point or an exponent: a float that is written so again, else a ``Number``."""
    value = float(text)
    return value if orjson.dumps(value) == text.encode() else Number(text)


def read_integer(text: str) -> int | float:
    """A JSON number without either: an int of 64 bits, else a ``Number``."""
    if len(text) <= 20 and text != "-0" and MIN_INTEGER <= (value := int(text)) <= MAX_INTEGER:
        return value
    return Number(text)


def is_exact(number: float) -> bool:
    """Whether the shortest decimal of the double is this very number, so that it is compared without loss."""
    if not math.isfinite(number):
        return False
    text = number.text if isinstance(number, Number) else repr(float(number))
    if len(text) > _MOST_CHARACTERS:
        return False
    if number == 0:
        return not re.search("[1-9]", re.split("[eE]", text)[0])
    return Decimal(text) == Decimal(repr(float(number)))


def comparable(number: float) -> int | float:
    """The number as filters compare it: an int of 64 bits where it is one, so that both databases agree."""
    if number.is_integer() and -(2.0**63) <= number < 2.0**63:
        return int(Decimal(number.text if isinstance(number, Number) else repr(number)))
    return float(number)


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def loads_exactly(text: str) -> Any:
    """Parse JSON with every number as it was sent. Raises ``ValueError`` and ``RecursionError``."""
    return json.loads(
        text, parse_float=read_fraction, parse_int=read_integer, parse_constant=_refuse_constant
    )


def has_exact_numbers(body: bytes) -> bool:
    """Whether a body may have a number that the usual parser would change."""
    return _IN_BYTES.search(body) is not None


def has_more_exact_numbers(body: bytes, limit: int) -> bool:
    """Whether a body has more than so many numbers that the usual parser may change.

    It is looked through piece by piece, so that other threads get their turn; one number at each border may be missed.
    """
    found = 0
    for start in range(0, len(body), _PIECE):
        found += len(_IN_BYTES.findall(body, start, start + _PIECE))
        if found > limit:
            return True
    return False


def loads(text: str) -> Any:
    """Parse the stored text of a resource, with its numbers as they were sent."""
    if CUSTOM_USER in text and _IN_TEXT.search(text) is not None:
        return loads_exactly(text)
    return orjson.loads(text)


def _text_of(value: object) -> orjson.Fragment:
    if isinstance(value, Number):
        return orjson.Fragment(value.text.encode())
    raise TypeError(type(value).__name__)


def dumps(value: object, *, sort_keys: bool = False) -> bytes:
    """JSON text, with numbers as they were sent."""
    return orjson.dumps(value, default=_text_of, option=orjson.OPT_SORT_KEYS if sort_keys else None)

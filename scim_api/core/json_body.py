"""Reading a request body as JSON, safely: no duplicate keys, no NUL, no bottomless nesting."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import orjson

from scim_api.core.errors import ScimError, invalid_syntax, invalid_value, quoted, too_large
from scim_api.core.json_numbers import Number, has_exact_numbers, has_more_exact_numbers, loads_exactly
from scim_api.core.limits import MAX_BODY_VALUES, MAX_DEPTH, MAX_EXACT_NUMBERS

_KEY_LIKE = re.compile(rb'"\s*:')
_CONTAINERS = frozenset({dict, list})


def decode_json(body: bytes) -> dict[str, Any]:
    """Read a request body.

    Numbers that the parser would change become a ``json_numbers.Number``.

    Raises:
        ScimError: 400 invalidValue for a number beyond double precision; 400 invalidSyntax for what is no JSON object
            in UTF-8, has the same key twice, a NUL character, a lone surrogate, or too many levels; 413 for too
            many values, or too many numbers that have to be kept digit by digit.
    """
    if len(body) > MAX_EXACT_NUMBERS:  # shorter, it can't have as many of anything
        _refuse_too_many_values(body)
        _refuse_too_many_numbers(body)
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        _refuse_infinite(body)
        raise invalid_syntax(
            f"The body is not valid JSON in UTF-8 (line {error.lineno}, column {error.colno}):"
            " send one JSON object."
        ) from None
    if not isinstance(document, dict):
        raise invalid_syntax("The body must be one JSON object, such as {…}.")
    keys = _count_keys(document)
    if len(_KEY_LIKE.findall(body)) != keys:
        _refuse_duplicates(body)
    if b"\\u0000" in body:
        _refuse_nul(document)
    if has_exact_numbers(body):
        exact: dict[str, Any] = loads_exactly(body.decode())
        return exact
    return document


def _refuse_too_many_numbers(body: bytes) -> None:
    """Before anything is parsed: each is read by Python, and 50,000 would take a tenth of a second."""
    if has_more_exact_numbers(body, MAX_EXACT_NUMBERS):
        raise too_large(
            f"The body has more than {MAX_EXACT_NUMBERS} numbers with a point, an exponent or more than 18 digits;"
            " send less at once."
        )


def _refuse_too_many_values(body: bytes) -> None:
    """Before anything is parsed: a million of empty arrays keeps everybody waiting who shares the process."""
    if _count_values(body) <= MAX_BODY_VALUES:
        return
    unescaped = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    strings = unescaped.count(b'"') // 2  # of which at least every other one is a value
    if strings > 2 * MAX_BODY_VALUES or _count_values(b"".join(unescaped.split(b'"')[::2])) > MAX_BODY_VALUES:
        raise too_large(
            f"The body has more than {MAX_BODY_VALUES} values, objects and arrays; send less at once."
        )


def _count_values(text: bytes) -> int:
    return text.count(b",") + text.count(b"[") + text.count(b"{")


def _count_keys(document: dict[str, Any]) -> int:
    """The number of keys in the whole tree; refuses a tree that is too deep to walk recursively."""
    count = 0
    level: list[Any] = [document]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for node in level:
            values = node
            if type(node) is dict:  # what the parser made is exactly that, or exactly a list
                count += len(node)
                values = node.values()
            below += [value for value in values if type(value) in _CONTAINERS]
        if not below:
            return count
        level = below
    raise invalid_syntax(f"The body nests objects and arrays deeper than {MAX_DEPTH} levels.")


def _refuse_duplicates(body: bytes) -> None:
    """The exact check, run when the quick count cannot tell: a string may hold what looks like a key."""

    def unique(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise invalid_syntax(f"The body has the key {quoted(key)} twice in one object; send it once.")
            seen.add(key)

    try:
        json.loads(body, object_pairs_hook=unique, parse_int=float)
    except ScimError:
        raise
    except (ValueError, RecursionError):
        raise invalid_syntax("The body is not valid JSON in UTF-8: send one JSON object.") from None


def _refuse_infinite(body: bytes) -> None:
    """The true reason, where the parser gave up on a number that is too large."""
    try:
        document = loads_exactly(body.decode()) if has_exact_numbers(body) else None
    except (ValueError, RecursionError):
        return
    for name, node in _nodes(document):
        if isinstance(node, Number) and math.isinf(node):
            raise invalid_value(
                f"{quoted(name)} is {quoted(node)}, which is beyond the numbers that can be kept (double precision, up"
                " to 1.8e308); send a smaller one, or a string."
            )


def _nodes(document: Any) -> Iterator[tuple[str, Any]]:
    """Every value of a tree under the name that it stands at."""
    pending: list[tuple[str, Any]] = [("", document)]
    while pending:
        name, node = pending.pop()
        yield name, node
        if isinstance(node, dict):
            pending.extend(node.items())
        elif isinstance(node, list):
            pending.extend((name, item) for item in node)


def _refuse_nul(document: dict[str, Any]) -> None:
    for name, node in _nodes(document):
        if isinstance(node, str):
            if "\x00" in node:
                raise invalid_syntax(
                    f"The value of {quoted(name)} contains the character NUL (\\u0000), which cannot be"
                    " stored; remove it."
                )
        elif isinstance(node, dict):
            for key in node:
                if "\x00" in key:
                    raise invalid_syntax(
                        f"The key {quoted(key)} contains the character NUL (\\u0000); remove it."
                    )

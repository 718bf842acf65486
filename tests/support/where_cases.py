"""Users and filters that exercise every operator on every type, for the SQL of both databases."""

import json
import random
from typing import Any

from scim_api.core.filter.parser import IndexedLookup, parse_filter
from scim_api.core.predicate import Predicate
from scim_api.core.resources.users import create_user
from support.scim_core import CUSTOM, ENT, WORDS, profile_of

TENANT = profile_of()
STAMPS = ("2026-01-01T00:00:00.000000Z", "2026-06-01T12:00:00.123456Z", "2026-11-23T14:00:00.999999Z")
_WORDS = (*WORDS, "'", "😀", "?")
_NUMBERS = (0, 1, -1, 2.5, 3, 2**53 + 1, 2**62, 1e300)
_MOMENTS = (
    "2024-01-01T00:00:00Z",
    "2024-01-01T00:00:00.000001Z",
    "2024-01-01T01:00:00+01:00",
    "1969-12-31T00:00:00",
)
_OPERATORS = ("eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le")
_ORDER = tuple(o for o in _OPERATORS if o not in {"co", "sw", "ew"})
_TEXT = ("title", "displayName", "name.givenName", "emails.value", "emails", "emails.type", "externalId", "userName",
         f"{ENT}:department", "manager", f"{CUSTOM}:badge", f"{CUSTOM}:skills", f"{CUSTOM}:postalCode", "schemas")  # fmt: skip


def random_user(dice: random.Random, number: int) -> dict[str, Any]:
    """A body with a random selection of attributes."""

    def word() -> str:
        return dice.choice(_WORDS)

    body: dict[str, Any] = {"userName": f"{word()}{number}", "active": dice.choice([True, False])}
    for name in ("title", "displayName", "externalId"):
        if dice.random() < 0.6:
            body[name] = word() + word()
    if dice.random() < 0.5:
        body["name"] = {"givenName": word()}
    if dice.random() < 0.7:
        body["emails"] = [
            {"type": dice.choice(["work", "home", "Work"]), "value": word(), "primary": i == 0}
            for i in range(dice.randint(1, 3))
        ]
    if dice.random() < 0.5:
        body[ENT] = {"department": word(), "manager": word()}
    if dice.random() < 0.8:
        body[CUSTOM] = {
            "postalCode": dice.choice([word(), dice.choice(_NUMBERS), True, False]),
            "badge": word(),
            "remote": dice.choice([True, False]),
            "floor": dice.choice([n for n in _NUMBERS if isinstance(n, int)]),
            "share": dice.choice(_NUMBERS),
            "hiredAt": dice.choice(_MOMENTS),
            "skills": [word() for _ in range(dice.randint(1, 3))],
        }
    return body


def _atom(dice: random.Random) -> str:
    word = json.dumps(dice.choice([*_WORDS, ""]), ensure_ascii=False)
    number = json.dumps(dice.choice(_NUMBERS))
    moment = json.dumps(dice.choice(_MOMENTS))
    stamp = json.dumps(dice.choice(STAMPS))
    order, any_op, text = dice.choice(_ORDER), dice.choice(_OPERATORS), dice.choice(_TEXT)
    return dice.choice(
        [
            f"{text} {any_op} {word}",
            f"{text} {any_op} {word}",
            f"{text} pr",
            f"{text} {dice.choice(['eq', 'ne'])} null",
            f"{CUSTOM}:share {order} {number}",
            f"{CUSTOM}:floor {order} {dice.choice([0, 1, 3, 2**53 + 1, 2**53, 2**62])}",
            f"{CUSTOM}:postalCode {order} {number}",
            f"{CUSTOM}:postalCode {dice.choice(['eq', 'ne'])} {dice.choice(['true', 'false', 'null'])}",
            f"{CUSTOM}:hiredAt {order} {moment}",
            f"{CUSTOM}:remote {dice.choice(['eq', 'ne'])} {dice.choice(['true', 'false'])}",
            f"active eq {dice.choice(['true', 'false'])}",
            f'emails[type eq "work" and value {any_op} {word}]',
            'emails[not (type eq "work") or primary eq true]',
            f"{CUSTOM}:skills[value {any_op} {word}]",
            f"{CUSTOM}:skills[not (value pr)]",
            f"meta.created {order} {stamp}",
            f"meta.lastModified {order} {stamp}",
            f'id {dice.choice(["eq", "ne", "sw", "co"])} "id-1"',
            'meta.resourceType eq "User"',
        ]
    )


def _filter(dice: random.Random, depth: int) -> str:
    if depth == 0 or dice.random() < 0.4:
        return _atom(dice)
    return dice.choice(
        [
            f"({_filter(dice, depth - 1)}) and ({_filter(dice, depth - 1)})",
            f"({_filter(dice, depth - 1)}) or ({_filter(dice, depth - 1)})",
            f"not ({_filter(dice, depth - 1)})",
        ]
    )


def rows(count: int, seed: int = 7) -> list[tuple[str, str, str, str]]:
    """Resources as (id, created, modified, keys)."""
    dice = random.Random(seed)
    return [
        (
            f"id-{i}",
            dice.choice(STAMPS),
            dice.choice(STAMPS),
            create_user(TENANT, random_user(dice, i)).normal_form,
        )
        for i in range(count)
    ]


def expressions(count: int, seed: int = 11) -> list[tuple[str, Predicate]]:
    """Random filters that no index answers, with their text."""
    dice = random.Random(seed)
    found: list[tuple[str, Predicate]] = []
    while len(found) < count:
        text = _filter(dice, 2)
        parsed = parse_filter(TENANT, "User", text)
        if not isinstance(parsed, IndexedLookup):
            found.append((text, parsed))
    return found

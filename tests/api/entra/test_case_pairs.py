"""Case means nothing to any operator, for any letter in any place, from an index or not, on both databases.

The letters are Unicode's case pairs, from its own mappings (``support.case_pairs``): some that are known to be
difficult, and a sample of the others. All of them are in the unit tests.
"""

import random
from typing import Final
from uuid import uuid4

import pytest

from support.case_pairs import CASE_PAIRS
from support.conversation import Conversation, refusal
from support.shared_scim import SHARED

pytestmark = SHARED

DIFFICULT: Final = (
    ("\u03a3", "\u03c2"),  # sigma, which has two small letters
    ("\u03c2", "\u03a3"),
    ("\u03c3", "\u03a3"),
    ("\u00b5", "\u039c"),  # the micro sign's capital is the letter mu's
    ("\u017f", "S"),  # the long s
    ("\u1e9e", "\u00df"),  # the capital sharp s, whose full folding is two letters
    ("\u0345", "\u0399"),  # an accent whose capital is a letter
    ("\u1fb3", "\u1fbc"),
    ("\u01c5", "\u01c4"),  # title case
    ("\uab70", "\u13a0"),  # Cherokee folds to capitals
    ("\U00010400", "\U00010428"),
    ("\u212a", "k"),
)
SAMPLE: Final = (*DIFFICULT, *random.Random(14).sample(CASE_PAIRS, 20))
PLACES: Final = {"begin": ("", "-tail"), "middle": ("head-", "-tail"), "end": ("head-", "")}


async def found(tenant: Conversation, text: str, path: str = "/Users") -> set[str]:
    return {resource["id"] for resource in await tenant.find(text, path)}


@pytest.mark.parametrize("place", PLACES)
async def test_every_operator_finds_both_letters_of_a_case_pair(by_name: Conversation, place: str) -> None:
    head, tail = PLACES[place]
    for number, (stored, asked) in enumerate(SAMPLE):
        before, after = (f"{number}{head}" if head else ""), (f"{tail}{number}" if tail else "")
        body = {"userName": str(uuid4()), "displayName": before + stored + after}
        made = (await by_name.create(body))["id"]
        filters = {
            "eq": before + asked + after,
            "sw": before + asked,
            "ew": asked + after,
            "co": asked,
        }
        missed = {
            op for op, value in filters.items() if made not in await found(by_name, f'displayName {op} "{value}"')
        }  # fmt: skip
        assert missed == set(), (stored, asked)
        assert made not in await found(by_name, f'displayName ne "{filters["eq"]}"')


@pytest.mark.parametrize("place", PLACES)
async def test_an_index_finds_both_letters_of_a_case_pair_and_takes_them_for_one_name(
    by_name: Conversation, contoso: Conversation, place: str
) -> None:
    head, tail = PLACES[place]
    for number, (stored, asked) in enumerate(SAMPLE):
        before, after = (f"{number}{head}" if head else ""), (f"{tail}{number}" if tail else "")
        text, other = before + stored + after, before + asked + after
        user, email = {"userName": text}, [{"type": "work", "value": text}]
        group = {"displayName": text}
        made = [
            ((await by_name.create(user))["id"], f'userName eq "{other}"', by_name, "/Users"),
            ((await by_name.create(group, "/Groups"))["id"], f'displayName eq "{other}"', by_name, "/Groups"),
            (
                (await contoso.create({"userName": str(uuid4()), "emails": email}))["id"],
                f'emails[type eq "work"].value eq "{other}"',
                contoso,
                "/Users",
            ),
        ]
        for identity, text_of_filter, tenant, path in made:
            assert await found(tenant, text_of_filter, path) == {identity}, (stored, asked)
        twin = [{"type": "work", "value": other}]
        refusal(await by_name.send("POST", "/Users", {"userName": other}), 409, "uniqueness")
        refusal(await by_name.send("POST", "/Groups", {"displayName": other}), 409, "uniqueness")
        refusal(
            await contoso.send("POST", "/Users", {"userName": str(uuid4()), "emails": twin}),
            409,
            "uniqueness",
        )


async def test_the_reported_words_are_found(by_name: Conversation) -> None:
    odos = (await by_name.create_group("\u039f\u0394\u039f\u03a3\u0391"))["id"]
    nikos = (await by_name.create_group("\u039d\u0399\u039a\u039f\u03a3"))["id"]
    for text, expected in {
        'displayName sw "\u039f\u0394\u039f\u03a3"': odos,
        'displayName eq "\u03bd\u03b9\u03ba\u03bf\u03c3"': nikos,
        'displayName eq "\u03bd\u03b9\u03ba\u03bf\u03c2"': nikos,
        'displayName ew "\u03a3"': nikos,
    }.items():
        assert await found(by_name, text, "/Groups") == {expected}, text

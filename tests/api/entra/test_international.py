"""Values in the world's scripts: byte for byte as they were sent, and matched alike on both databases.

The rules: attributes that are not caseExact compare in NFC and by simple case folding as Unicode has it; caseExact ones
(externalId) in NFC alone. Both databases run this file, so a difference between them fails on one.
"""

import unicodedata
from collections.abc import Callable
from typing import Any

import pytest

from support.conversation import WORK_EMAIL, Conversation, op, refusal
from support.shared_scim import SHARED

pytestmark = SHARED
Person = Callable[..., dict[str, Any]]

NAMES = {
    "composed": "Zo\u00eb",
    "decomposed": "Zoe\u0308",
    "turkish capital dotted I": "\u0130stanbul",
    "turkish small dotless i": "D\u0131yarbak\u0131r",
    "sharp s": "Stra\u00dfe",
    "final sigma": "\u039f\u0394\u03a5\u03a3\u03a3\u0395\u03a5\u03a3",
    "emoji with joiners": "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f98a",
    "arabic": "\u0645\u0631\u062d\u0628\u0627",
    "hebrew with marks": "\u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd",
    "right-to-left mark": "abc\u200f\u202edef",
    "han": "\u5c71\u7530\u592a\u90ce",
    "hangul jamo": "\u1112\u1161\u11ab",
    "ligature": "\ufb01sh",
    "beyond the basic plane": "\U00010400\U0001d54f",
    "non-breaking space": "a\u00a0b",
    "combining order": "q\u0307\u0323",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=list(NAMES))
async def test_a_name_survives_byte_for_byte_and_finds_its_user_by_every_attribute(
    contoso: Conversation, person: Person, name: str
) -> None:
    values = {
        "userName": f"{name}@contoso.com",
        "externalId": name,
        "displayName": name,
        "emails": [{"type": "work", "value": f"{name}@contoso.com", "primary": True}],
        "name": {"givenName": name, "familyName": name[::-1]},
    }
    made = await contoso.create(person("ada", **values))
    other = await contoso.create(person("other"))
    raw = await contoso.send("GET", f"/Users/{made['id']}")
    assert {key: raw.json()[key] for key in values} == values
    for path, value in (
        ("userName", f"{name}@contoso.com"),
        ("externalId", name),
        ("displayName", name),
        (WORK_EMAIL, f"{name}@contoso.com"),
        ("name.givenName", name),
    ):
        assert [user["id"] for user in await contoso.find(f'{path} eq "{value}"')] == [made["id"]], path
        composed = unicodedata.normalize("NFC", value)
        assert [user["id"] for user in await contoso.find(f'{path} eq "{composed}"')] == [made["id"]], path
    now = await contoso.patch(other["id"], op("Replace", "title", name))
    assert now["title"] == name


PAIRS = [
    ("Zo\u00eb", "zoe\u0308", True),
    ("Zo\u00eb", "ZO\u00cb", True),
    ("\u0130stanbul", "i\u0307stanbul", True),
    ("\u0130stanbul", "istanbul", False),
    ("\u0131stanbul", "istanbul", False),
    ("\u0131", "I", False),
    ("Stra\u00dfe", "strasse", False),
    ("Stra\u00dfe", "STRA\u1e9eE", True),
    ("\ufb01sh", "fish", False),
    ("\U00010400", "\U00010428", True),
    ("\u212b", "\u00e5", True),
    ("a\u00a0b", "a b", False),
    ("ada", "ada ", False),
]


@pytest.mark.parametrize(("stored", "asked", "equal"), PAIRS)
async def test_equality_is_unicodes_and_the_same_for_every_attribute_that_ignores_case(
    contoso: Conversation, person: Person, stored: str, asked: str, equal: bool
) -> None:
    emails = [{"type": "work", "value": stored}]
    made = await contoso.create(person("ada", userName=stored, displayName=stored, emails=emails))
    wanted = [made["id"]] if equal else []
    for path in ("userName", "displayName", WORK_EMAIL):
        assert [user["id"] for user in await contoso.find(f'{path} eq "{asked}"')] == wanted, path
    twin = person("bob", userName=asked, emails=[{"type": "work", "value": "bob@contoso.com"}])
    answer = await contoso.send("POST", "/Users", twin)
    if equal:
        refusal(answer, 409, "uniqueness")
    else:
        assert answer.status_code == 201, "what is not equal is not a duplicate"


@pytest.mark.parametrize(
    ("stored", "asked", "equal"),
    [("Zo\u00eb", "Zoe\u0308", True), ("Zo\u00eb", "zo\u00eb", False), ("ABC", "abc", False)],
)
async def test_external_ids_are_equal_in_any_normal_form_but_not_in_another_case(
    contoso: Conversation, person: Person, stored: str, asked: str, equal: bool
) -> None:
    made = await contoso.create(person("ada", externalId=stored))
    found = await contoso.find(f'externalId eq "{asked}"')
    assert [user["id"] for user in found] == ([made["id"]] if equal else [])


@pytest.mark.parametrize(
    "name", ["\u0645\u0631\u062d\u0628\u0627 (EMEA)", "Stra\u00dfe \U0001f98a", "\u0130"]
)
async def test_a_groups_name_survives_and_finds_it(contoso: Conversation, name: str) -> None:
    made = await contoso.create_group(name)
    assert (await contoso.get(made["id"], "/Groups"))["displayName"] == name
    assert [group["id"] for group in await contoso.find(f'displayName eq "{name}"', "/Groups")] == [
        made["id"]
    ]

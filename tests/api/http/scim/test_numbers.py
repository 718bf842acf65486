"""Numbers in custom fields: as sent, digit by digit, or refused with the true reason; and found alike."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import pytest

from api.conftest import Scim
from api.test_bad_input import refused
from scim_api.contract.admin import PutConnection
from support.user_calls import CUSTOM, find

Person = Callable[..., dict[str, Any]]
Headers = dict[str, str]
FIELDS: Final = [
    {"name": "any"},
    {"name": "integer", "type": "Integer"},
    {"name": "decimal", "type": "Decimal"},
    {"name": "many", "type": "Decimal", "multiValued": True},
]
KEPT: Final = (
    "0", "-0", "7", "1.10", "1.0", "1e2", "1E+5", "0.10", "-1.50", "9223372036854775807", "-9223372036854775808",
    "9007199254740993", "100000000000000000000", "1e20", "123456789.123456", "1e300", "5e-324", "1.7976931348623157e308",
    "0.30000000000000004", "1000000000000000100.0",
)  # fmt: skip
ROUNDED: Final = (
    "18446744073709551617", "-9223372036854775809", "18446744073709551616", "9223372036854775808", "0.1234567890123456789",
    "9007199254740993.0", "123456789012345678901234567890",
)  # fmt: skip
HOLDS: Final[dict[str, Callable[[Decimal, Decimal], bool]]] = {
    "eq": Decimal.__eq__,
    "gt": Decimal.__gt__,
    "le": Decimal.__le__,
}
BEYOND: Final = ("1e400", "-1e400", "1" * 400)
NO_JSON: Final = ("NaN", "Infinity", "-Infinity", "01", "1.", ".5", "+1")


@pytest.fixture
async def headers(scim: Scim) -> Headers:
    limit = {"requestsPerSecond": 10_000, "burst": 10_000}
    answer = await scim.connect(matching="userName", customFields=FIELDS, rateLimit=limit)
    return {**answer, "content-type": "application/scim+json"}


def body(name: str, custom: str) -> bytes:
    """A user whose custom fields are this JSON text."""
    return f'{{"userName":"{name}","{CUSTOM}":{custom}}}'.encode()


def patch(path: str, value: str) -> bytes:
    operation = f'{{"op":"replace","path":"{CUSTOM}:{path}","value":{value}}}'
    return f'{{"Operations":[{operation}]}}'.encode()


def digits(text: str, name: str) -> str:
    """What stands for a field in the text of an answer."""
    _, _, rest = text.partition(f'"{CUSTOM}":{{')
    _, found, value = rest.partition(f'"{name}":')
    assert found, text
    return value[: min(value.index(end) for end in ",}" if end in value)]


@pytest.mark.parametrize("number", KEPT)
async def test_a_number_comes_back_digit_by_digit_on_every_way(
    scim: Scim, headers: Headers, number: str
) -> None:
    client = scim.client
    made = await client.post(
        "/Users", content=body("ada", f'{{"any":{number},"decimal":{number}}}'), headers=headers
    )
    assert made.status_code == 201, made.text
    path = f"/Users/{made.json()['id']}"
    answers = [
        made,
        await client.get(path, headers=headers),
        await client.get("/Users?startIndex=1&count=1", headers=headers),
        await client.get('/Users?filter=userName eq "ada"', headers=headers),
        await client.get(f"{path}?attributes={CUSTOM}", headers=headers),
        await client.get(f"{path}?excludedAttributes=userName", headers=headers),
        await client.patch(path, content=b'{"Operations":[{"op":"add","path":"title","value":"x"}]}', headers=headers),
        await client.put(path, content=body("ada", f'{{"decimal": {number} ,"any":\n{number}\n}}'), headers=headers),
    ]  # fmt: skip
    for answer in answers:
        assert (digits(answer.text, "any"), digits(answer.text, "decimal")) == (number, number)
    version = answers[-1].headers["etag"]
    same = await client.put(
        path, content=body("ada", f'{{"any":{number},"decimal":{number}}}'), headers=headers
    )
    assert same.headers["etag"] == version
    for name in ("any", "decimal"):
        assert (await client.patch(path, content=patch(name, "null"), headers=headers)).status_code == 200
        changed = await client.patch(path, content=patch(name, number), headers=headers)
        assert digits(changed.text, name) == number
    operation = f'{{"method":"POST","path":"/Users","bulkId":"a","data":{body("bob", f"""{{"any":{number}}}""").decode()}}}'
    bulk = await client.post("/Bulk", content=f'{{"Operations":[{operation}]}}', headers=headers)
    assert bulk.json()["Operations"][0]["status"] == "201"
    found = await client.get('/Users?filter=userName eq "bob"', headers=headers)
    assert digits(found.text, "any") == number


async def test_a_number_in_another_spelling_is_a_change_and_is_kept_so(scim: Scim, headers: Headers) -> None:
    made = await scim.client.post("/Users", content=body("ada", '{"decimal":1.10}'), headers=headers)
    path = f"/Users/{made.json()['id']}"
    for sent in ("1.1", "1.100", "1.1e0", "1.10"):
        for answer in (
            await scim.client.put(path, content=body("ada", f'{{"decimal":{sent}}}'), headers=headers),
            await scim.client.patch(path, content=patch("decimal", f'"{sent}0"'), headers=headers)
            if "e" not in sent
            else None,
        ):
            if answer is not None:
                assert answer.status_code == 200, answer.text
        read = await scim.client.get(path, headers=headers)
        assert digits(read.text, "decimal") == (sent if "e" in sent else f"{sent}0")
    many = await scim.client.put(path, content=body("ada", '{"many":[1.10,2,3.000]}'), headers=headers)
    assert '"many":[1.10,2,3.000]' in many.text
    removed = b'{"Operations":[{"op":"remove","path":"%b:many","value":[1.1,3]}]}' % CUSTOM.encode()
    left = await scim.client.patch(path, content=removed, headers=headers)
    assert '"many":[2]' in left.text


@pytest.mark.parametrize("number", ROUNDED)
async def test_a_number_that_would_be_rounded_is_refused_as_it_was_sent(
    scim: Scim, headers: Headers, number: str
) -> None:
    made = await scim.client.post("/Users", content=body("ada", "{}"), headers=headers)
    path = f"/Users/{made.json()['id']}"
    for name in ("any", "decimal", "integer", "many"):
        value = f"[{number}]" if name == "many" else number
        for answer in (
            await scim.client.post("/Users", content=body("eve", f'{{"{name}":{value}}}'), headers=headers),
            await scim.client.put(path, content=body("ada", f'{{"{name}":{value}}}'), headers=headers),
            await scim.client.patch(path, content=patch(name, value), headers=headers),
        ):
            detail = refused(answer, 400, "invalidValue")
            assert f"{CUSTOM}:{name} takes" in detail
            assert f"but {number} was sent" in detail
            assert "64 bits" in detail
    assert (await scim.client.get(path, headers=headers)).json() == made.json()


@pytest.mark.parametrize("number", BEYOND)
async def test_a_number_beyond_every_double_is_refused_by_its_name(
    scim: Scim, headers: Headers, number: str
) -> None:
    for name, sent in (
        ("any", body("ada", f'{{"any":{number}}}')),
        ("shoeSize", f'{{"shoeSize":{number}}}'.encode()),
    ):
        detail = refused(await scim.client.post("/Users", content=sent, headers=headers), 400)
        if "e" in number:
            assert f'"{name}" is {number}, which is beyond' in detail


@pytest.mark.parametrize("number", NO_JSON)
async def test_what_is_no_number_of_json_is_refused_as_such(
    scim: Scim, headers: Headers, number: str
) -> None:
    answer = await scim.client.post("/Users", content=body("ada", f'{{"any":{number}}}'), headers=headers)
    assert "not valid JSON" in refused(answer, 400, "invalidSyntax")


async def test_filters_and_sorting_compare_the_very_numbers(scim: Scim, headers: Headers) -> None:
    for number in KEPT:
        custom = f'{{"any":{number},"decimal":{number}}}'
        made = await scim.client.post("/Users", content=body(number, custom), headers=headers)
        assert made.status_code == 201, made.text
    for operand in (*KEPT, "1.1", "100", "0.1", "1e19", "9007199254740992", "9223372036854775806"):
        for name in ("any", "decimal"):
            for op, holds in HOLDS.items():
                found = {
                    user["userName"] for user in await find(scim, headers, f"{CUSTOM}:{name} {op} {operand}")
                }
                expected = {number for number in KEPT if holds(Decimal(number), Decimal(operand))}
                assert found == expected, (name, op, operand)
    listed = await scim.client.get(f"/Users?sortBy={CUSTOM}:decimal&count=100", headers=headers)
    order = [Decimal(user["userName"]) for user in json.loads(listed.text)["Resources"]]
    assert order == sorted(order)


@pytest.mark.parametrize("operand", [*ROUNDED, "1e400"])
async def test_an_operand_that_would_be_rounded_is_refused(
    scim: Scim, headers: Headers, operand: str
) -> None:
    for name in ("any", "decimal", "integer"):
        for text in (
            f"{CUSTOM}:{name} eq {operand}",
            f'{CUSTOM}:{name} gt {operand} and userName sw "1.{operand}"',
        ):
            answer = await scim.client.get("/Users", params={"filter": text}, headers=headers)
            assert operand in refused(answer, 400, "invalidFilter")
    quoted = await find(scim, headers, f'userName eq "a {operand} b" or {CUSTOM}:any eq "{operand}"')
    assert quoted == []


async def test_a_field_that_is_no_longer_declared_keeps_its_digits(scim: Scim, headers: Headers) -> None:
    made = await scim.client.post(
        "/Users", content=body("ada", '{"any":1.10,"decimal":2.500}'), headers=headers
    )
    path = f"/Users/{made.json()['id']}"
    present = await scim.service.store.connection("demo", "entra")
    assert present.settings is not None
    fewer = present.settings.model_copy(update={"custom_fields": ()})
    state = PutConnection(tenant="contoso", settings=fewer, credentials=present.credentials)
    await scim.service.store.put_connection("demo", "entra", state, if_match=present.revision)
    scim.service.authenticator.invalidate()
    change = b'{"Operations":[{"op":"add","path":"title","value":"x"}]}'
    for answer in (
        await scim.client.patch(path, content=change, headers=headers),
        await scim.client.put(path, content=b'{"userName":"bea"}', headers=headers),
        await scim.client.get(f"{path}?excludedAttributes=userName", headers=headers),
    ):
        assert f'"{CUSTOM}":{{"any":1.10,"decimal":2.500}}' in answer.text

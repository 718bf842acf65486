"""How a query string is read: blanks and plus signs, and parameters that come twice."""

from collections.abc import Callable
from typing import Any

import pytest

from api.conftest import Scim
from api.test_bad_input import refused
from support.conversation import raw_request
from support.user_calls import create

Person = Callable[..., dict[str, Any]]
Headers = dict[str, str]
PLUS = "ada+test@contoso.com"


async def found(scim: Scim, headers: Headers, query: str) -> list[str]:
    """The names of those that a query finds, which is sent as it stands here."""
    transport: Any = scim.client._transport
    answer = await raw_request(transport.app, "GET", f"/Users?{query}", headers)
    assert answer.status_code == 200, answer.text
    return [user["userName"] for user in answer.json()["Resources"]]


@pytest.mark.parametrize(
    "query",
    [
        "filter=userName%20eq%20%22ada+test@contoso.com%22",
        'filter=userName%20eq%20"ada+test@contoso.com"',
        "filter=userName%20eq%20%22ada%2Btest%40contoso.com%22",
        "filter=userName+eq+%22ada%2Btest%40contoso.com%22",
        "filter=emails%5Btype%20eq%20%22work%22%5D.value%20eq%20%22ada+test@contoso.com%22",
        "filter=emails[type%20eq%20%22work%22].value%20eq%20%22ada+test@contoso.com%22",
        "filter=externalId%20eq%20%22a+b%22",
        "filter=userName%20eq%20%22ada+test@contoso.com%22%20and%20active%20eq%20true",
        "filter=userName%20sw%20%22ada+%22",
        "filter=userName%20sw%20%22ada+%22&attributes=userName&startIndex=1",
        "aadOptscim062020&filter=userName%20eq%20%22ada+test@contoso.com%22",
        "filter=displayName+eq+%22a%20b%22",
        "filter=displayName+eq+%22a+b%22",
    ],
)
async def test_a_plus_is_one_where_blanks_are_written_as_rfc_3986_has_them(
    scim: Scim, entra: Headers, person: Person, query: str
) -> None:
    mails = [{"type": "work", "value": PLUS}]
    await create(scim, entra, person("ada", userName=PLUS, emails=mails, externalId="a+b", displayName="a b"))
    other = "ada test@contoso.com"
    mails = [{"type": "work", "value": other}]
    await create(
        scim, entra, person("eve", userName=other, emails=mails, externalId="a b", displayName="a+b")
    )
    assert await found(scim, entra, query) == [PLUS]


async def test_a_plus_is_a_blank_in_the_query_of_a_form(scim: Scim, entra: Headers, person: Person) -> None:
    await create(scim, entra, person("ada", userName="ada test"))
    await create(scim, entra, person("eve", userName="ada+test"))
    assert await found(scim, entra, "filter=userName+eq+%22ada+test%22") == ["ada test"]
    assert await found(scim, entra, "filter=userName+sw+%22ada+t%22") == ["ada test"]


@pytest.mark.parametrize("path", ["/Users", "/Groups", ""])
@pytest.mark.parametrize(
    "query",
    [
        "filter=id+pr&filter=id+pr", "filter=id+pr&FILTER=", "startIndex=1&startIndex=2", "count=1&Count=1",
        "sortBy=id&sortBy=id", "sortOrder=ascending&sortOrder=descending", "cursor&cursor=", "count=1&x=y&count=2",
    ],
)  # fmt: skip
async def test_a_parameter_with_one_value_that_comes_twice_is_refused_by_its_name(
    scim: Scim, entra: Headers, path: str, query: str
) -> None:
    detail = refused(await scim.client.get(f"{path}?{query}", headers=entra), 400, "invalidValue")
    assert f"{query.partition('=')[0].partition('&')[0]} twice" in detail


async def test_lists_that_come_in_parts_are_one_list(scim: Scim, entra: Headers, person: Person) -> None:
    made = await create(scim, entra, person("ada"))
    path = f"/Users/{made['id']}"
    for target in (path, "/Users"):
        answer = await scim.client.get(
            f"{target}?attributes=title&attributes=displayName,name.givenName&attributes=", headers=entra
        )
        user = answer.json() if target == path else answer.json()["Resources"][0]
        assert user.keys() == {"schemas", "id", "title", "displayName", "name"}
        answer = await scim.client.get(
            f"{target}?excludedAttributes=title&EXCLUDEDATTRIBUTES=emails&flag&flag", headers=entra
        )
        user = answer.json() if target == path else answer.json()["Resources"][0]
        assert made.keys() - user.keys() == {"title", "emails"}
    put = await scim.client.put(f"{path}?attributes=title&attributes=active", json=made, headers=entra)
    assert put.json().keys() == {"schemas", "id", "title", "active"}

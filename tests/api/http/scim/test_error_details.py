"""What an error says over HTTP: the name and the value as they were sent."""

from collections.abc import Callable
from typing import Any

import pytest

from api.conftest import Scim
from api.test_bad_input import refused
from support.user_calls import create, ops

Person = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("sortBy=nope", 'sortBy: "nope" is no attribute of User'),
        ("sortBy=no.Pe", '"no.Pe" is no attribute'),
        ("sortBy=name.nope", '"nope"'),
        ("sortOrder=UP", 'sortOrder is "UP"'),
        ("count=1.5", 'count is "1.5"'),
        ("filter=title eq 7", "title takes a string, but 7 was sent"),
        ("filter=active eq 7", "but 7 was sent"),
        ('filter=active eq "7"', 'but "7" was sent'),
        ("filter=meta.created gt true", '"meta.created" is compared with true'),
        ("filter=title co false", '"title" is compared with false'),
        ("filter=id eq 7", "not with 7"),
    ],
)
async def test_a_query_is_refused_by_what_it_says(
    scim: Scim, entra: dict[str, str], query: str, said: str
) -> None:
    assert said in refused(await scim.client.get(f"/Users?{query}", headers=entra), 400)


@pytest.mark.parametrize(
    ("value", "shown"), [(7, "7"), (True, "true"), ("7", '"7"'), (1.5, "1.5"), ([], "an array")]
)
async def test_a_body_is_refused_by_what_it_says(
    scim: Scim, entra: dict[str, str], person: Person, value: Any, shown: str
) -> None:
    made = await create(scim, entra, person("ada"))
    path = f"/Users/{made['id']}"
    change = {"op": "replace", "path": "active", "value": value}
    if value is not True and value != []:
        assert shown in refused(await scim.client.patch(path, json=ops(change), headers=entra), 400)
        put = await scim.client.put(path, json=person("ada", active=value), headers=entra)
        assert shown in refused(put, 400)
    for operation, said in (
        ({"op": value, "path": "title"}, f'"op" is {shown};'),
        ({"op": None, "path": "title"}, '"op" is null;'),
        ({"path": "title", "value": value}, '"op" is missing;'),
        ({"op": "Add"}, '"Add" without "path" has no "value"'),
    ):
        answer = await scim.client.patch(path, json=ops(operation), headers=entra)
        assert said in refused(answer, 400)
    search = await scim.client.post("/Users/.search", json={"sortOrder": value}, headers=entra)
    assert shown in refused(search, 400)
    answer = await scim.client.post("/Bulk", json={"Operations": [{"method": value}, {}]}, headers=entra)
    details = [one["response"]["detail"] for one in answer.json()["Operations"]]
    assert details[0].startswith(f"method is {shown};")
    assert details[1].startswith("method is missing;")


async def test_a_body_of_another_media_type_is_refused_by_its_name(scim: Scim, entra: dict[str, str]) -> None:
    headers = {**entra, "content-type": "text/Plain; charset=utf-8"}
    assert '"text/Plain; charset=utf-8"' in refused(
        await scim.client.post("/Users", content=b"{}", headers=headers), 415
    )

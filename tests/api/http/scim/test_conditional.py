"""Conditional requests (RFC 9110 section 13.1): If-Match and If-None-Match on reads and on writes."""

import uuid
from collections.abc import Callable
from typing import Any, Final

import pytest

from api.conftest import Scim
from api.test_bad_input import refused
from scim_api.contract.urns import CORE_GROUP, PATCH_OP

Person = Callable[..., dict[str, Any]]
Headers = dict[str, str]
METHODS: Final = ("PUT", "PATCH", "DELETE")
KINDS: Final = ("Users", "Groups")
PASSING: Final = (
    {"if-match": "{tag}"},
    {"if-match": "*"},
    {"if-match": 'W/"77", {tag}'},
    {"if-none-match": 'W/"77"'},
    {"if-none-match": 'W/"77", W/"78"'},
    {"if-none-match": '"no tag of ours"'},
    {"if-none-match": ""},
    {"if-match": "{tag}", "if-none-match": 'W/"77"'},
    {"if-match": "*", "if-none-match": 'W/"77"'},
)
FAILING: Final = (
    {"if-match": 'W/"77"'},
    {"if-match": 'W/"77", W/"78"'},
    {"if-match": '"no tag of ours"'},
    {"if-match": 'W/"999999999999999999"'},
    {"if-match": ""},
    {"if-none-match": "{tag}"},
    {"if-none-match": 'W/"77", {tag}'},
    {"if-none-match": "*"},
    {"if-match": "{tag}", "if-none-match": "{tag}"},
    {"if-match": "*", "if-none-match": "*"},
    {"if-match": 'W/"77"', "if-none-match": 'W/"78"'},
)


class Conditional:
    """Sends conditional requests about one resource."""

    def __init__(self, scim: Scim, headers: Headers, kind: str, person: Person) -> None:
        self.scim, self.headers, self.kind = scim, headers, kind
        self._person = person
        self.resource: dict[str, Any] = {}

    def _body(self, method: str) -> dict[str, Any] | None:
        if method == "DELETE":
            return None
        changed, value = ("title" if self.kind == "Users" else "externalId"), uuid.uuid4().hex
        if method == "PATCH":
            operation = {"op": "replace", "path": changed, "value": value}
            return {"schemas": [PATCH_OP], "Operations": [operation]}
        if self.kind == "Users":
            return self._person("ada", title=value)
        return {"schemas": [CORE_GROUP], "displayName": "Team", "externalId": value}

    async def create(self) -> None:
        response = await self.scim.client.post(f"/{self.kind}", json=self._body("POST"), headers=self.headers)
        assert response.status_code == 201, response.text
        self.resource = response.json()

    async def read(self) -> dict[str, Any]:
        response = await self.scim.client.get(self.path, headers=self.headers)
        assert response.status_code == 200
        body: dict[str, Any] = response.json()
        return body

    @property
    def path(self) -> str:
        return f"/{self.kind}/{self.resource['id']}"

    async def send(self, method: str, condition: Headers) -> Any:
        tag = self.resource["meta"]["version"]
        headers = {name: value.format(tag=tag) for name, value in condition.items()}
        return await self.scim.client.request(
            method, self.path, json=self._body(method), headers={**self.headers, **headers}
        )


@pytest.fixture(params=KINDS)
def conditional(request: pytest.FixtureRequest, scim: Scim, entra: Headers, person: Person) -> Conditional:
    return Conditional(scim, entra, request.param, person)


@pytest.mark.parametrize("method", METHODS)
async def test_a_condition_that_fails_is_412_and_changes_nothing(
    conditional: Conditional, method: str
) -> None:
    await conditional.create()
    for condition in FAILING:
        refused(await conditional.send(method, condition), 412)
        assert await conditional.read() == conditional.resource, condition


@pytest.mark.parametrize("method", METHODS)
async def test_a_condition_that_holds_lets_a_write_pass(conditional: Conditional, method: str) -> None:
    await conditional.create()
    for condition in PASSING:
        response = await conditional.send(method, condition)
        assert response.status_code in {200, 204}, (condition, response.text)
        if method == "DELETE":
            assert (
                await conditional.scim.client.get(conditional.path, headers=conditional.headers)
            ).status_code == 404
            await conditional.create()
        else:
            before, conditional.resource = conditional.resource, await conditional.read()
            assert before["meta"]["version"] != conditional.resource["meta"]["version"], condition


@pytest.mark.parametrize("method", METHODS)
async def test_a_write_between_the_check_of_a_condition_and_the_change_is_412(
    conditional: Conditional, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If-None-Match needs the present version; what it was checked against is what may be changed."""
    await conditional.create()
    store = conditional.scim.service.store
    get = store.get

    async def get_then_change(*arguments: Any) -> Any:
        read = await get(*arguments)
        monkeypatch.undo()
        assert (await conditional.send("PATCH", {})).status_code in {200, 204}
        return read

    monkeypatch.setattr(type(store), "get", lambda _store, *arguments: get_then_change(*arguments))
    refused(await conditional.send(method, {"if-none-match": 'W/"77"'}), 412)
    assert (await conditional.read())["meta"]["version"] != conditional.resource["meta"]["version"]


async def test_if_none_match_saves_reading_what_the_client_has(conditional: Conditional) -> None:
    await conditional.create()
    tag = conditional.resource["meta"]["version"]
    for value, status in (
        ("{tag}", 304),
        ('"other", {tag}', 304),
        ("*", 304),
        ('"other"', 200),
        ('W/"77"', 200),
        ("", 200),
    ):
        response = await conditional.send("GET", {"if-none-match": value})
        assert (response.status_code, response.headers["etag"]) == (status, tag), value
        assert bool(response.content) is (status == 200)


async def test_if_match_on_a_read_is_412_for_other_versions(conditional: Conditional) -> None:
    await conditional.create()
    for value, status in (("{tag}", 200), ("*", 200), ('W/"77"', 412), ("", 412)):
        response = await conditional.send("GET", {"if-match": value})
        assert response.status_code == status, value


async def test_a_condition_on_a_resource_that_does_not_exist_is_404(conditional: Conditional) -> None:
    conditional.resource = {"id": str(uuid.uuid4()), "meta": {"version": 'W/"1"'}}
    for condition in (
        {"if-match": "*"},
        {"if-match": "{tag}"},
        {"if-none-match": "*"},
        {"if-none-match": "{tag}"},
    ):
        for method in METHODS:
            refused(await conditional.send(method, condition), 404)

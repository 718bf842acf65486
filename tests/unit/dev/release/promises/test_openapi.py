"""The APIs as they are here, with one thing taken away at a time."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from release.promises.openapi import broken_by_api

ROOT: Final = Path(__file__).resolve().parents[5]
ADMIN: Final = json.loads((ROOT / "docs/admin-openapi.json").read_text(encoding="utf-8"))
LIST: Final = "/admin/v1/connections"


def _changed(change: Callable[[Any], object]) -> list[str]:
    new = copy.deepcopy(ADMIN)
    change(new)
    return [str(one) for one in broken_by_api(ADMIN, new, "api")]


@pytest.mark.parametrize("name", ["admin", "token"])
def test_an_api_keeps_what_it_promised_itself(name: str) -> None:
    api = json.loads((ROOT / f"docs/{name}-openapi.json").read_text(encoding="utf-8"))
    assert list(broken_by_api(api, api, "api")) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda api: api["paths"].pop(LIST), f"api: GET {LIST}: is gone"),
        (lambda api: api["paths"][LIST].pop("get"), f"api: GET {LIST}: is gone"),
        (
            lambda api: api["paths"][LIST]["get"]["parameters"].pop(0),
            f"api: GET {LIST}: query parameter after: is gone",
        ),
        (
            lambda api: api["paths"][LIST]["get"]["parameters"][0].update(required=True),
            f"api: GET {LIST}: query parameter after: has to be given now",
        ),
        (
            lambda api: api["paths"][LIST]["get"]["parameters"].append(
                {"in": "query", "name": "x", "required": True}
            ),
            f"api: GET {LIST}: query parameter x: is new and has to be given",
        ),
        (
            lambda api: api["paths"][LIST]["get"]["parameters"][1]["schema"].update(maximum=100),
            f"api: GET {LIST}: query parameter limit: maximum is 100 now and was 500",
        ),
        (
            lambda api: api["paths"][LIST]["get"]["responses"].pop("200"),
            f"api: GET {LIST}: does not answer 200",
        ),
        (
            lambda api: api["paths"][LIST]["get"]["responses"]["200"]["content"].clear(),
            f"api: GET {LIST}: 200: application/json is gone",
        ),
        (
            lambda api: api["paths"][LIST]["get"].update(security=[]),
            f"api: GET {LIST}: has other ways to sign in",
        ),
    ],
)
def test_what_an_api_lost_is_broken(change: Callable[[Any], object], told: str) -> None:
    found = _changed(change)
    assert found
    assert found[0].startswith(told)


def test_a_member_that_a_schema_lost_is_found_by_each_operation_that_has_it() -> None:
    name, schema = next(
        (name, schema)
        for name, schema in ADMIN["components"]["schemas"].items()
        if name.startswith("PutConnection")
    )
    member = next(iter(schema["properties"]))
    found = _changed(lambda api: api["components"]["schemas"][name]["properties"].pop(member))
    assert any(one.endswith(f".{member}: is gone") and "PUT" in one for one in found), found


def test_further_paths_parameters_and_answers_break_nothing() -> None:
    def change(api: Any) -> None:
        api["paths"]["/admin/v2/connections"] = copy.deepcopy(api["paths"][LIST])
        api["paths"][LIST]["get"]["parameters"].append(
            {"in": "query", "name": "x", "schema": {"type": "string"}}
        )
        api["paths"][LIST]["get"]["responses"]["418"] = {"description": "a teapot"}

    assert _changed(change) == []

"""The committed description of the admin API is the application's own."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from scim_api.http.admin.openapi import render

DOCUMENT: Final = Path(__file__).resolve().parents[4] / "docs/admin-openapi.json"
CONNECTION: Final = "/admin/v1/connections/{namespace}/{name}"
WEBHOOK: Final = "/admin/v1/webhooks/{namespace}/{name}"


def test_the_committed_document_is_what_the_application_generates() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == render(), (
        "docs/admin-openapi.json is stale; run: python -m scim_api.http.admin.openapi > docs/admin-openapi.json"
    )


def test_every_operation_names_its_statuses_and_the_body_of_a_refusal() -> None:
    document: dict[str, Any] = json.loads(render())
    common = {"200", "400", "401", "413", "503", "4XX"}
    statuses = {
        (method, path): set(operation["responses"])
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    assert statuses == {
        ("get", "/admin/v1/connections"): common,
        ("get", CONNECTION): common,
        ("put", CONNECTION): common | {"409", "412"},
        ("delete", CONNECTION): common | {"412"},
        ("get", "/admin/v1/webhooks"): common,
        ("get", WEBHOOK): common,
        ("put", WEBHOOK): common | {"409", "412"},
        ("delete", WEBHOOK): common | {"412"},
    }
    for operations in document["paths"].values():
        for operation in operations.values():
            assert operation["security"] == [{"signature": []}]
            for status, response in operation["responses"].items():
                schema = response["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
                assert (schema == "AdminError") == (status != "200"), (status, schema)


@pytest.mark.parametrize(("path", "schema"), [(CONNECTION, "PutConnection"), (WEBHOOK, "PutWebhook")])
def test_a_put_describes_its_body_and_its_condition(path: str, schema: str) -> None:
    put = json.loads(render())["paths"][path]["put"]
    content = put["requestBody"]["content"]
    assert content == {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    assert [(item["in"], item["name"], item["required"]) for item in put["parameters"]] == [
        ("path", "namespace", True),
        ("path", "name", True),
        ("header", "If-Match", True),
    ]

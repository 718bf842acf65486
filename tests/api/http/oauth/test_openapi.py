"""The committed description of the token endpoint is the application's own."""

import json
from pathlib import Path
from typing import Any, Final

from scim_api.contract.oauth import TOKEN_PATH
from scim_api.http.oauth.openapi import render
from scim_api.http.oauth.token_request import KNOWN

DOCUMENT: Final = Path(__file__).resolve().parents[4] / "docs/token-openapi.json"


def operation() -> dict[str, Any]:
    paths: dict[str, Any] = json.loads(render())["paths"]
    assert set(paths) == {TOKEN_PATH}
    assert set(paths[TOKEN_PATH]) == {"post"}
    post: dict[str, Any] = paths[TOKEN_PATH]["post"]
    return post


def test_the_committed_document_is_what_the_application_generates() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == render(), (
        "docs/token-openapi.json is stale; run: python -m scim_api.http.oauth.openapi > docs/token-openapi.json"
    )


def test_it_names_every_status_and_the_body_of_a_refusal() -> None:
    responses = operation()["responses"]
    assert set(responses) == {"200", "400", "401", "405", "413", "415", "429", "503"}
    for status, response in responses.items():
        schema = response["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        assert schema == ("TokenResponse" if status == "200" else "TokenErrorResponse")


def test_it_describes_the_form_and_http_basic() -> None:
    post = operation()
    assert post["security"] == [{"clientSecretBasic": []}, {}]
    [(media_type, content)] = post["requestBody"]["content"].items()
    assert media_type == "application/x-www-form-urlencoded"
    assert set(content["schema"]["properties"]) == KNOWN
    schemes = json.loads(render())["components"]["securitySchemes"]
    assert (schemes["clientSecretBasic"]["type"], schemes["clientSecretBasic"]["scheme"]) == ("http", "basic")

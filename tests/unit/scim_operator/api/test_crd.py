from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from scim_operator.api import crd, printer_columns
from scim_operator.api.auth import AuthSpec, OAuthClientCredentialsSpec, WorkloadIdentitySpec
from scim_operator.api.scimtoken import CustomFieldSpec, RateLimitSpec, ScimTokenSpec, SecretTemplate
from scim_operator.api.status import RefusedSignIn, ScimTokenStatus

ROOT = Path(__file__).parents[4]
SCHEMA = crd.root_schema()


def nodes(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            yield from nodes(node[key], f"{path}[]")


ALL = dict(nodes(SCHEMA))


def test_the_file_in_the_repository_is_what_the_models_say() -> None:
    shipped = (ROOT / "crds" / "scimtoken.yaml").read_text(encoding="utf-8")
    assert shipped == crd.render(), "stale: run `make crd`"


def test_the_schema_is_structural() -> None:
    forbidden = {"$ref", "$defs", "anyOf", "title", "const", "pattern", "allOf"}
    assert {path: forbidden & node.keys() for path, node in ALL.items() if forbidden & node.keys()} == {}
    assert [path for path, node in ALL.items() if "type" not in node] == []


def test_every_field_has_a_description() -> None:
    described = {path for path, node in ALL.items() if node.get("description")}
    ours = {path for path in ALL if path.startswith((".spec", ".status")) and not path.endswith("[]")}
    assert ours - described == set()


def test_every_field_of_the_models_is_in_the_schema() -> None:
    expected: dict[str, type[BaseModel]] = {
        ".spec": ScimTokenSpec,
        ".spec.auth": AuthSpec,
        ".spec.auth.oauthClientCredentials": OAuthClientCredentialsSpec,
        ".spec.auth.workloadIdentity": WorkloadIdentitySpec,
        ".spec.secret": SecretTemplate,
        ".spec.rateLimit": RateLimitSpec,
        ".spec.customFields[]": CustomFieldSpec,
        ".status": ScimTokenStatus,
        ".status.lastRefusedSignIn": RefusedSignIn,
    }
    for path, model in expected.items():
        aliases = {field.alias for field in model.model_fields.values()}
        assert set(ALL[path]["properties"]) == aliases


def test_nothing_of_later_work_is_promised() -> None:
    assert not any("graph" in path.lower() for path in ALL)


def test_no_default_is_null_and_status_has_none() -> None:
    assert [path for path, node in ALL.items() if "default" in node and node["default"] is None] == []
    inside = [path for path, node in ALL.items() if path.startswith(".status.") and "default" in node]
    # A status of before there were other kinds lists bearer tokens: it is complete as it is.
    assert inside == [".status.tokens[].kind"]


def test_what_may_be_absent_of_a_union_gets_no_default() -> None:
    assert ALL[".spec.auth"]["default"] == {}
    for member in ("oauthClientCredentials", "workloadIdentity"):
        assert "default" not in ALL[f".spec.auth.{member}"]
        assert ALL[f".spec.auth.{member}.accessTokenLifetime"]["default"] == "1h"


def test_parents_of_defaults_have_one_themselves() -> None:
    assert ALL[".spec"]["default"] == {}
    assert ALL[".spec.rateLimit"]["default"] == {}


def test_the_root_has_only_rules_that_can_never_brick_an_object() -> None:
    for rule in SCHEMA[crd.RULES]:
        assert "oldSelf" in rule["rule"]


@pytest.mark.parametrize("rule", [rule for node in ALL.values() for rule in node.get(crd.RULES, [])])
def test_every_rule_has_a_message_for_people(rule: dict[str, Any]) -> None:
    assert len(rule["message"]) > 20


def test_times_ahead_are_strings_in_the_columns() -> None:
    kinds = {column["name"]: column["type"] for column in printer_columns.printer_columns()}
    assert kinds["Expires"] == kinds["Next rotation"] == "string"
    assert kinds["Last used"] == kinds["Age"] == "date"


def test_every_printer_column_shows_a_field_that_exists() -> None:
    for column in printer_columns.printer_columns():
        path = column["jsonPath"]
        if path.startswith(".status.conditions"):
            field = f".status.conditions[].{path.rsplit('.', 1)[1]}"
        elif path.startswith(".metadata"):
            continue
        else:
            field = path
        assert field in ALL


def test_the_shipped_file_is_one_yaml_document_without_aliases() -> None:
    text = crd.render()
    assert yaml.safe_load(text) == crd.custom_resource_definition()
    assert "&id" not in text

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from scim_operator.api import crd
from scim_operator.api.auth import AuthSpec, OAuthClientCredentialsSpec, WorkloadIdentitySpec
from scim_operator.api.crd import SCIM_TOKEN, SCIM_WEBHOOK, Kind
from scim_operator.api.scimtoken import CustomFieldSpec, RateLimitSpec, ScimTokenSpec, SecretTemplate
from scim_operator.api.scimwebhook import ScimWebhookSpec, WebhookSecretTemplate
from scim_operator.api.status import RefusedSignIn, ScimTokenStatus
from scim_operator.api.structural_schema import RULES
from scim_operator.api.webhook_status import BacklogStatus, ScimWebhookStatus, SigningSecretStatus

ROOT = Path(__file__).parents[4]


def nodes(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            yield from nodes(node[key], f"{path}[]")


ALL = {kind: dict(nodes(crd.root_schema(kind))) for kind in crd.KINDS}
each_kind = pytest.mark.parametrize("kind", crd.KINDS, ids=lambda kind: kind.model.kind)


@each_kind
def test_the_file_in_the_repository_is_what_the_models_say(kind: Kind) -> None:
    shipped = (ROOT / "crds" / kind.file_name).read_text(encoding="utf-8")
    assert shipped == crd.render(kind), "stale: run `make crd`"


def test_there_is_a_file_for_each_kind_and_no_other(tmp_path: Path) -> None:
    crd.write(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in (ROOT / "crds").iterdir()}


@each_kind
def test_the_schema_is_structural(kind: Kind) -> None:
    forbidden = {"$ref", "$defs", "anyOf", "title", "const", "pattern", "allOf"}
    found = {path: forbidden & node.keys() for path, node in ALL[kind].items() if forbidden & node.keys()}
    assert found == {}
    assert [path for path, node in ALL[kind].items() if "type" not in node] == []


@each_kind
def test_every_field_has_a_description(kind: Kind) -> None:
    described = {path for path, node in ALL[kind].items() if node.get("description")}
    ours = {path for path in ALL[kind] if path.startswith((".spec", ".status")) and not path.endswith("[]")}
    assert ours - described == set()


SCIM_TOKEN_MODELS: dict[str, type[BaseModel]] = {
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
SCIM_WEBHOOK_MODELS: dict[str, type[BaseModel]] = {
    ".spec": ScimWebhookSpec,
    ".spec.secret": WebhookSecretTemplate,
    ".status": ScimWebhookStatus,
    ".status.secrets[]": SigningSecretStatus,
    ".status.backlog": BacklogStatus,
}


@pytest.mark.parametrize(
    ("kind", "path", "model"),
    [
        *((SCIM_TOKEN, path, model) for path, model in SCIM_TOKEN_MODELS.items()),
        *((SCIM_WEBHOOK, path, model) for path, model in SCIM_WEBHOOK_MODELS.items()),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_every_field_of_the_models_is_in_the_schema(kind: Kind, path: str, model: type[BaseModel]) -> None:
    aliases = {field.alias for field in model.model_fields.values()}
    assert set(ALL[kind][path]["properties"]) == aliases


@each_kind
def test_nothing_of_later_work_is_promised(kind: Kind) -> None:
    assert not any("graph" in path.lower() for path in ALL[kind])


@pytest.mark.parametrize(
    ("kind", "inside"),
    [
        # A status of before there were other kinds of tokens lists bearer tokens: it is complete as it is.
        (SCIM_TOKEN, [".status.tokens[].kind"]),
        (SCIM_WEBHOOK, [f".status.backlog.{name}" for name in ("events", "seconds", "retrying")]),
    ],
    ids=["ScimToken", "ScimWebhook"],
)
def test_no_default_is_null_and_status_has_none_but_of_what_is_there(kind: Kind, inside: list[str]) -> None:
    nodes = ALL[kind].items()
    assert [path for path, node in nodes if "default" in node and node["default"] is None] == []
    assert [path for path, node in nodes if path.startswith(".status.") and "default" in node] == inside


@each_kind
def test_what_no_operator_has_seen_says_so(kind: Kind) -> None:
    assert ALL[kind][".status"]["default"] == {"observedGeneration": -1}


def test_what_may_be_absent_of_a_union_gets_no_default() -> None:
    assert ALL[SCIM_TOKEN][".spec.auth"]["default"] == {}
    for member in ("oauthClientCredentials", "workloadIdentity"):
        assert "default" not in ALL[SCIM_TOKEN][f".spec.auth.{member}"]
        assert ALL[SCIM_TOKEN][f".spec.auth.{member}.accessTokenLifetime"]["default"] == "1h"


def test_parents_of_defaults_have_one_themselves() -> None:
    assert ALL[SCIM_TOKEN][".spec"]["default"] == {}
    assert ALL[SCIM_TOKEN][".spec.rateLimit"]["default"] == {}


def test_spec_may_be_left_out_only_where_each_of_its_fields_may() -> None:
    assert "required" not in ALL[SCIM_TOKEN][""]
    assert ALL[SCIM_WEBHOOK][""]["required"] == ["spec"]
    assert "default" not in ALL[SCIM_WEBHOOK][".spec"]


@each_kind
def test_the_root_has_only_rules_that_can_never_brick_an_object(kind: Kind) -> None:
    for rule in ALL[kind][""][RULES]:
        assert "oldSelf" in rule["rule"]


@pytest.mark.parametrize(
    "rule", [rule for kind in crd.KINDS for node in ALL[kind].values() for rule in node.get(RULES, [])]
)
def test_every_rule_has_a_message_for_people(rule: dict[str, Any]) -> None:
    assert len(rule["message"]) > 20


@pytest.mark.parametrize(
    ("kind", "strings", "dates"),
    [
        (SCIM_TOKEN, {"Expires", "Next rotation"}, {"Last used", "Age"}),
        (SCIM_WEBHOOK, {"Next rotation"}, {"Last delivery", "Failing since", "Age"}),
    ],
    ids=["ScimToken", "ScimWebhook"],
)
def test_times_ahead_are_strings_in_the_columns(kind: Kind, strings: set[str], dates: set[str]) -> None:
    kinds = {column["name"]: column["type"] for column in kind.columns}
    assert {kinds[name] for name in strings} == {"string"}
    assert {name for name in kinds if kinds[name] == "date"} == dates


@each_kind
def test_every_printer_column_shows_a_field_that_exists(kind: Kind) -> None:
    for column in kind.columns:
        path = column["jsonPath"]
        if path.startswith(".status.conditions"):
            field = f".status.conditions[].{path.rsplit('.', 1)[1]}"
        elif path.startswith(".metadata"):
            continue
        else:
            field = path
        assert field in ALL[kind]


@each_kind
def test_the_shipped_file_is_one_yaml_document_without_aliases(kind: Kind) -> None:
    text = crd.render(kind)
    assert yaml.safe_load(text) == crd.custom_resource_definition(kind)
    assert "&id" not in text


def test_kinds_differ_in_every_name_but_the_category() -> None:
    names = [crd.custom_resource_definition(kind)["spec"]["names"] for kind in crd.KINDS]
    assert {tuple(each["categories"]) for each in names} == {("scim",)}
    assert len({each["shortNames"][0] for each in names}) == len({each["plural"] for each in names}) == 2

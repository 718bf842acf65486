"""Bodies of the admin API: the names on the wire, what a newer side adds, and what is refused."""

import json
from typing import Any, Final

import pytest
from pydantic import BaseModel, ValidationError

from scim_api.contract.admin import (
    AdminError,
    Connection,
    ConnectionPage,
    Credential,
    CredentialStatus,
    CustomField,
    PutConnection,
    RateLimit,
    TenantSettings,
)

CREDENTIAL: Final[dict[str, Any]] = {
    "id": "t1",
    "kind": "BearerToken",
    "digest": "0a" * 32,
    "issuedAt": "2026-11-23T14:00:00Z",
    "expiresAt": "2027-11-23T14:00:00Z",
    "retiresAt": None,
    "trust": None,
}
TRUST: Final[dict[str, Any]] = {
    "id": "t2",
    "kind": "WorkloadIdentity",
    "digest": "0b" * 32,
    "issuedAt": "2026-11-23T14:00:00Z",
    "expiresAt": "2027-11-23T14:00:00Z",
    "retiresAt": None,
    "trust": {
        "tenantId": "0f0e0d0c-0b0a-0908-0706-050403020100",
        "subjects": ["an-object-id"],
        "audiences": ["api://an-app", "an-app"],
        "issuers": ["https://login.example/t/v2.0"],
        "keysUrl": "https://login.example/t/keys",
    },
}
OAUTH_CLIENT: Final[dict[str, Any]] = {"clientId": "a-client", "accessTokenSeconds": 7200}
PUT: Final[dict[str, Any]] = {
    "tenant": "contoso",
    "settings": {
        "matching": "userName",
        "groups": "Disabled",
        "customFields": [{"name": "costCenter", "type": "String", "multiValued": True}],
        "rateLimit": {"requestsPerSecond": 25, "burst": 30},
        "deletionPolicy": "Delete",
    },
    "credentials": [CREDENTIAL, TRUST],
    "ownerUid": "scimtoken-uid",
    "namespaceUid": "namespace-uid",
    "oauthClient": OAUTH_CLIENT,
    "access": "ReadWrite",
}
CONNECTION: Final[dict[str, Any]] = {
    "namespace": "apps",
    "name": "entra",
    "exists": True,
    "revision": "r1",
    "now": "2026-11-23T14:00:00Z",
    "tenant": "contoso",
    "access": "ReadWrite",
    "settings": PUT["settings"],
    "settingsHash": "f00",
    "credentials": [
        {
            **CREDENTIAL,
            "lastUsedAt": "2026-11-24T14:00:00Z",
            "userAgent": "Azure-AD-SCIM",
            "lastInspectedAt": None,
        }
    ],
    "revoked": ["t0"],
    "revokedBefore": "2026-01-01T00:00:00Z",
    "resources": 3,
    "ownerUid": "scimtoken-uid",
    "namespaceUid": "",
    "oauthClient": OAUTH_CLIENT,
    "lastRefusal": {
        "at": "2026-11-24T14:00:00Z",
        "check": "aud",
        "expected": "an-app",
        "received": "another",
    },
    "purging": False,
}
BODIES: Final[list[tuple[type[BaseModel], dict[str, Any]]]] = [
    (PutConnection, PUT),
    (PutConnection, {**PUT, "settings": None, "access": "ReadOnly"}),
    (Connection, CONNECTION),
    (ConnectionPage, {"now": "2026-11-23T14:00:00Z", "items": [CONNECTION], "next": "apps/entra"}),
    (AdminError, {"code": "SettingsConflict", "message": "They differ.", "fields": ["matching"]}),
]


@pytest.mark.parametrize(("model", "body"), BODIES)
def test_a_body_is_read_and_written_with_camel_case_names(model: type[BaseModel], body: Any) -> None:
    assert json.loads(model.model_validate_json(json.dumps(body)).model_dump_json(by_alias=True)) == body


@pytest.mark.parametrize(("model", "body"), BODIES)
def test_what_a_newer_side_adds_is_ignored(model: type[BaseModel], body: Any) -> None:
    def with_more(value: Any) -> Any:
        if isinstance(value, dict):
            return {**{name: with_more(item) for name, item in value.items()}, "ofTomorrow": {"x": 1}}
        return [with_more(item) for item in value] if isinstance(value, list) else value

    assert model.model_validate(with_more(body)) == model.model_validate(body)


def test_what_an_older_side_leaves_out_has_its_default() -> None:
    wanted = PutConnection.model_validate({"tenant": "contoso"})
    assert json.loads(wanted.model_dump_json(by_alias=True)) == {
        "tenant": "contoso",
        "settings": {
            "matching": "workEmail",
            "groups": "Enabled",
            "customFields": [],
            "rateLimit": {"requestsPerSecond": 50, "burst": 100},
            "deletionPolicy": "Retain",
        },
        "credentials": [],
        "ownerUid": None,
        "namespaceUid": None,
        "oauthClient": None,
        "access": None,
    }
    least = {"namespace": "apps", "name": "entra", "exists": False, "revision": "0", "now": CONNECTION["now"]}
    answer = Connection.model_validate(least)
    assert (answer.credentials, answer.revoked, answer.resources, answer.purging) == ((), (), 0, False)
    custom = CustomField.model_validate({"name": "costCenter"})
    assert (custom.type, custom.multi_valued) == ("Any", False)


@pytest.mark.parametrize(
    "change",
    [
        {"settings": None}, {"settings": None, "access": None}, {"access": "ReadOnly"}, {"access": "WriteOnly"},
        {"access": "readOnly", "settings": None},
    ],
)  # fmt: skip
def test_settings_are_null_with_read_only_access_and_with_no_other(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PutConnection.model_validate({**PUT, **change})


def test_a_connection_holds_sixteen_credentials_at_most() -> None:
    credentials = [{**CREDENTIAL, "id": f"t{number}"} for number in range(17)]
    assert len(PutConnection.model_validate({**PUT, "credentials": credentials[:16]}).credentials) == 16
    with pytest.raises(ValidationError):
        PutConnection.model_validate({**PUT, "credentials": credentials})


@pytest.mark.parametrize("name", ["a", "0", "contoso", "con-toso.eu", "a" * 253])
def test_a_tenant_has_a_name_as_kubernetes_objects_have(name: str) -> None:
    assert PutConnection.model_validate({"tenant": name}).tenant == name


@pytest.mark.parametrize("name", ["", "Contoso", "-a", "a-", ".a", "a.", "a_b", "a b", "ä", "a\n", "a" * 254])
def test_any_other_name_of_a_tenant_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        PutConnection.model_validate({"tenant": name})


@pytest.mark.parametrize(
    "change",
    [
        {"digest": "0A" * 32}, {"digest": "0a" * 31}, {"digest": "0a" * 33}, {"digest": "0g" * 32},
        {"id": ""}, {"id": "a" * 65}, {"id": "a b"}, {"id": "a/b"},
        {"kind": "Certificate"}, {"issuedAt": None}, {"expiresAt": "tomorrow"},
    ],
)  # fmt: skip
def test_a_credential_of_another_form_is_refused(change: dict[str, object]) -> None:
    Credential.model_validate({**CREDENTIAL, "id": "A-z_0." + "9" * 58})
    with pytest.raises(ValidationError):
        Credential.model_validate({**CREDENTIAL, **change})


@pytest.mark.parametrize(
    "settings",
    [
        {"matching": "displayName"},
        {"groups": "enabled"},
        {"deletionPolicy": "Keep"},
        {"customFields": [{"name": "9lives"}]},
        {"customFields": [{"name": "post code"}]},
        {"customFields": [{"name": "a" * 65}]},
        {"customFields": [{"name": "a", "type": "Reference"}]},
        {"customFields": [{"name": f"f{number}"} for number in range(101)]},
        {"rateLimit": {"requestsPerSecond": 24}},
        {"rateLimit": {"requestsPerSecond": 100_001}},
        {"rateLimit": {"burst": 24}},
    ],
)
def test_settings_outside_of_what_is_offered_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TenantSettings.model_validate(settings)


def test_the_ends_of_each_range_are_within_it() -> None:
    assert RateLimit.model_validate({"requestsPerSecond": 25, "burst": 100_000}).burst == 100_000
    fields = [{"name": f"f{number}".ljust(64, "x")} for number in range(100)]
    assert len(TenantSettings.model_validate({"customFields": fields}).custom_fields) == 100


def test_a_credential_of_an_answer_is_one_to_put_again() -> None:
    held = CredentialStatus.model_validate(CONNECTION["credentials"][0])
    assert Credential.model_validate(held.model_dump()) == Credential.model_validate(CREDENTIAL)

"""``spec.auth`` as real API servers enforce it, of the newest and of the oldest Kubernetes."""

import json
from typing import Any

import pytest

from localcluster import ControlPlane
from support.installed import applied, manifest, refusal

TENANT = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
IDENTITY: dict[str, Any] = {"tenantID": TENANT, "subjects": ["s1"], "audiences": ["api://app/.default"]}
LONGEST = ["v" * 253 + f".{number:02}" for number in range(16)]


def identity(**more: Any) -> dict[str, Any]:
    return {"type": "WorkloadIdentity", "workloadIdentity": IDENTITY | more}


@pytest.mark.parametrize(
    "auth",
    [
        {},
        {"type": "BearerToken"},
        {"type": "OAuthClientCredentials"},
        {"type": "OAuthClientCredentials", "oauthClientCredentials": {}},
        {"type": "OAuthClientCredentials", "oauthClientCredentials": {"accessTokenLifetime": "6h"}},
        {"type": "OAuthClientCredentials", "oauthClientCredentials": {"accessTokenLifetime": "3600s"}},
        identity(),
        identity(cloud="USGovernment", accessTokenLifetime="90m"),
        identity(issuers=["https://sts.test/"], keysURL="http://127.0.0.1:8099/keys"),
        identity(subjects=LONGEST, audiences=LONGEST, issuers=LONGEST),
    ],
)
def test_good_ones_are_accepted(server: ControlPlane, auth: dict[str, Any]) -> None:
    body = json.dumps(manifest("entra", "default", {"auth": auth}))
    server.kubectl("apply", "--dry-run=server", "-f", "-", input=body)


@pytest.mark.parametrize(
    ("auth", "field", "message"),
    [
        ({"type": "Kerberos"}, "auth.type", '"BearerToken", "OAuthClientCredentials", "WorkloadIdentity"'),
        (
            {"oauthClientCredentials": {}},
            "auth.oauthClientCredentials",
            "goes with type: OAuthClientCredentials; set that type, or take the field out",
        ),
        (
            identity() | {"oauthClientCredentials": {"accessTokenLifetime": "1h"}},
            "auth.oauthClientCredentials",
            "goes with type: OAuthClientCredentials; set that type, or take the field out",
        ),
        (
            identity() | {"type": "OAuthClientCredentials"},
            "auth.workloadIdentity",
            "goes with type: WorkloadIdentity; set that type, or take the field out",
        ),
        (
            {"type": "WorkloadIdentity"},
            "auth",
            "needs workloadIdentity with tenantID, subjects and audiences; Entra shows them",
        ),
        (
            {"type": "OAuthClientCredentials", "oauthClientCredentials": {"accessTokenLifetime": "59m"}},
            "auth.oauthClientCredentials.accessTokenLifetime",
            "accessTokenLifetime goes from 1h to 6h",
        ),
        (
            {"type": "OAuthClientCredentials", "oauthClientCredentials": {"accessTokenLifetime": "an hour"}},
            "auth.oauthClientCredentials.accessTokenLifetime",
            "write a number and s, m, h or d",
        ),
        (
            identity(accessTokenLifetime="7h"),
            "auth.workloadIdentity.accessTokenLifetime",
            "goes from 1h to 6h",
        ),
        (identity(tenantID="contoso.com"), "auth.workloadIdentity.tenantID", "a GUID in lower case"),
        (identity(tenantID=TENANT.upper()), "auth.workloadIdentity.tenantID", "a GUID in lower case"),
        (identity(cloud="Moon"), "auth.workloadIdentity.cloud", '"Public", "USGovernment", "China"'),
        (identity(subjects=[]), "auth.workloadIdentity.subjects", "at least 1 items"),
        (identity(audiences=["a"] * 17), "auth.workloadIdentity.audiences", "at most 16 items"),
        (identity(audiences=["api://*"]), "auth.workloadIdentity.audiences[0]", "* stands for nothing here"),
        (identity(subjects=["s1 "]), "auth.workloadIdentity.subjects[0]", "without spaces"),
        (identity(issuers=[""]), "auth.workloadIdentity.issuers[0]", "write it as Entra shows it"),
        (identity(keysURL="login.test"), "auth.workloadIdentity.keysURL", "write a URL such as https://"),
    ],
)
def test_a_mistake_is_refused_with_what_to_write_instead(
    server: ControlPlane, auth: dict[str, Any], field: str, message: str
) -> None:
    said = refusal(server, manifest("entra", "default", {"auth": auth}))
    assert f"spec.{field}:" in said
    assert message in said


def test_defaults_are_those_of_the_chosen_type_alone(server: ControlPlane, place: str) -> None:
    client = {"type": "OAuthClientCredentials"}
    assert applied(server, manifest("client", place, {"auth": client}))["spec"]["auth"] == client
    stored = applied(server, manifest("identity", place, {"auth": identity()}))["spec"]["auth"]
    assert stored["workloadIdentity"] == IDENTITY | {"cloud": "Public", "accessTokenLifetime": "1h"}
    assert stored.keys() == {"type", "workloadIdentity"}


def test_a_type_may_be_changed_with_its_fields(server: ControlPlane, place: str) -> None:
    for auth in (identity(), {"type": "OAuthClientCredentials"}, {"type": "BearerToken"}, identity()):
        stored = applied(server, manifest("entra", place, {"auth": auth}))["spec"]["auth"]
        assert stored["type"] == auth["type"]
        assert ("workloadIdentity" in stored) is (auth["type"] == "WorkloadIdentity")

"""``spec.access`` as real API servers enforce it, of the newest and of the oldest Kubernetes."""

import json
from typing import Any, Final

import pytest

from localcluster import ControlPlane
from support.installed import applied, manifest, refusal

READER: Final[dict[str, Any]] = {"access": "ReadOnly", "tenant": "contoso"}
ENTRA: Final[dict[str, Any]] = {
    "tenantID": "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
    "servicePrincipalID": "3f2504e0-4f89-11d3-9a0c-0305e82c3302",
    "signIn": {
        "clientID": "3f2504e0-4f89-11d3-9a0c-0305e82c3303",
        "serviceAccountRef": {"name": "entra-provisioning"},
    },
}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"overlap": "untilInUse", "lifetime": "1h", "suspend": True, "secret": {"name": "x"}},
        {"auth": {"type": "OAuthClientCredentials"}},
        {"matching": "workEmail", "groups": "Enabled", "deletionPolicy": "Retain", "customFields": []},
        {"rateLimit": {"burst": 100}},
    ],
)
def test_one_that_reads_has_all_that_is_not_the_tenants(
    server: ControlPlane, place: str, more: dict[str, Any]
) -> None:
    assert applied(server, manifest("reports", place, {**READER, **more}))["spec"]["access"] == "ReadOnly"


@pytest.mark.parametrize(
    "more",
    [
        {"matching": "userName"}, {"groups": "Disabled"}, {"customFields": [{"name": "floor"}]},
        {"rateLimit": {"requestsPerSecond": 60}}, {"rateLimit": {"burst": 60}}, {"deletionPolicy": "Delete"},
        {"entra": ENTRA},
    ],
)  # fmt: skip
def test_what_is_the_tenants_is_refused_with_where_to_write_it(
    server: ControlPlane, more: dict[str, Any]
) -> None:
    said = refusal(server, manifest("reports", "default", {**READER, **more}))
    [field] = more
    assert f"spec.{field}: Invalid value" in said
    assert f"with access: ReadOnly leave {field} out" in said
    assert "access: ReadWrite" in said
    assert said.count("Invalid value") == 1
    server.kubectl(
        "apply", "--dry-run=server", "-f", "-", input=json.dumps(manifest("entra", "default", more))
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"access": "ReadOnly"}),
        ({"access": "ReadWrite"}, {"access": "ReadOnly"}),
        ({"access": "ReadOnly"}, {"access": "ReadWrite"}),
        ({"access": "ReadOnly"}, {}),
    ],
)
def test_it_cannot_be_changed(
    server: ControlPlane, place: str, before: dict[str, Any], after: dict[str, Any]
) -> None:
    applied(server, manifest("reports", place, before))
    said = refusal(server, manifest("reports", place, after))
    assert "spec.access: Forbidden: access cannot be changed" in said


def test_writing_the_default_out_is_no_change(server: ControlPlane, place: str) -> None:
    applied(server, manifest("entra", place))
    assert applied(server, manifest("entra", place, {"access": "ReadWrite"}))["spec"]["access"] == "ReadWrite"


@pytest.mark.parametrize("value", ["readOnly", "WriteOnly", ""])
def test_another_value_is_refused(server: ControlPlane, value: str) -> None:
    assert 'supported values: "ReadWrite", "ReadOnly"' in refusal(
        server, manifest("reports", "default", {"access": value})
    )

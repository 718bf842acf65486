"""``spec.entra`` as real API servers enforce it, of the newest and of the oldest Kubernetes."""

import json
from typing import Any

import pytest

from localcluster import ControlPlane
from support.installed import applied, manifest, refusal

TENANT = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
APPLICATION = "7a1f6c52-6d0e-4a53-8a5e-5b0f2f0e9d0a"
CLIENT = "0c9e37a2-5b0f-4b8e-9d0a-2d1f6a0c9e37"
ACCOUNT: dict[str, Any] = {"serviceAccountRef": {"name": "entra-hand-over"}}


def entra(sign_in: dict[str, Any] = ACCOUNT, **more: Any) -> dict[str, Any]:
    return {
        "tenantID": TENANT,
        "servicePrincipalID": APPLICATION,
        "signIn": {"clientID": CLIENT} | sign_in,
    } | more


@pytest.mark.parametrize(
    "spec",
    [
        entra(),
        entra({"clientSecretRef": {"name": "graph", "key": "client-secret"}}),
        entra({"certificateRef": {"name": "graph-tls"}}),
        entra(jobID="scim.0d1f2a3b4c5d.5e6f7a8b-9c0d"),
        entra(cloud="USGovernmentDoD", handOver="ValidateOnly", onQuarantine="Report"),
        entra(cloud="China", handOver="Off"),
    ],
)
def test_good_ones_are_accepted(server: ControlPlane, spec: dict[str, Any]) -> None:
    body = json.dumps(manifest("entra", "default", {"entra": spec}))
    server.kubectl("apply", "--dry-run=server", "-f", "-", input=body)


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        (entra({}), "entra.signIn", "exactly one of serviceAccountRef, clientSecretRef and certificateRef"),
        (
            entra(ACCOUNT | {"certificateRef": {"name": "graph-tls"}}),
            "entra.signIn",
            "exactly one of serviceAccountRef, clientSecretRef and certificateRef",
        ),
        (entra(tenantID="contoso.onmicrosoft.com"), "entra.tenantID", "a GUID in lower case"),
        (
            entra(servicePrincipalID=APPLICATION.upper()),
            "entra.servicePrincipalID",
            "write the id as the Entra admin center shows it, a GUID in lower case",
        ),
        (entra(jobID="scim job"), "entra.jobID", "write the id of the provisioning job"),
        (entra(cloud="Moon"), "entra.cloud", '"Public", "USGovernment", "USGovernmentDoD", "China"'),
        (entra(handOver="Sometimes"), "entra.handOver", '"Automatic", "ValidateOnly", "Off"'),
        (entra(onQuarantine="Panic"), "entra.onQuarantine", '"Recover", "Report"'),
        (
            entra({"clientSecretRef": {"name": "graph", "key": "client secret"}}),
            "entra.signIn.clientSecretRef.key",
            "the key of a Secret has letters, digits, -, _ and .",
        ),
        (entra({"clientSecretRef": {"name": "graph"}}), "entra.signIn.clientSecretRef.key", "Required value"),
        ({"tenantID": TENANT}, "entra.signIn", "Required value"),
        ({"tenantID": TENANT}, "entra.servicePrincipalID", "Required value"),
    ],
)
def test_a_mistake_is_refused_with_what_to_write_instead(
    server: ControlPlane, spec: dict[str, Any], field: str, message: str
) -> None:
    said = refusal(server, manifest("entra", "default", {"entra": spec}))
    assert f"spec.{field}:" in said
    assert message in said


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (
            entra({"serviceAccountRef": {"name": "entra-hand-over", "namespace": "other"}}),
            "serviceAccountRef.namespace",
        ),
        (
            entra({"clientSecretRef": {"name": "graph", "key": "k", "namespace": "other"}}),
            "clientSecretRef.namespace",
        ),
        (entra({"certificateRef": {"name": "graph-tls", "namespace": "other"}}), "certificateRef.namespace"),
        (entra(loginURL="https://login.example.com"), "loginURL"),
        (entra(graphURL="https://graph.example.com"), "graphURL"),
    ],
    ids=["service account", "secret", "certificate", "login", "graph"],
)
def test_neither_another_namespaces_identity_nor_a_host_can_be_named(
    server: ControlPlane, spec: dict[str, Any], field: str
) -> None:
    said = refusal(server, manifest("entra", "default", {"entra": spec}))
    assert f'{field}"' in said
    assert "unknown field" in said


def test_defaults_hand_over_by_themselves_and_recover(server: ControlPlane, place: str) -> None:
    stored = applied(server, manifest("entra", place, {"entra": entra()}))["spec"]["entra"]
    assert stored == entra() | {"cloud": "Public", "handOver": "Automatic", "onQuarantine": "Recover"}


def test_without_it_nothing_of_it_is_stored(server: ControlPlane, place: str) -> None:
    assert "entra" not in applied(server, manifest("plain", place, {}))["spec"]

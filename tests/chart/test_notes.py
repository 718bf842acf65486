"""After the installation a person reads what to do next, and what they probably forgot."""

from typing import Any

import pytest

from scim_api.contract.oauth import token_endpoint
from support.chart import EVERYTHING, HOST, NAMESPACED, Helm

TLS = {"ingress": {"tls": {"secretName": "tls"}}}
POSTGRESQL = {"api": {"database": {"type": "postgresql", "url": "postgresql://db/scim"}}}
GATEWAY = {"ingress": {"enabled": False}, "httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}]}}


def test_the_next_commands_name_this_release(helm: Helm) -> None:
    notes = helm.notes(HOST)
    assert "Entra's Tenant URL: https://scim.example.com/scim/v2" in notes
    assert f"the token endpoint: {token_endpoint('https://scim.example.com/scim/v2')}\n" in notes
    assert (
        "kubectl rollout status deployment/scim-operator deployment/scim-operator-api -n scim-system" in notes
    )
    assert "kubectl get secret entra-scim-token -n scim-system" in notes
    assert "helm test scim-operator -n scim-system" in notes


def test_a_token_is_suggested_where_an_operator_watches(helm: Helm) -> None:
    assert 'namespace: "team-a"' in helm.notes(HOST, {"watchNamespaces": ["team-a", "team-b"]})


def test_scim_tokens_of_the_values_are_waited_for(helm: Helm) -> None:
    notes = helm.notes(NAMESPACED)
    assert "kubectl wait --for=condition=Ready sct/entra -n team-b" in notes
    assert "kubectl apply" not in notes


@pytest.mark.parametrize(
    ("settings", "warning"),
    [
        ({}, "WARNING: the Ingress has no certificate"),
        ({"endpointUrl": "http://scim.example.com/scim/v2"}, "Entra speaks to https alone"),
        ({"endpointUrl": "https://other.example.com/scim/v2"}, "but host is scim.example.com"),
        ({"ingress": {"enabled": False}}, "Service scim-operator-api, port 8080"),
        (POSTGRESQL, "WARNING: api.database.url is kept in the release"),
        (POSTGRESQL, "NOTE: api.replicas is 1"),
        ({}, "NOTE: SQLite serves one pod"),
        ({}, "NOTE: the operator may read and write the Secrets of every namespace"),
    ],
)
def test_common_mistakes_are_pointed_out(helm: Helm, settings: dict[str, Any], warning: str) -> None:
    assert warning in " ".join(helm.notes({**HOST, **settings}).split())


def test_who_made_none_is_told_of_none(helm: Helm) -> None:
    good = {**TLS, "watchNamespaces": ["team-a"]}
    database = {"type": "postgresql", "existingSecret": {"name": "db"}}
    notes = helm.notes({**HOST, **good, "api": {"replicas": 2, "database": database}})
    assert "WARNING" not in notes
    assert "NOTE:" not in notes


def test_tls_of_a_gateway_is_the_gateways(helm: Helm) -> None:
    assert "WARNING" not in helm.notes({**HOST, **GATEWAY})


def test_everything_at_once_has_notes_too(helm: Helm) -> None:
    assert "WARNING" not in helm.notes(EVERYTHING)

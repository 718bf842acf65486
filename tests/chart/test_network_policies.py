"""Who may reach what: the network policies as the values ask for them."""

from typing import Any

import pytest

from support.chart import HOST, Helm, Object

POSTGRESQL = {"type": "postgresql", "existingSecret": {"name": "scim-database"}}
DNS_PODS = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "openshift-dns"}}}]


def policy(helm: Helm, database: dict[str, Any] = POSTGRESQL, **settings: Any) -> Object:
    """The spec of the API's policy."""
    values = {**HOST, "api": {"database": database}, "networkPolicy": settings}
    spec: Object = helm.render(values).one("NetworkPolicy", "scim-operator-api")["spec"]
    return spec


def ports(rule: Object) -> list[tuple[str, int]]:
    return [(item["protocol"], item["port"]) for item in rule["ports"]]


def test_names_are_asked_for_at_the_usual_port_and_at_openshifts(helm: Helm) -> None:
    dns, _ = policy(helm)["egress"]
    assert ports(dns) == [("UDP", 53), ("TCP", 53), ("UDP", 5353), ("TCP", 5353)]
    assert "to" not in dns


def test_where_dns_is_can_be_said(helm: Helm) -> None:
    dns, _ = policy(helm, dns=DNS_PODS, dnsPorts=[5300])["egress"]
    assert ports(dns) == [("UDP", 5300), ("TCP", 5300)]
    assert dns["to"] == DNS_PODS


def test_without_a_dns_port_only_the_database_is_reached(helm: Helm) -> None:
    """An empty list of ports in a rule would mean all ports."""
    (database,) = policy(helm, dnsPorts=[])["egress"]
    assert ports(database) == [("TCP", 5432)]


@pytest.mark.parametrize("settings", [{"dnsPorts": [0]}, {"dnsPorts": ["dns"]}, {"dns": [{}]}])
def test_a_port_or_peer_that_is_none_is_refused(helm: Helm, settings: dict[str, Any]) -> None:
    assert "at '/networkPolicy/dns" in helm.refusal({**HOST, "networkPolicy": settings})

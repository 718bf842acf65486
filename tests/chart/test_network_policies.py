"""Who may reach what: the network policies as the values ask for them."""

import re
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from support.chart import CONTROLLER, HOST, ROOT, Helm, Object

POSTGRESQL = {"type": "postgresql", "existingSecret": {"name": "scim-database"}}
DNS_PODS = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "openshift-dns"}}}]


def policy(helm: Helm, database: dict[str, Any] = POSTGRESQL, **settings: Any) -> Object:
    """The spec of the API's policy."""
    values = {
        **HOST,
        "api": {"database": database},
        "networkPolicy": {"ingressFrom": [CONTROLLER], **settings},
    }
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


@pytest.mark.parametrize(
    ("url", "port", "expected"),
    [
        ("postgresql://db/scim", 0, [5432]),
        ("postgresql://u:5433@db/scim", 0, [5432]),
        ("postgresql://u:p@db:5432/scim", 0, [5432]),
        ("postgres://db:6432", 0, [6432]),
        ("postgresql://u:p4@db:6432/scim?sslmode=require", 0, [6432]),
        ("postgresql://u:p@[fd00::5]:6432/scim", 0, [6432]),
        ("postgresql://u:p@[fd00::5]/scim", 0, [5432]),
        ("postgresql://u:p@a:5433,b:5434,c/scim?target_session_attrs=read-write", 0, [5433, 5434, 5432]),
        ("postgresql:///scim?host=db&port=6432", 0, [6432]),
        ("postgresql://u:p@db:5432/scim", 6432, [5432, 6432]),
        ("postgresql://u:p@db/scim", 6432, [5432, 6432]),
        ("postgresql://u:p@db:6432/scim", 6432, [6432]),
    ],
)
def test_the_api_reaches_the_port_of_the_address_and_the_one_behind_its_service(
    helm: Helm, url: str, port: int, expected: list[int]
) -> None:
    _, database = policy(helm, {"type": "postgresql", "url": url}, databasePort=port)["egress"]
    assert ports(database) == [("TCP", each) for each in expected]


def test_the_port_of_an_address_in_a_secret_can_be_said(helm: Helm) -> None:
    _, database = policy(helm, databasePort=6432)["egress"]
    assert ports(database) == [("TCP", 6432)]


def public(spec: Object) -> Object:
    """The rule for the port that Entra asks."""
    rule: Object
    (rule,) = [rule for rule in spec["ingress"] if rule["ports"][0]["port"] == "scim"]
    return rule


def test_only_the_ingress_controller_operator_and_self_test_reach_the_public_port(helm: Helm) -> None:
    controller, ours = public(policy(helm))["from"]
    assert controller == CONTROLLER
    assert ours["podSelector"]["matchExpressions"][0]["values"] == ["operator", "self-test"]


@pytest.mark.parametrize("peers", [[{}], [CONTROLLER, {}]])
def test_an_empty_peer_lets_anybody_ask_the_public_port_alone(helm: Helm, peers: list[Object]) -> None:
    spec = policy(helm, ingressFrom=peers)
    assert "from" not in public(spec)
    assert [rule for rule in spec["ingress"] if "from" in rule]
    notes = helm.notes({**HOST, "networkPolicy": {"ingressFrom": peers}})
    assert "NOTE: networkPolicy.ingressFrom lets anybody ask" in notes


def test_without_policies_nobody_is_asked_who_may(helm: Helm) -> None:
    rendered = helm.render({"host": "scim.example.com", "networkPolicy": {"enabled": False}})
    assert not rendered.of_kind("NetworkPolicy")


@pytest.mark.parametrize("part", ["prometheus", "database"])
def test_the_admin_port_and_the_way_to_the_database_are_never_opened_to_anybody(
    helm: Helm, part: str
) -> None:
    settings = {"ingressFrom": [CONTROLLER], part: [{}]}
    assert f"at '/networkPolicy/{part}/0'" in helm.refusal({**HOST, "networkPolicy": settings})


# -- keys of workload identities --------------------------------------------------------------------
def keys_rule(helm: Helm, database: dict[str, Any], **settings: Any) -> Object:
    values = {
        **HOST,
        "api": {"database": database, "workloadIdentity": {"enabled": True}},
        "networkPolicy": {"ingressFrom": [CONTROLLER], **settings},
    }
    spec = helm.render(values).one("NetworkPolicy", "scim-operator-api")["spec"]
    rule: Object
    (rule,) = [rule for rule in spec["egress"] if ports(rule) == [("TCP", 443)]]
    return rule


def test_nothing_is_reached_on_sqlite_and_the_way_to_entras_keys_is_closed_at_first(helm: Helm) -> None:
    assert policy(helm, {"type": "sqlite"})["egress"] == []
    assert not [rule for rule in policy(helm)["egress"] if ("TCP", 443) in ports(rule)]


@pytest.mark.parametrize("database", [POSTGRESQL, {"type": "sqlite"}], ids=["postgresql", "sqlite"])
def test_keys_are_fetched_from_public_addresses_by_https_where_it_is_switched_on(
    helm: Helm, database: dict[str, Any]
) -> None:
    four, six = (peer["ipBlock"] for peer in keys_rule(helm, database)["to"])
    assert (four["cidr"], six["cidr"]) == ("0.0.0.0/0", "::/0")
    for address in ("10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "127.0.0.1", "100.64.0.1"):
        assert any(ip_address(address) in ip_network(part) for part in four["except"]), address
    assert not any(ip_address("20.190.151.1") in ip_network(part) for part in four["except"])
    for address in ("::1", "fd00::1", "fe80::1"):
        assert any(ip_address(address) in ip_network(part) for part in six["except"]), address


def test_on_sqlite_names_are_asked_for_only_with_keys_to_fetch(helm: Helm) -> None:
    values = {**HOST, "api": {"workloadIdentity": {"enabled": True}}}
    dns, _ = helm.render(values).one("NetworkPolicy", "scim-operator-api")["spec"]["egress"]
    assert ("UDP", 53) in ports(dns)


def test_from_where_keys_are_fetched_can_be_said(helm: Helm) -> None:
    login = [{"ipBlock": {"cidr": "20.190.128.0/18"}}]
    assert keys_rule(helm, POSTGRESQL, keys=login)["to"] == login


# -- the operator --------------------------------------------------------------------------------------
def test_where_the_operator_goes_is_left_open(helm: Helm) -> None:
    """The Kubernetes API has no address that could be named; so login and Graph are reached without being opened."""
    spec = helm.render(HOST).one("NetworkPolicy", "scim-operator")["spec"]
    assert spec["policyTypes"] == ["Ingress"]
    assert "egress" not in spec


def test_the_policy_that_the_page_shows_lets_the_operator_reach_what_its_settings_name(helm: Helm) -> None:
    """Where another policy lets nothing out that is not listed: docs/entra-handover.md."""
    page = (ROOT / "docs/entra-handover.md").read_text(encoding="utf-8")
    (shown,) = (
        spec
        for block in re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
        for document in yaml.safe_load_all(block)
        if document.get("kind") == "NetworkPolicy" and (spec := document["spec"])
    )
    opened = {port for rule in shown["egress"] for _, port in ports(rule)}
    for operator_tls in (True, False):
        rendered = helm.render({**HOST, "operatorTLS": {"enabled": operator_tls}})
        pod = rendered.one("Deployment", "scim-operator")["spec"]["template"]
        assert shown["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
        api = rendered.one("Deployment", "scim-operator-api")["spec"]["template"]
        assert (
            shown["egress"][-1]["to"][0]["podSelector"]["matchLabels"].items()
            <= api["metadata"]["labels"].items()
        )
        for variable in pod["spec"]["containers"][0]["env"]:
            if variable["name"] in ("SCIM_OPERATOR_ADMIN_URL", "SCIM_OPERATOR_SCIM_URL"):
                assert urlsplit(variable["value"]).port in opened

"""NetworkPolicies as rules of the kernel: who may talk to whom, as text."""

import re
from typing import Any

import pytest

from localcluster.node.policy import TABLE, block_networks, matches, ruleset

Object = dict[str, Any]
NAMESPACES: list[Object] = [
    {"metadata": {"name": "shop", "labels": {"kubernetes.io/metadata.name": "shop"}}},
    {"metadata": {"name": "ingress", "labels": {"kubernetes.io/metadata.name": "ingress", "team": "edge"}}},
]


def pod(address: str, namespace: str = "shop", *, ports: list[Object] | None = None, **labels: str) -> Object:
    return {
        "metadata": {"name": address, "namespace": namespace, "labels": labels},
        "spec": {"containers": [{"ports": ports or []}]},
        "status": {"podIP": address},
    }


def policy(namespace: str = "shop", *, selector: Object | None = None, **spec: Any) -> Object:
    types = [name for name in ("Ingress", "Egress") if name.lower() in spec]
    return {
        "metadata": {"name": "p", "namespace": namespace},
        "spec": {"podSelector": selector or {}, "policyTypes": types or ["Ingress"], **spec},
    }


API = pod("10.0.0.1", app="api", ports=[{"name": "http", "containerPort": 8080}])
WEB = pod("10.0.0.2", app="web")
PROXY = pod("10.0.0.3", "ingress", app="traefik")
PODS = [API, WEB, PROXY]
ONLY_API: Object = {"matchLabels": {"app": "api"}}


def chain(rules: str, name: str) -> list[str] | None:
    """The statements of one chain; None when it is not there."""
    found = re.search(rf"^chain {re.escape(name)} {{ (.*); }}$", rules, re.MULTILINE)
    return found[1].split("; ") if found else None


def ingress(*policies: Object, pods: list[Object] = PODS) -> list[str] | None:
    return chain(ruleset(pods, NAMESPACES, policies), "ingress-10.0.0.1")


def egress(*policies: Object, pods: list[Object] = PODS) -> list[str] | None:
    return chain(ruleset(pods, NAMESPACES, policies), "egress-10.0.0.1")


def test_without_a_policy_nothing_is_judged() -> None:
    rules = ruleset(PODS, NAMESPACES, [])
    assert "reject" not in rules
    assert "jump" not in rules


def test_the_table_is_replaced_in_one_step() -> None:
    assert ruleset([], [], []).startswith(f"table inet {TABLE} {{}}\ndelete table inet {TABLE}\n")


def test_a_policy_without_rules_lets_nobody_in_and_everything_out() -> None:
    rules = ruleset(PODS, NAMESPACES, [policy(selector=ONLY_API)])
    assert chain(rules, "ingress-10.0.0.1") == ["reject"]
    assert chain(rules, "egress-10.0.0.1") is None
    assert chain(rules, "ingress-10.0.0.2") is None
    assert rules.count("ip daddr 10.0.0.1 jump ingress-10.0.0.1") == 2  # forward and input
    assert "ip saddr" not in rules


def test_a_policy_judges_only_its_own_namespace() -> None:
    assert ingress(policy("ingress")) is None


def test_an_empty_rule_lets_everybody_in() -> None:
    assert ingress(policy(ingress=[{}])) == ["return", "reject"]


def test_answers_of_a_connection_that_was_let_through_pass() -> None:
    rules = ruleset(PODS, NAMESPACES, [policy(selector=ONLY_API)])
    for hook in ("forward", "input"):
        assert f"type filter hook {hook} priority 0; ct state established,related accept;" in rules


def test_a_pod_selector_means_pods_of_the_policys_namespace() -> None:
    found = ingress(policy(ingress=[{"from": [{"podSelector": {}}]}]))
    assert found == ["ip saddr { 10.0.0.1, 10.0.0.2 } return", "reject"]


def test_a_namespace_selector_means_all_pods_of_those_namespaces() -> None:
    found = ingress(policy(ingress=[{"from": [{"namespaceSelector": {"matchLabels": {"team": "edge"}}}]}]))
    assert found == ["ip saddr { 10.0.0.3 } return", "reject"]


def test_both_selectors_in_one_peer_must_match() -> None:
    everywhere: Object = {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "web"}}}
    assert ingress(policy(ingress=[{"from": [everywhere]}])) == ["ip saddr { 10.0.0.2 } return", "reject"]


def test_several_peers_are_alternatives() -> None:
    peers: list[Object] = [
        {"podSelector": {"matchLabels": {"app": "web"}}},
        {"ipBlock": {"cidr": "192.0.2.0/24"}},
    ]
    assert ingress(policy(ingress=[{"from": peers}])) == [
        "ip saddr { 10.0.0.2 } return",
        "ip saddr { 192.0.2.0/24 } return",
        "reject",
    ]


def test_a_peer_that_nobody_is_lets_nobody_in() -> None:
    nobody: Object = {"podSelector": {"matchLabels": {"app": "none"}}}
    assert ingress(policy(ingress=[{"from": [nobody]}])) == ["reject"]
    assert egress(policy(egress=[{"to": [nobody], "ports": [{"port": 80}]}])) == ["reject"]


def test_several_policies_add_up() -> None:
    found = ingress(
        policy(), policy(ingress=[{"ports": [{"port": 80}]}]), policy(ingress=[{"ports": [{"port": 81}]}])
    )
    assert found == ["tcp dport 80 return", "tcp dport 81 return", "reject"]


@pytest.mark.parametrize(
    ("port", "rule"),
    [
        ({"port": 8080}, "tcp dport 8080 return"),
        ({"port": 53, "protocol": "UDP"}, "udp dport 53 return"),
        ({"port": 8000, "endPort": 8100}, "tcp dport 8000-8100 return"),
        ({"protocol": "SCTP"}, "meta l4proto sctp return"),
        ({"port": "http"}, "tcp dport 8080 return"),
    ],
)
def test_ports_are_numbers_ranges_names_or_whole_protocols(port: Object, rule: str) -> None:
    assert ingress(policy(ingress=[{"ports": [port]}])) == [rule, "reject"]


def test_a_named_port_that_the_pod_does_not_have_opens_nothing() -> None:
    assert ingress(policy(ingress=[{"ports": [{"port": "metrics"}]}])) == ["reject"]
    assert ingress(policy(ingress=[{"ports": [{"port": "http", "protocol": "UDP"}]}])) == ["reject"]


def test_peers_and_ports_of_a_rule_must_both_match() -> None:
    rule: Object = {"from": [{"podSelector": {"matchLabels": {"app": "web"}}}], "ports": [{"port": "http"}]}
    assert ingress(policy(ingress=[rule])) == ["ip saddr { 10.0.0.2 } tcp dport 8080 return", "reject"]


def test_egress_is_judged_by_where_it_goes() -> None:
    rule: Object = {
        "to": [{"namespaceSelector": {"matchLabels": {"team": "edge"}}}],
        "ports": [{"port": 443}],
    }
    rules = ruleset(PODS, NAMESPACES, [policy(selector=ONLY_API, egress=[rule])])
    assert chain(rules, "egress-10.0.0.1") == ["ip daddr { 10.0.0.3 } tcp dport 443 return", "reject"]
    assert chain(rules, "ingress-10.0.0.1") is None
    assert "ip saddr 10.0.0.1 jump egress-10.0.0.1" in rules


def test_a_named_port_of_egress_is_each_destinations_own() -> None:
    other = pod("10.0.0.4", app="api", ports=[{"name": "http", "containerPort": 9090}])
    rule: Object = {"to": [{"podSelector": ONLY_API}], "ports": [{"port": "http"}]}
    found = egress(policy(selector=ONLY_API, egress=[rule]), pods=[*PODS, other])
    assert found == [
        "ip daddr 10.0.0.1 tcp dport 8080 return",
        "ip daddr 10.0.0.4 tcp dport 9090 return",
        "reject",
    ]


def test_egress_without_peers_goes_anywhere_on_those_ports() -> None:
    assert egress(policy(egress=[{"ports": [{"port": 53, "protocol": "UDP"}]}])) == [
        "udp dport 53 return",
        "reject",
    ]


def test_a_policy_that_names_a_type_without_rules_closes_it() -> None:
    closed = policy(policyTypes=["Ingress", "Egress"], ingress=[{}])
    assert ingress(closed) == ["return", "reject"]
    assert egress(closed) == ["reject"]


@pytest.mark.parametrize(
    ("block", "networks"),
    [
        ({"cidr": "10.0.0.0/30"}, ["10.0.0.0/30"]),
        ({"cidr": "10.0.0.0/30", "except": ["10.0.0.0/31"]}, ["10.0.0.2/31"]),
        ({"cidr": "10.0.0.0/29", "except": ["10.0.0.0/30", "10.0.0.6/31"]}, ["10.0.0.4/31"]),
        ({"cidr": "10.0.0.0/30", "except": ["10.0.0.0/30"]}, []),
        ({"cidr": "10.0.0.0/30", "except": ["10.0.0.0/29"]}, []),
        ({"cidr": "10.0.0.0/30", "except": ["192.0.2.0/24"]}, ["10.0.0.0/30"]),
        ({"cidr": "2001:db8::/32"}, []),
    ],
)
def test_a_block_is_what_its_exceptions_leave(block: Object, networks: list[str]) -> None:
    assert block_networks(block) == networks


@pytest.mark.parametrize(
    ("operator", "values", "selected"),
    [
        ("In", ["api", "web"], [True, False]),
        ("NotIn", ["api"], [False, True]),
        ("Exists", [], [True, False]),
        ("DoesNotExist", [], [False, True]),
    ],
)
def test_match_expressions(operator: str, values: list[str], selected: list[bool]) -> None:
    selector = {"matchExpressions": [{"key": "app", "operator": operator, "values": values}]}
    assert [matches(selector, {"app": "api"}), matches(selector, {"tier": "db"})] == selected


def test_labels_and_expressions_must_all_match() -> None:
    selector = {"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "b", "operator": "Exists"}]}
    assert matches(selector, {"a": "1", "b": "2"})
    assert not matches(selector, {"a": "1"})
    assert not matches(selector, {"a": "2", "b": "2"})
    assert matches({}, {})

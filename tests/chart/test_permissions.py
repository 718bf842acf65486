"""Nobody may do more than they need: the operator as dev/manifests/rbac.yaml has it, the Jobs what they are for."""

import re
from typing import Any

import pytest
import yaml

from support.chart import EVERYTHING, HOST, NAMESPACE, NAMESPACED, ROOT, Helm, Object, Rendered

MANIFEST = Rendered(
    [
        item
        for item in yaml.safe_load_all((ROOT / "dev/manifests/rbac.yaml").read_text(encoding="utf-8"))
        if item
    ]
)
CLUSTER = f"{NAMESPACE}:scim-operator"


def rules_bound_to(rendered: Rendered, account: str) -> dict[str, list[Any]]:
    """What a ServiceAccount of the release may do: namespace, or * for all, and the rules of each binding."""
    roles = {
        (role["kind"], role["metadata"].get("namespace"), role["metadata"]["name"]): role["rules"]
        for kind in ("ClusterRole", "Role")
        for role in rendered.of_kind(kind)
    }
    found: dict[str, list[Any]] = {}
    for binding in (*rendered.of_kind("ClusterRoleBinding"), *rendered.of_kind("RoleBinding")):
        if {"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE} not in binding["subjects"]:
            continue
        where = binding["metadata"].get("namespace")
        reference = binding["roleRef"]
        of = where if reference["kind"] == "Role" else None
        found.setdefault(where or "*", []).extend(roles[reference["kind"], of, reference["name"]])
    return found


def same(rules: list[Any]) -> list[str]:
    """Rules in an order of their own, to be compared."""
    return sorted(repr(sorted((key, tuple(value)) for key, value in rule.items())) for rule in rules)


def test_cluster_wide_the_operator_may_what_the_tests_run_it_with(helm: Helm) -> None:
    chart = rules_bound_to(helm.render(HOST), "scim-operator")
    tested = rules_bound_to(MANIFEST, "scim-operator")
    assert chart.keys() == tested.keys() == {"*", NAMESPACE}
    for where, rules in tested.items():
        assert same(chart[where]) == same(rules)


def test_with_named_namespaces_it_reads_secrets_there_and_nowhere_else(helm: Helm) -> None:
    chart = rules_bound_to(helm.render(NAMESPACED), "scim-operator")
    tested = rules_bound_to(MANIFEST, "scim-operator")
    secrets = MANIFEST.one("ClusterRole", "scim-operator-secrets")["rules"]
    assert chart.keys() == {"*", NAMESPACE, "team-a", "team-b"}
    assert same(chart["team-a"]) == same(chart["team-b"]) == same(secrets)
    assert same(chart["*"]) == same(MANIFEST.one("ClusterRole", "scim-operator")["rules"])
    assert same(chart[NAMESPACE]) == same(tested[NAMESPACE])
    assert not any("secrets" in rule["resources"] for rule in chart["*"])


@pytest.mark.parametrize(
    "values", [HOST, NAMESPACED, EVERYTHING], ids=["cluster-wide", "namespaced", "everything"]
)
def test_nobody_may_create_a_token_of_a_service_account(helm: Helm, values: Any) -> None:
    """The operator signs in to Entra as ServiceAccounts that somebody has bound it to, each by its name."""
    rendered = helm.render(values)
    for role in (*rendered.of_kind("ClusterRole"), *rendered.of_kind("Role")):
        for rule in role["rules"]:
            assert not {"serviceaccounts", "serviceaccounts/token"} & set(rule["resources"])


def test_the_example_binds_the_operator_of_a_release_scim_operator(helm: Helm) -> None:
    example = (ROOT / "examples/handover.yaml").read_text(encoding="utf-8")
    parts = Rendered(list(yaml.safe_load_all(example)))
    (subject,) = parts.one("RoleBinding", "entra-hand-over")["subjects"]
    account = helm.render(HOST).one("ServiceAccount", subject["name"], subject["namespace"])
    (selector,) = re.findall(r"get serviceaccounts -A -l (\S+)", example)
    assert (
        dict(item.split("=") for item in selector.split(",")).items() <= account["metadata"]["labels"].items()
    )


def test_no_rule_names_all_of_anything(helm: Helm) -> None:
    for kind in ("ClusterRole", "Role"):
        for role in helm.render(EVERYTHING).of_kind(kind):
            for rule in role["rules"]:
                assert "*" not in (*rule["apiGroups"], *rule["resources"], *rule["verbs"])


def test_only_the_operator_is_bound_cluster_wide(helm: Helm) -> None:
    for binding in helm.render(EVERYTHING).of_kind("ClusterRoleBinding"):
        assert [subject["name"] for subject in binding["subjects"]] == ["scim-operator-account"]


@pytest.mark.parametrize("values", [HOST, NAMESPACED], ids=["cluster-wide", "namespaced"])
def test_the_api_has_no_rights_and_mounts_no_token(helm: Helm, values: Any) -> None:
    rendered = helm.render(values)
    assert rules_bound_to(rendered, "scim-operator-api") == {}
    pod = rendered.one("Deployment", "scim-operator-api")["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == "scim-operator-api"
    assert pod["automountServiceAccountToken"] is False
    assert not any("projected" in volume for volume in pod["volumes"])


def test_what_delivers_webhooks_has_no_rights_and_mounts_no_token(helm: Helm) -> None:
    rendered = helm.render(EVERYTHING)
    account = rendered.one("ServiceAccount", "scim-operator-deliver")
    assert rules_bound_to(rendered, "scim-operator-deliver") == {}
    pod = rendered.one("Deployment", "scim-operator-deliver")["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == account["metadata"]["name"]
    assert pod["automountServiceAccountToken"] is False
    assert not any("projected" in volume for volume in pod["volumes"])


def test_no_account_mounts_its_token_where_nobody_asks_for_it(helm: Helm) -> None:
    for account in helm.render(EVERYTHING).of_kind("ServiceAccount"):
        assert account["automountServiceAccountToken"] is False


def test_what_applies_scim_tokens_may_do_that_in_their_namespaces_alone(helm: Helm) -> None:
    rules = rules_bound_to(helm.render(EVERYTHING), "scim-operator-scimtokens")
    expected = [
        {"apiGroups": ["scim-operator.io"], "resources": ["scimtokens"], "verbs": ["get", "create", "patch"]}
    ]
    assert rules == {NAMESPACE: expected, "sales": expected}


def test_the_self_test_reads_no_secret_but_its_own(helm: Helm) -> None:
    (where,) = (rules := rules_bound_to(helm.render(HOST), "scim-operator-self-test"))
    assert where == NAMESPACE
    secrets = [rule for rule in rules[where] if "secrets" in rule["resources"]]
    assert secrets == [
        {
            "apiGroups": [""],
            "resources": ["secrets"],
            "resourceNames": ["helm-test-scim-token"],
            "verbs": ["get"],
        }
    ]
    unnamed = [rule["verbs"] for rule in rules[where] if "resourceNames" not in rule]
    assert unnamed == [["create"]]


@pytest.mark.parametrize(
    ("settings", "namespace"),
    [
        ({}, NAMESPACE),
        ({"watchNamespaces": ["team-a", "team-b"]}, "team-a"),
        ({"watchNamespaces": ["team-a", NAMESPACE]}, NAMESPACE),
        ({"tests": {"namespace": "sales"}}, "sales"),
    ],
)
def test_the_self_test_is_where_an_operator_watches(
    helm: Helm, settings: dict[str, Any], namespace: str
) -> None:
    rendered = helm.render({**HOST, **settings})
    assert rules_bound_to(rendered, "scim-operator-self-test").keys() == {namespace}
    (container,) = rendered.one("Job", "scim-operator-self-test")["spec"]["template"]["spec"]["containers"]
    assert f"--namespace={namespace}" in container["args"]


def test_people_who_edit_a_namespace_edit_its_scim_tokens_and_webhooks_and_viewers_see_them(
    helm: Helm,
) -> None:
    rendered = helm.render(HOST)

    def aggregated(to: str) -> set[str]:
        roles: list[Object] = [
            role
            for role in rendered.of_kind("ClusterRole")
            if role["metadata"]["labels"].get(f"rbac.authorization.k8s.io/aggregate-to-{to}") == "true"
        ]
        for rule in (rule for role in roles for rule in role["rules"]):
            assert rule["apiGroups"] == ["scim-operator.io"]
            assert rule["resources"] == ["scimtokens", "scimwebhooks"]
        return {verb for role in roles for rule in role["rules"] for verb in rule["verbs"]}

    assert aggregated("view") == {"get", "list", "watch"}
    everything = {"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"}
    assert aggregated("edit") == aggregated("admin") == everything
    assert not any(
        "aggregate" in role["metadata"]["name"] for role in helm.render(NAMESPACED).of_kind("ClusterRole")
    )
    assert len(helm.render(NAMESPACED).of_kind("ClusterRole")) == 2

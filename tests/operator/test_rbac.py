"""What the operator's ServiceAccount may do, asked of the real authoriser. ``dev/manifests/rbac.yaml`` is applied."""

from collections.abc import AsyncIterator, Iterable

import pytest
import yaml
from kubernetes.aio import client

from localcluster import ControlPlane
from support.installed import OPERATOR_NAMESPACE, ROOT, client_of

RULES = [
    rule
    for document in yaml.safe_load_all((ROOT / "dev/manifests/rbac.yaml").read_text(encoding="utf-8"))
    for rule in document.get("rules", [])
]
Right = tuple[str, str, str]
"""Group/resource, verb, and the name it is limited to (empty: any)."""

EVERYWHERE: set[Right] = {
    *(("scim-operator.io/scimtokens", verb, "") for verb in ("get", "list", "watch", "patch")),
    ("scim-operator.io/scimtokens/status", "patch", ""),
    *(("/events", verb, "") for verb in ("get", "create", "patch")),
    *(("/secrets", verb, "") for verb in ("get", "list", "watch", "create", "patch", "delete")),
    ("/namespaces", "get", ""),
}
AT_HOME: set[Right] = {
    ("coordination.k8s.io/leases", "create", ""),
    *(("coordination.k8s.io/leases", verb, "scim-operator") for verb in ("get", "update")),
    ("/secrets", "create", ""),
    ("/secrets", "get", "scim-operator-admin-key"),
    *(("/secrets", verb, "scim-operator-api-tls") for verb in ("get", "update")),
    ("/configmaps", "create", ""),
    *(("/configmaps", verb, "scim-operator-admin-keys") for verb in ("get", "update")),
}


def rights(rules: Iterable[client.V1ResourceRule]) -> set[Right]:
    return {
        (f"{group}/{resource}", verb, name)
        for rule in rules
        for group in rule.api_groups or []
        for resource in rule.resources or []
        for verb in rule.verbs
        for name in rule.resource_names or [""]
    }


async def rights_in(namespace: str, api_client: client.ApiClient) -> set[Right]:
    """What whoever ``api_client`` stands for may do in ``namespace``."""
    review = await client.AuthorizationV1Api(api_client).create_self_subject_rules_review(
        client.V1SelfSubjectRulesReview(spec=client.V1SelfSubjectRulesReviewSpec(namespace=namespace))
    )
    assert review.status is not None
    assert not review.status.incomplete
    return rights(review.status.resource_rules)


@pytest.fixture
async def nobody_client(installed: ControlPlane, quiet_namespace: str) -> AsyncIterator[client.ApiClient]:
    """A ServiceAccount with no more rights than every one has."""
    installed.kubectl("create", "serviceaccount", "nobody", "-n", quiet_namespace)
    kubeconfig = installed.service_account_kubeconfig(quiet_namespace, "nobody")
    async with await client_of(kubeconfig) as api_client:
        yield api_client


@pytest.mark.parametrize(
    ("namespace_of", "expected"),
    [("elsewhere", EVERYWHERE), ("home", EVERYWHERE | AT_HOME)],
    ids=["elsewhere", "home"],
)
async def test_it_may_do_what_it_needs_and_nothing_else(
    operator_client: client.ApiClient,
    nobody_client: client.ApiClient,
    quiet_namespace: str,
    namespace_of: str,
    expected: set[Right],
) -> None:
    where = OPERATOR_NAMESPACE if namespace_of == "home" else quiet_namespace
    given = await rights_in(where, operator_client) - await rights_in(where, nobody_client)
    assert given == expected


@pytest.mark.parametrize(
    ("verb", "group", "resource", "where", "name"),
    [
        ("delete", "scim-operator.io", "scimtokens", "elsewhere", ""),
        ("create", "scim-operator.io", "scimtokens", "elsewhere", ""),
        ("update", "scim-operator.io", "scimtokens", "elsewhere", ""),
        ("get", "", "configmaps", "elsewhere", ""),
        ("list", "", "configmaps", "home", ""),
        ("get", "", "configmaps", "home", "another"),
        ("delete", "", "configmaps", "home", "scim-operator-admin-keys"),
        ("get", "", "pods", "home", ""),
        ("create", "", "pods", "home", ""),
        ("delete", "coordination.k8s.io", "leases", "home", "scim-operator"),
        ("update", "coordination.k8s.io", "leases", "home", "another"),
        ("update", "coordination.k8s.io", "leases", "elsewhere", "scim-operator"),
        ("create", "", "serviceaccounts/token", "home", "scim-operator"),
        ("escalate", "rbac.authorization.k8s.io", "clusterroles", "", ""),
        ("get", "", "nodes", "", ""),
        ("list", "", "namespaces", "", ""),
        ("get", "apiextensions.k8s.io", "customresourcedefinitions", "", ""),
        ("deletecollection", "", "secrets", "elsewhere", ""),
        ("impersonate", "", "users", "", ""),
    ],
)
async def test_it_may_not(
    operator_client: client.ApiClient,
    quiet_namespace: str,
    verb: str,
    group: str,
    resource: str,
    where: str,
    name: str,
) -> None:
    places = {"home": OPERATOR_NAMESPACE, "elsewhere": quiet_namespace, "": None}
    base, _, subresource = resource.partition("/")
    attributes = client.V1ResourceAttributes(
        verb=verb,
        group=group,
        resource=base,
        subresource=subresource or None,
        namespace=places[where],
        name=name or None,
    )
    review = await client.AuthorizationV1Api(operator_client).create_self_subject_access_review(
        client.V1SelfSubjectAccessReview(
            spec=client.V1SelfSubjectAccessReviewSpec(resource_attributes=attributes)
        )
    )
    assert review.status is not None
    assert not review.status.allowed


def test_no_rule_has_a_wildcard() -> None:
    assert all("*" not in values for rule in RULES for values in rule.values())


def test_kubectl_agrees(installed: ControlPlane, quiet_namespace: str) -> None:
    account = f"--as=system:serviceaccount:{OPERATOR_NAMESPACE}:scim-operator"

    def can(*what: str) -> str:
        return str(
            installed.kubectl("auth", "can-i", *what, account, "-n", quiet_namespace, check=False).stdout
        ).strip()

    assert can("patch", "scimtokens", "--subresource=status") == "yes"
    assert can("delete", "scimtokens") == "no"

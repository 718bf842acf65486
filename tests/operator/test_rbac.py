"""What the operator's ServiceAccount may do, asked of the real authoriser. ``dev/manifests/rbac.yaml`` is applied."""

import base64
import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
import yaml
from kubernetes.aio import client

from localcluster import ControlPlane
from support.installed import IDENTITY, OPERATOR_NAMESPACE, ROOT, client_of

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
    *(("scim-operator.io/scimwebhooks", verb, "") for verb in ("get", "list", "watch")),
    ("scim-operator.io/scimwebhooks/status", "patch", ""),
    *(("/events", verb, "") for verb in ("get", "create", "patch")),
    *(("/secrets", verb, "") for verb in ("get", "list", "watch", "create", "patch", "delete")),
    ("/namespaces", "get", ""),
}
AT_HOME: set[Right] = {
    ("coordination.k8s.io/leases", "create", ""),
    *(("coordination.k8s.io/leases", verb, "scim-operator") for verb in ("get", "update")),
    ("/secrets", "create", ""),
    *(("/secrets", "get", f"scim-operator-{kept}-key") for kept in ("admin", "webhook")),
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
        ("patch", "scim-operator.io", "scimwebhooks", "elsewhere", ""),
        ("delete", "scim-operator.io", "scimwebhooks", "elsewhere", ""),
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


# -- the identity for Entra, as examples/handover.yaml has it ------------------------------------------
AUDIENCE = "api://AzureADTokenExchange"


async def token_of(api_client: client.ApiClient, namespace: str, account: str) -> str:
    """A token for a ServiceAccount, as the operator asks for it."""
    request = client.AuthenticationV1TokenRequest(
        spec=client.V1TokenRequestSpec(audiences=[AUDIENCE], expiration_seconds=600)
    )
    created = await client.CoreV1Api(api_client).create_namespaced_service_account_token(
        account, namespace, request
    )
    assert created.status is not None
    return str(created.status.token)


def claims(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return decoded


async def test_with_the_examples_role_it_creates_tokens_for_that_service_account(
    operator_client: client.ApiClient, identity_namespace: str
) -> None:
    found = claims(await token_of(operator_client, identity_namespace, IDENTITY))
    assert found["sub"] == f"system:serviceaccount:{identity_namespace}:{IDENTITY}"
    assert found["aud"] == [AUDIENCE]


async def test_with_the_examples_role_it_creates_tokens_for_no_other_service_account(
    installed: ControlPlane,
    operator_client: client.ApiClient,
    identity_namespace: str,
    quiet_namespace: str,
) -> None:
    installed.kubectl("create", "serviceaccount", IDENTITY, "-n", quiet_namespace)
    installed.kubectl("create", "serviceaccount", "another", "-n", identity_namespace)
    for namespace, account in (
        (identity_namespace, "another"),
        (identity_namespace, "default"),
        (quiet_namespace, IDENTITY),
        (OPERATOR_NAMESPACE, "scim-operator"),
    ):
        with pytest.raises(client.ApiException) as refused:
            await token_of(operator_client, namespace, account)
        assert refused.value.status == 403, f"{namespace}/{account}"


async def test_the_identity_itself_may_do_nothing_in_kubernetes(
    installed: ControlPlane,
    nobody_client: client.ApiClient,
    identity_namespace: str,
) -> None:
    kubeconfig = installed.service_account_kubeconfig(identity_namespace, IDENTITY)
    async with await client_of(kubeconfig) as api_client:
        given = await rights_in(identity_namespace, api_client)
    assert given <= await rights_in(identity_namespace, nobody_client)

"""A ScimToken, or the whole namespace, goes: nothing is held for ever, whoever is missing at that moment."""

import json
from collections.abc import Iterator

import httpx
import pytest

from localcluster import ControlPlane, Tools
from support.stack import Stack, running, until

QUICK = {
    "SCIM_OPERATOR_RESYNC_SECONDS": "2",
    "SCIM_OPERATOR_LEASE_DURATION_SECONDS": "3",
    "SCIM_OPERATOR_LEASE_RENEW_DEADLINE_SECONDS": "2",
    "SCIM_OPERATOR_LEASE_RENEW_PERIOD_SECONDS": "0.5",
    "SCIM_OPERATOR_LEASE_RETRY_PERIOD_SECONDS": "0.2",
}
WATCHED = ("alpha", "beta", "gamma")
BINDING = """
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: scim-operator-secrets, namespace: {namespace}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: scim-operator-secrets}}
subjects: [{{kind: ServiceAccount, name: scim-operator, namespace: scim-system}}]
"""


@pytest.fixture(scope="module")
def bound(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """An installation that may touch Secrets in few namespaces only, by RoleBindings that lie in them."""
    settings = {**QUICK, "SCIM_OPERATOR_WATCH_NAMESPACES": ",".join(WATCHED)}
    with ControlPlane.start(tools) as plane:
        for namespace in WATCHED:
            plane.kubectl("create", "namespace", namespace)
            plane.kubectl("apply", "-f", "-", input=BINDING.format(namespace=namespace))
        stack = Stack(plane, tmp_path_factory.mktemp("bound"), operator_settings=settings)
        with running(stack):
            stack.kubectl("delete", "clusterrolebinding", "scim-operator-secrets")
            stack.operators[-1].stop()
            stack.start_operator()
            yield stack


def two(stack: Stack, namespace: str) -> list[str]:
    """One ScimToken of each policy; their tokens."""
    stack.apply(namespace, "kept", deletionPolicy="Retain")
    stack.apply(namespace, "erased", deletionPolicy="Delete")
    return [stack.wait_ready(namespace, name)["token"] for name in ("kept", "erased")]


def exists(stack: Stack, what: str, name: str, *more: str) -> bool:
    found = stack.control_plane.kubectl("get", what, name, *more, "--ignore-not-found", "-o", "name")
    return bool(found.stdout.strip())


def delete_namespace(stack: Stack, namespace: str) -> None:
    stack.kubectl("delete", "namespace", namespace, "--wait=false")


def until_namespace_gone(stack: Stack, namespace: str) -> None:
    until(
        f"namespace {namespace} is gone",
        lambda: not exists(stack, "namespace", namespace),
        60,
        lambda: stack.kubectl("get", "namespace", namespace, "-o", "jsonpath={.status}"),
    )


def people(stack: Stack, token: str, number: int) -> None:
    """Create people in bulk."""
    schema = "urn:ietf:params:scim:schemas:core:2.0:User"
    with httpx.Client(trust_env=False, timeout=30) as client:
        for index in range(number):
            name = f"person{index}@contoso.com"
            body = {"schemas": [schema], "userName": name, "emails": [{"type": "work", "value": name}]}
            answer = client.post(
                f"{stack.scim_url}/Users", json=body, headers={"authorization": f"Bearer {token}"}
            )
            assert answer.status_code == 201, answer.text


def test_a_namespace_goes_with_its_scimtokens_and_their_tokens_end(stack: Stack, doomed: str) -> None:
    tokens = two(stack, doomed)
    delete_namespace(stack, doomed)
    until_namespace_gone(stack, doomed)
    until("the tokens are refused", lambda: [stack.ask(token) for token in tokens] == [401, 401], 15)


def test_a_namespace_that_takes_the_rolebinding_along_goes_and_the_others_are_served_on(bound: Stack) -> None:
    tokens = two(bound, "alpha")
    stays = two(bound, "beta")
    delete_namespace(bound, "alpha")
    until_namespace_gone(bound, "alpha")
    until("the tokens are refused", lambda: [bound.ask(token) for token in tokens] == [401, 401], 15)
    bound.kubectl("annotate", "sct", "kept", "-n", "beta", "scim-operator.io/rotate=afterwards")
    until(
        "the other namespace is still served",
        lambda: bound.secret("beta", "kept-scim-token")["token"] != stays[0],
        20,
        lambda: bound.story("beta", "kept"),
    )
    bound.kubectl("delete", "secret", "erased-scim-token", "-n", "beta")
    until("its Secrets, too", lambda: bound.secret("beta", "erased-scim-token").get("token"), 20)


def test_the_rights_are_gone_before_the_scimtoken_and_it_goes_all_the_same(bound: Stack) -> None:
    token = two(bound, "gamma")[1]
    bound.kubectl("delete", "rolebinding", "scim-operator-secrets", "-n", "gamma")
    bound.kubectl("delete", "sct", "erased", "-n", "gamma", "--timeout=30s")
    assert bound.ask(token) == 401


def test_a_deletion_waits_for_the_api_says_so_and_can_be_forced(stack: Stack, namespace: str) -> None:
    token = two(stack, namespace)[1]
    assert stack.api is not None
    stack.api.kill()
    stack.kubectl("delete", "sct", "erased", "-n", namespace, "--wait=false")
    ready = until(
        "the condition says that the deletion waits",
        lambda: (found := stack.condition(namespace, "erased")).get("reason") == "DeletionBlocked" and found,
        shown=lambda: stack.story(namespace, "erased"),
    )
    assert "scim-operator.io/force-delete=true" in ready["message"]
    stack.kubectl("annotate", "sct", "erased", "-n", namespace, "scim-operator.io/force-delete=true")
    until("it is let go", lambda: not exists(stack, "sct", "erased", "-n", namespace))
    stack.start_api()
    until("the API ends its token", lambda: stack.ask(token) == 401, 70)


def test_a_namespace_deleted_while_no_operator_runs_goes_when_one_is_back(lonely: Stack, doomed: str) -> None:
    lonely.start_operator()
    two(lonely, doomed)
    lonely.operators[-1].stop()
    delete_namespace(lonely, doomed)
    until("only the finalizer holds it", lambda: not exists(lonely, "sct", "kept", "-n", doomed), 60)
    assert exists(lonely, "sct", "erased", "-n", doomed)
    lonely.start_operator()
    until_namespace_gone(lonely, doomed)


def test_after_release_the_operator_can_go_first_and_nothing_is_held(lonely: Stack, doomed: str) -> None:
    """With an operator that still runs at that moment, as in an uninstallation."""
    operator = lonely.start_operator()
    two(lonely, doomed)
    releasing = lonely.start_operator(command="release", wait=False)
    assert releasing.wait_end(60) == 0, releasing.log_text()
    assert "finalizer taken off 1 ScimTokens" in releasing.log_text()
    lonely.kubectl("label", "sct", "erased", "-n", doomed, "touched=yes")
    assert operator.running
    assert "finalizers" not in lonely.object(doomed, "erased")["metadata"]
    operator.stop()
    delete_namespace(lonely, doomed)
    until_namespace_gone(lonely, doomed)


def test_people_are_erased_to_the_last_although_the_api_and_the_operator_are_killed_meanwhile(
    lonely: Stack, namespace: str
) -> None:
    operator = lonely.start_operator()
    lonely.apply(namespace, "erased", deletionPolicy="Delete")
    people(lonely, lonely.wait_ready(namespace, "erased")["token"], 20)
    assert lonely.api is not None
    operator.stop()
    dying = lonely.start_operator(crash_at="set-finalizer", wait=False)
    lonely.kubectl("delete", "sct", "erased", "-n", namespace, "--wait=false")
    assert dying.wait_end(60) == -9
    lonely.api.kill()
    lonely.start_api()
    lonely.start_operator()
    until("it is gone", lambda: not exists(lonely, "sct", "erased", "-n", namespace), 60)
    lonely.apply(namespace, "erased", deletionPolicy="Delete")
    token = lonely.wait_ready(namespace, "erased")["token"]
    answer = httpx.get(
        f"{lonely.scim_url}/Users", headers={"authorization": f"Bearer {token}"}, trust_env=False
    )
    assert json.loads(answer.content)["totalResults"] == 0

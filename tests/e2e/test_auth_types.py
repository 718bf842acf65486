"""``spec.auth`` on the real thing: another type, a trust that changes, and what the service then holds."""

import json
from datetime import datetime
from typing import Any

from support.stack import Stack, until

NAME = "entra"
TENANT = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"


def identity(*subjects: str) -> dict[str, Any]:
    wanted = {"tenantID": TENANT, "subjects": subjects, "audiences": ["api://app/.default"]}
    return {"type": "WorkloadIdentity", "workloadIdentity": wanted}


def listed(stack: Stack, namespace: str) -> list[tuple[str, str]]:
    tokens = stack.object(namespace, NAME)["status"]["tokens"]
    return [(item["kind"], item["state"]) for item in tokens]


def events(stack: Stack, namespace: str) -> list[str]:
    found = json.loads(stack.kubectl("get", "events", "-n", namespace, "-o", "json"))["items"]
    return [item["reason"] for item in found]


def test_from_a_token_to_a_workload_identity_and_back_nothing_is_refused(
    stack: Stack, namespace: str
) -> None:
    stack.apply(namespace, NAME)
    token = stack.wait_ready(namespace, NAME)["token"]
    stack.apply(namespace, NAME, auth=identity("s1"))
    secret = stack.wait_ready(namespace, NAME)
    assert secret.keys() == {"endpoint", "token-endpoint", "client-id"}
    assert secret["token-endpoint"] == secret["endpoint"].replace("/scim/v2", "/oauth2/token")
    assert stack.ask(token) == 200
    assert listed(stack, namespace) == [("WorkloadIdentity", "Active"), ("BearerToken", "Superseded")]
    assert "Test Connection in Entra" in stack.condition(namespace, NAME, "Published")["message"]
    assert stack.condition(namespace, NAME, "SignInRefused")["status"] == "False"
    stack.kubectl("delete", "secret", f"{NAME}-scim-token", "-n", namespace)
    until(
        "the Secret is back with the same client id",
        lambda: stack.secret(namespace, f"{NAME}-scim-token") == secret,
        shown=lambda: stack.story(namespace, NAME),
    )
    stack.apply(namespace, NAME)
    back = stack.wait_ready(namespace, NAME)
    assert back.keys() == {"endpoint", "token", "token-id", "expires-at"}
    assert [stack.ask(token), stack.ask(back["token"])] == [200, 200]
    assert "AuthTypeChanged" in events(stack, namespace)


def test_a_trust_that_takes_more_leaves_the_former_and_one_that_takes_less_ends_it(
    stack: Stack, namespace: str
) -> None:
    stack.apply(namespace, NAME, auth=identity("s1"))
    secret = stack.wait_ready(namespace, NAME)
    stack.apply(namespace, NAME, auth=identity("s1", "s2"))
    assert stack.wait_ready(namespace, NAME) == secret
    assert listed(stack, namespace) == [("WorkloadIdentity", "Active"), ("WorkloadIdentity", "Superseded")]
    _, former = stack.object(namespace, NAME)["status"]["tokens"]
    left = datetime.fromisoformat(former["expiresAt"]) - datetime.fromisoformat(former["issuedAt"])
    assert 6 * 3600 <= left.total_seconds() < 6 * 3600 + 120
    stack.apply(namespace, NAME, auth=identity("s2"))
    assert stack.wait_ready(namespace, NAME) == secret
    assert listed(stack, namespace) == [
        ("WorkloadIdentity", "Active"),
        ("WorkloadIdentity", "Revoked"),
        ("WorkloadIdentity", "Revoked"),
    ]
    assert {"TrustChanged", "Revoked"} <= set(events(stack, namespace))

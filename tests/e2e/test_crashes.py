"""The operator killed with SIGKILL between any two of its steps, then another one finishes the job."""

import base64
import json
import sqlite3
from collections.abc import Callable

import pytest

from scim_operator.api.scimtoken import TOKENS_ANNOTATION
from support.stack import NotInTime, Stack, until

ISSUE_STEPS = [
    "get-connection",
    "read-token",
    "read-secret",
    "list-secrets",
    "write-next-token",
    "put-connection",
    "verify",
    "promote",
    "apply-status",
]
NAME = "crash"


def record_ids(stack: Stack, namespace: str) -> set[str]:
    """What the Secret's annotation says lives."""
    secret = json.loads(stack.kubectl("get", "secret", f"{NAME}-scim-token", "-n", namespace, "-o", "json"))
    return {item["id"] for item in json.loads(secret["metadata"]["annotations"][TOKENS_ANNOTATION])["tokens"]}


def status_ids(stack: Stack, namespace: str) -> set[str]:
    """What the status shows."""
    return {item["id"] for item in stack.object(namespace, NAME)["status"].get("tokens", [])}


def accepted_ids(stack: Stack, namespace: str) -> set[str]:
    """What the API's database accepts."""
    query = (
        "SELECT credential.id FROM credential JOIN connection ON connection.pk = credential.connection"
        " WHERE namespace = ? AND name = ? AND revoked_at IS NULL AND kind <> 'AccessToken'"
    )
    with sqlite3.connect(stack.directory / "scim.db") as database:
        return {row[0] for row in database.execute(query, (namespace, NAME))}


def crash_then_recover(
    stack: Stack,
    namespace: str,
    step: str,
    cause: Callable[[], None],
    finished: Callable[[], bool] = lambda: True,
) -> None:
    """Let an operator die at ``step`` of what ``cause`` makes it do, and start another, until ``finished``."""
    crashing = stack.start_operator(crash_at=step, wait=False)
    cause()
    code = crashing.wait_end(60)
    assert code == -9, crashing.log_text()
    stack.start_operator()
    until("the other finishes the job", finished, shown=lambda: stack.story(namespace, NAME))
    stack.wait_ready(namespace, NAME)
    until("the status tells of it", lambda: status_ids(stack, namespace) == record_ids(stack, namespace))
    until(
        "no rotation is left half done",
        lambda: (
            not stack.secret(namespace, f"{NAME}-scim-token").keys() & {"next-token", "next-client-secret"}
        ),
    )
    secret = stack.secret(namespace, f"{NAME}-scim-token")
    status = stack.object(namespace, NAME)["status"]
    active = [item["id"] for item in status["tokens"] if item["state"] == "Active"]
    assert len(active) == 1
    if "token" in secret:
        assert stack.ask(secret["token"]) == 200
        assert active == [secret["token-id"]]
    elif "client-secret" in secret:
        assert stack.sign_in(secret).status_code == 200
        assert active == [secret["client-secret-id"]]
    assert (
        accepted_ids(stack, namespace)
        == record_ids(stack, namespace)
        == {item["id"] for item in status["tokens"]}
    )


@pytest.mark.parametrize("step", ISSUE_STEPS)
def test_an_operator_killed_while_it_issues_the_first_token_is_followed_by_one_that_finishes(
    lonely: Stack, namespace: str, step: str
) -> None:
    crash_then_recover(lonely, namespace, step, lambda: lonely.apply(namespace, NAME))


def issued(stack: Stack, namespace: str) -> str:
    """A first token, and no operator any more: what the next one finds to do, it does first."""
    stack.start_operator()
    stack.apply(namespace, NAME)
    token = stack.wait_ready(namespace, NAME)["token"]
    stack.stop_operators()
    return token


@pytest.mark.parametrize("step", ["write-next-token", "put-connection", "verify", "promote", "apply-status"])
def test_an_operator_killed_while_it_rotates_leaves_the_old_token_working(
    lonely: Stack, namespace: str, step: str
) -> None:
    first = issued(lonely, namespace)

    lonely.kubectl("annotate", "sct", NAME, "-n", namespace, "scim-operator.io/rotate=now")

    def rotated() -> bool:
        secret = lonely.secret(namespace, f"{NAME}-scim-token")
        return secret["token"] != first and "next-token" not in secret

    crash_then_recover(lonely, namespace, step, lambda: None, rotated)
    assert lonely.ask(first) == 200
    states = sorted(item["state"] for item in lonely.object(namespace, NAME)["status"]["tokens"])
    assert states == ["Active", "Superseded"]


def test_the_tests_wait_while_the_status_tells_of_another_token_than_the_secret_holds(
    lonely: Stack, namespace: str
) -> None:
    """As between the two writes of a rotation. It is no new generation, so that Ready says nothing of it."""
    lonely.start_operator()
    lonely.apply(namespace, NAME)
    lonely.wait_ready(namespace, NAME)
    lonely.stop_operators()
    patch = json.dumps({"data": {"token-id": base64.b64encode(b"another").decode()}})
    lonely.kubectl("patch", "secret", f"{NAME}-scim-token", "-n", namespace, "--type=merge", "-p", patch)
    with pytest.raises(NotInTime, match="is Ready"):
        lonely.wait_ready(namespace, NAME, 1)


TYPES = {
    "OAuthClientCredentials": {
        "endpoint",
        "token-endpoint",
        "client-id",
        "client-secret",
        "client-secret-id",
        "expires-at",
    },
    "WorkloadIdentity": {"endpoint", "token-endpoint", "client-id"},
}
TRUST = {
    "tenantID": "0f0e0d0c-0b0a-0908-0706-050403020100",
    "subjects": ["11111111-2222-3333-4444-555555555555"],
    "audiences": ["api://an-app"],
}


@pytest.mark.parametrize("wanted", TYPES)
@pytest.mark.parametrize("step", ["write-next-token", "put-connection", "promote"])
def test_an_operator_killed_while_the_sign_in_changes_its_type_leaves_the_old_token_working(
    lonely: Stack, namespace: str, step: str, wanted: str
) -> None:
    first = issued(lonely, namespace)
    auth = {"type": wanted, **({"workloadIdentity": TRUST} if wanted == "WorkloadIdentity" else {})}
    lonely.apply(namespace, NAME, auth=auth)

    def changed() -> bool:
        return lonely.secret(namespace, f"{NAME}-scim-token").keys() == TYPES[wanted]

    crash_then_recover(lonely, namespace, step, lambda: None, changed)
    assert lonely.ask(first) == 200
    listed = lonely.object(namespace, NAME)["status"]["tokens"]
    assert sorted((item["kind"], item["state"]) for item in listed) == sorted(
        [("BearerToken", "Superseded"), ("ClientSecret" if "OAuth" in wanted else wanted, "Active")]
    )

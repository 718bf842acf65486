"""What is told before anything fails, on the real thing: an old token in use, an endpoint out of reach."""

from collections.abc import Iterator

import httpx
import pytest

from support.processes import Process
from support.stack import Stack, until

NAME = "entra"
IN_USE, REACHABLE = "SupersededTokenInUse", "EndpointReachable"


@pytest.fixture(scope="module")
def watchful(stack: Stack) -> Iterator[Process]:
    """An operator that checks the endpoint every second; afterwards the usual one."""
    for operator in stack.operators:
        if operator.running:
            operator.stop()
    operator = stack.start_operator(environment={"SCIM_OPERATOR_ENDPOINT_CHECK_SECONDS": "1"})
    yield operator
    operator.stop()
    stack.start_operator()


def metrics(operator: Process) -> str:
    return httpx.get(operator.ready_url.replace("/readyz", "/metrics"), trust_env=False).text


def come(stack: Stack, token: str) -> None:
    """A request of Entra's."""
    headers = {"authorization": f"Bearer {token}", "user-agent": "Azure-AD-SCIM/1.0"}
    answer = httpx.get(f"{stack.scim_url}/Users?count=0", headers=headers, trust_env=False)
    assert answer.status_code == 200


def test_who_still_uses_the_old_token_is_told_before_it_ends_and_the_metric_says_the_same(
    stack: Stack, watchful: Process, namespace: str
) -> None:
    stack.apply(namespace, NAME, overlap="20s")
    old = stack.wait_ready(namespace, NAME)["token"]
    stack.kubectl("annotate", "sct", NAME, "-n", namespace, "scim-operator.io/rotate=now")
    until("rotated", lambda: stack.secret(namespace, f"{NAME}-scim-token")["token"] != old)
    come(stack, old)
    assert stack.condition(namespace, NAME, IN_USE)["status"] == "False"
    warning = until(
        "it is told in the last quarter",
        lambda: (found := stack.condition(namespace, NAME, IN_USE))["status"] == "True" and found,
        30,
        lambda: stack.story(namespace, NAME),
    )
    assert stack.ask(old) == 200
    assert warning["message"].startswith("Azure-AD-SCIM came with token ")
    assert f"Secret {namespace}/{NAME}-scim-token" in warning["message"]
    assert old not in warning["message"]
    mine = f'scim_operator_superseded_token_in_use{{name="{NAME}",namespace="{namespace}"}} 1.0'
    until("the metric says so", lambda: mine in metrics(watchful))
    events = stack.kubectl("get", "events", "-n", namespace, f"--field-selector=reason={IN_USE},type=Warning")
    assert "paste key token" in events
    until("it is over", lambda: stack.condition(namespace, NAME, IN_USE)["status"] == "False", 30)
    assert stack.condition(namespace, NAME)["status"] == "True"
    until("the metric, too", lambda: mine not in metrics(watchful))


def test_an_endpoint_out_of_reach_is_told_and_found_again(
    stack: Stack, watchful: Process, namespace: str
) -> None:
    stack.apply(namespace, NAME)
    stack.wait_ready(namespace, NAME)
    until("it is reachable", lambda: stack.condition(namespace, NAME, REACHABLE)["status"] == "True")
    assert 'scim_operator_endpoint_reachable{reason="Reachable"} 1.0' in metrics(watchful)
    assert stack.api is not None
    stack.api.kill()
    try:
        refused = 'scim_operator_endpoint_reachable{reason="ConnectionRefused"} 0.0'
        until("nobody listens there", lambda: refused in metrics(watchful))
        until(
            "its status says so, too",
            lambda: stack.condition(namespace, NAME, REACHABLE)["reason"] == "ConnectionRefused",
            shown=lambda: stack.story(namespace, NAME),
        )
    finally:
        stack.start_api()
    until("it is found again", lambda: stack.condition(namespace, NAME, REACHABLE)["status"] == "True")

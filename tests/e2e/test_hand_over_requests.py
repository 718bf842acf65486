"""What handing over asks of Microsoft, by the stand-in's log; and what it asks of nobody, without an application or egress."""

import contextlib
import itertools
import re
import socket
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest

from demo.processes import Process
from entra_standin.graph import MicrosoftCloud
from support.hand_over import ACCOUNT, SETTINGS, Handing, directly, grant_tokens, microsoft
from support.stack import Stack, until

NAMES = ("one", "two", "three")
EACH = {"jobs": 1, "validateCredentials": 2, "secrets": 1, "save": 1}
"""Requests to Graph for each credential, by the operator's own names."""


def rarely(cloud: MicrosoftCloud) -> Mapping[str, str]:
    """With a day between looks at a job, so that what is counted is what hand-overs ask."""
    return {**SETTINGS, **directly(cloud), "SCIM_OPERATOR_ENTRA_CHECK_SECONDS": "86400"}


@pytest.fixture(scope="module")
def cloud(stack: Stack) -> Iterator[MicrosoftCloud]:
    with microsoft(stack, rarely) as cloud:
        yield cloud


@pytest.fixture
def handed_over(stack: Stack, cloud: MicrosoftCloud, namespace: str) -> Iterator[Handing]:
    """Three ScimTokens with an application each and one identity."""
    made = Handing(stack, cloud, namespace)
    made.grant()
    cloud.requests.clear()
    for name in NAMES:
        principal = made.tenant.add_application().service_principal_id
        stack.apply(namespace, name, entra=made.spec(servicePrincipalID=principal))
    for name in NAMES:
        wait_in_use(stack, namespace, name)
    yield made
    for name in NAMES:
        stack.kubectl("delete", "sct", name, "-n", namespace)


def wait_in_use(stack: Stack, namespace: str, name: str, after: str = "") -> str:
    """Wait until Entra uses what the Secret publishes; its id."""

    def done() -> str | None:
        published = stack.secret(namespace, f"{name}-scim-token").get("token-id", after)
        given = stack.object(namespace, name).get("status", {}).get("entra", {}).get("handedOver", {})
        return published if published != after and given.get("credentialID") == published and "inUseAt" in given else None  # fmt: skip

    found: str = until(f"Entra uses {name}'s", done, 45, lambda: stack.story(namespace, name))
    return found


def rotate(stack: Stack, namespace: str, name: str, value: str) -> str:
    """Ask for a rotation, and wait for it; the new token's id."""
    secret = f"{name}-scim-token"
    before = stack.secret(namespace, secret)["token-id"]
    stack.kubectl("annotate", "sct", name, "-n", namespace, f"scim-operator.io/rotate={value}", "--overwrite")
    found: str = until(
        "another token",
        lambda: (now := stack.secret(namespace, secret)["token-id"]) != before and now,
        45,
        lambda: stack.story(namespace, name),
    )
    return found


def asked(cloud: MicrosoftCloud) -> Counter[str]:
    """Requests by what they are for, as the stand-in has logged them."""
    found: Counter[str] = Counter()
    for one in list(cloud.requests.log):
        last = one.path.rpartition("/")[2]
        found[{"token": "sign-in"}.get(last, "save" if one.method == "PUT" else last)] += 1
    return found


def metric(operator: Process, name: str) -> dict[str, float]:
    """Samples of a metric of the operator, by labels."""
    text = httpx.get(operator.ready_url.replace("/readyz", "/metrics"), trust_env=False, timeout=30).text
    return {
        labels: float(value)
        for labels, value in re.findall(rf"^{name}(\S*) ([0-9.e+]+)$", text, re.MULTILINE)
    }


def times(number: int, sign_ins: int = 0) -> dict[str, int]:
    """So many hand-overs."""
    return {call: number * each for call, each in EACH.items()} | ({"sign-in": sign_ins} if sign_ins else {})


def test_each_hand_over_is_five_requests_and_a_restart_hands_nothing_over_again(
    stack: Stack, cloud: MicrosoftCloud, handed_over: Handing
) -> None:
    assert asked(cloud) == times(3, sign_ins=1)
    counted = metric(stack.operators[-1], "scim_operator_entra_requests_total")
    for call, number in {**EACH, "sign-in": 1 / 3}.items():
        assert counted[f'{{operation="{call}",outcome="success"}}'] >= 3 * number

    cloud.requests.clear()
    rotate(stack, handed_over.namespace, "one", "1")
    wait_in_use(stack, handed_over.namespace, "one")
    assert asked(cloud) == times(1)

    # A new process has no access token. It takes them all up before the one that is rotated then.
    cloud.requests.clear()
    stack.stop_operators()
    again = stack.start_operator(environment=rarely(cloud))
    until(
        "all are looked at",
        lambda: sum(metric(again, "scim_operator_entra_reconcile_total").values()) >= len(NAMES),
    )
    assert asked(cloud) == {}
    rotate(stack, handed_over.namespace, "two", "1")
    wait_in_use(stack, handed_over.namespace, "two")
    assert asked(cloud) == times(1, sign_ins=1)


def test_without_an_application_nothing_is_asked_and_no_pass_is_made(
    stack: Stack, cloud: MicrosoftCloud, namespace: str
) -> None:
    # A process of its own: the one before may still look at what is deleted.
    stack.stop_operators()
    operator = stack.start_operator(environment=rarely(cloud))
    passes = metric(operator, "scim_operator_entra_reconcile_total")
    depth = metric(operator, "scim_operator_entra_workqueue_depth")
    cloud.requests.clear()
    stack.apply(namespace, "plain")
    stack.wait_ready(namespace, "plain")
    rotate(stack, namespace, "plain", "1")
    stack.wait_ready(namespace, "plain")
    assert asked(cloud) == {}
    # Whatever a hand-over asks of Kubernetes and of the admin API it asks in a pass.
    assert metric(operator, "scim_operator_entra_reconcile_total") == passes
    assert metric(operator, "scim_operator_entra_workqueue_depth") == depth


class Silent:
    """Takes connections and answers nothing, as behind a NetworkPolicy without egress."""

    def __init__(self, server: socket.socket) -> None:
        self.url = f"http://127.0.0.1:{server.getsockname()[1]}"
        self._server, self._taken = server, list[socket.socket]()

    def waiting(self) -> list[socket.socket]:
        """The connections on which somebody waits for an answer."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self._taken.append(self._server.accept()[0])
        return [taken for taken in self._taken if _is_open(taken)]

    def close(self) -> None:
        """Hang up."""
        for taken in self._taken:
            taken.close()


def _is_open(taken: socket.socket) -> bool:
    taken.setblocking(False)
    try:
        while taken.recv(65_536):
            pass
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


@pytest.fixture
def silent() -> Iterator[Silent]:
    with socket.create_server(("127.0.0.1", 0), backlog=200) as server:
        server.setblocking(False)
        made = Silent(server)
        yield made
        made.close()


def test_without_egress_to_microsoft_everything_else_goes_on(
    stack: Stack, namespace: str, silent: Silent
) -> None:
    stack.stop_operators()
    settings = {
        "SCIM_OPERATOR_ENTRA_LOGIN_URL": silent.url,
        "SCIM_OPERATOR_ENTRA_GRAPH_URL": silent.url,
        "SCIM_OPERATOR_ENTRA_WORKERS": "1",
        "SCIM_OPERATOR_WORKERS": "1",
    }
    operator = stack.start_operator(environment=settings)
    stack.kubectl("create", "serviceaccount", ACCOUNT, "-n", namespace)
    spec: dict[str, Any] = {
        "tenantID": "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
        "servicePrincipalID": "7a1f6c52-6d0e-4a53-8a5e-5b0f2f0e9d0a",
        "signIn": {
            "clientID": "0c9e37a2-5b0f-4b8e-9d0a-2d1f6a0c9e37",
            "serviceAccountRef": {"name": ACCOUNT},
        },
    }
    grant_tokens(stack, namespace)
    stack.apply(namespace, "plain")
    stack.apply(namespace, "entra", entra=spec)
    for name in ("entra", "plain"):
        stack.wait_ready(namespace, name)

    numbers = itertools.count()

    def rotated_while_it_waited() -> bool:
        before = silent.waiting()
        if not before:
            return False
        for name in ("plain", "entra"):
            rotate(stack, namespace, name, str(next(numbers)))
        return any(taken in before for taken in silent.waiting())

    until(
        "both tokens rotate while the one worker for Entra waits for the login",
        rotated_while_it_waited,
        90,
        lambda: stack.story(namespace, "entra"),
    )
    until(
        "it is told",
        lambda: stack.condition(namespace, "entra", "HandedOver").get("reason") == "GraphUnreachable",
        45,
        lambda: stack.story(namespace, "entra"),
    )
    for probe in ("/readyz", "/healthz"):
        assert httpx.get(operator.ready_url.replace("/readyz", probe), trust_env=False).status_code == 200
    stack.kubectl("delete", "sct", "entra", "plain", "-n", namespace)

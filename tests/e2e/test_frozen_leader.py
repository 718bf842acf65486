"""A leader that is frozen in the middle of its work: another takes over, and the one that wakes changes nothing."""

import dataclasses
import json
import signal
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from support import plain_http
from support.processes import Process
from support.stack import Stack, until

NAME = "entra"
SECRET = f"{NAME}-scim-token"
LEASE = {
    "SCIM_OPERATOR_LEASE_DURATION_SECONDS": "2",
    "SCIM_OPERATOR_LEASE_RENEW_DEADLINE_SECONDS": "1",
    "SCIM_OPERATOR_LEASE_RENEW_PERIOD_SECONDS": "0.3",
    "SCIM_OPERATOR_LEASE_RETRY_PERIOD_SECONDS": "0.1",
}


@dataclasses.dataclass
class Replica:
    """One of two operators, which can be told where to freeze."""

    process: Process
    order: Path

    def freeze_at(self, step: str) -> None:
        """At the next time that it reaches this step."""
        fresh = self.order.with_suffix(".new")
        fresh.write_text(step, encoding="ascii")
        fresh.replace(self.order)

    def metric(self, name: str) -> float:
        """Sum over all labels; 0 while it does not answer."""
        try:
            text = plain_http.get(self.process.ready_url.replace("/readyz", "/metrics")).text
        except httpx.HTTPError:
            return 0.0
        return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))

    @property
    def leads(self) -> bool:
        return self.metric("scim_operator_leader ") == 1

    @property
    def ended(self) -> float:
        """How many reconciles have come to their end."""
        return self.metric("scim_operator_reconcile_total")


@pytest.fixture(scope="module")
def replicas(stack: Stack) -> Iterator[list[Replica]]:
    """Two operators and no other: one leads, one stands by, and the tests make them change places."""
    stop_all(stack)
    pair = []
    for number in range(2):
        order = stack.directory / f"freeze-{number}"
        pair.append(Replica(stack.start_operator(freeze_by=order, environment=LEASE), order))
    yield pair
    stop_all(stack)
    stack.start_operator()


def stop_all(stack: Stack) -> None:
    for operator in stack.operators:
        if operator.running:
            operator.signal(signal.SIGCONT)
            operator.stop()


def frozen(process: Process) -> bool:
    """Whether the kernel has stopped it."""
    state = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    return state == "T"


def everything(stack: Stack, namespace: str) -> dict[str, Any]:
    """All that an operator can change about it."""
    with sqlite3.connect(stack.directory / "scim.db") as database:
        connection = database.execute(
            "SELECT * FROM connection WHERE namespace = ? AND name = ?", (namespace, NAME)
        ).fetchall()
        credentials = database.execute(
            "SELECT credential.id, credential.retires_at, credential.revoked_at FROM credential"
            " JOIN connection ON connection.pk = credential.connection WHERE namespace = ?",
            (namespace,),
        ).fetchall()
    return {
        "ScimToken": stack.object(namespace, NAME),
        "Secret": json.loads(stack.kubectl("get", "secret", SECRET, "-n", namespace, "-o", "json")),
        "connection": connection,
        "credentials": sorted(credentials),
    }


def in_order(stack: Stack, namespace: str, tokens: int) -> bool:
    """Ready, all told, nothing half done."""
    status = stack.object(namespace, NAME).get("status", {})
    conditions = {one["type"]: one["status"] for one in status.get("conditions", [])}
    return (
        conditions.get("Ready") == conditions.get("EndpointReachable") == "True"
        and len(status.get("tokens", [])) == tokens
        and "next-token" not in stack.secret(namespace, SECRET)
    )


def freeze_take_over_and_wake(
    stack: Stack, replicas: list[Replica], namespace: str, step: str, cause: Callable[[], object], tokens: int
) -> None:
    """The leader is frozen at ``step`` of what ``cause`` makes it do; there are so many tokens in the end."""

    def story() -> str:
        return stack.story(namespace, NAME)

    until("one of them leads", lambda: any(replica.leads for replica in replicas), 30, story)
    sleeper, heir = sorted(replicas, key=lambda replica: not replica.leads)
    ended = sleeper.ended
    sleeper.freeze_at(step)
    cause()
    until(f"it is frozen at {step}", lambda: frozen(sleeper.process), 30, story)
    until("the other finishes the job", lambda: in_order(stack, namespace, tokens), 30, story)
    assert heir.leads
    before = everything(stack, namespace)
    sleeper.process.signal(signal.SIGCONT)
    until(
        "what it was about has come to its end",
        lambda: sleeper.ended > ended and not sleeper.leads,
        30,
        story,
    )
    assert everything(stack, namespace) == before


@pytest.mark.parametrize(
    "step",
    ["read-token", "read-secret", "write-next-token", "put-connection", "verify", "promote", "apply-status"],
)
def test_a_leader_frozen_while_it_issues_changes_nothing_when_it_wakes(
    stack: Stack, replicas: list[Replica], namespace: str, step: str
) -> None:
    freeze_take_over_and_wake(stack, replicas, namespace, step, lambda: stack.apply(namespace, NAME), 1)
    assert stack.ask(stack.secret(namespace, SECRET)["token"]) == 200


@pytest.mark.parametrize("step", ["write-next-token", "put-connection", "promote"])
def test_a_leader_frozen_while_it_rotates_changes_nothing_when_it_wakes(
    stack: Stack, replicas: list[Replica], namespace: str, step: str
) -> None:
    stack.apply(namespace, NAME)
    until("all is in order", lambda: in_order(stack, namespace, 1), 30, lambda: stack.story(namespace, NAME))
    first = stack.secret(namespace, SECRET)["token"]
    rotate = ("annotate", "sct", NAME, "-n", namespace, "scim-operator.io/rotate=now")
    freeze_take_over_and_wake(stack, replicas, namespace, step, lambda: stack.kubectl(*rotate), 2)
    second = stack.secret(namespace, SECRET)["token"]
    assert second != first
    assert (stack.ask(first), stack.ask(second)) == (200, 200)

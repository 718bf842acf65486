"""People as ``kubectl scim`` shows them: the plugin, started by kubectl, against operator, API and Kubernetes.

A port-forward needs a kubelet, which is not there: kubectl is the real one but for that, where it is a relay to the API's
port. tests/e2e/test_pods.py has the real one.
"""

import contextlib
import json
import shlex
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from e2e.test_kubectl_scim import Person
from support.played_kubectl import PlayedKubectl
from support.stack import OPERATOR_NAMESPACE, Stack, until

PLUGIN = Path(sys.executable).parent / "kubectl-scim"
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {
        "name": "scim-api",
        "namespace": OPERATOR_NAMESPACE,
        "labels": {"app.kubernetes.io/part-of": "scim-operator", "app.kubernetes.io/component": "api"},
    },
    "spec": {"ports": [{"name": "scim", "port": 8080, "targetPort": "scim"}]},
}
USER = "urn:ietf:params:scim:schemas:core:2.0:User"


class Forwarding(Person):
    """Somebody whose kubectl has a port-forward."""

    def __init__(self, stack: Stack, namespace: str, place: Path) -> None:
        super().__init__(stack, namespace, stack.control_plane.kubeconfig)
        self.played = PlayedKubectl(place, otherwise=Path(stack.control_plane.tools.path("kubectl")))
        self.played.answer("port-forward", relay=urlsplit(stack.scim_url).port)
        self._environment["KUBECTL"] = str(self.played.program)

    def follows(self, *arguments: str) -> "subprocess.Popen[str]":
        """A command that does not end; whoever starts it ends it."""
        return subprocess.Popen(
            [str(PLUGIN), *arguments, "-n", self._namespace],
            env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip


@pytest.fixture(scope="module")
def service(stack: Stack) -> Iterator[None]:
    """As the chart makes it."""
    stack.kubectl("apply", "-f", "-", input=json.dumps(SERVICE))
    yield
    stack.kubectl("delete", "service", "scim-api", "-n", OPERATOR_NAMESPACE)


@pytest.fixture
def admin(stack: Stack, namespace: str, service: None, tmp_path: Path) -> Forwarding:
    return Forwarding(stack, namespace, tmp_path)


@pytest.fixture
def secret(stack: Stack, namespace: str) -> dict[str, str]:
    """Of ScimToken ``entra``, which is Ready."""
    stack.apply(namespace, "entra")
    return stack.wait_ready(namespace, "entra")


@pytest.fixture
def scim(secret: dict[str, str]) -> Iterator[httpx.Client]:
    """Who provisions."""
    headers = {"authorization": f"Bearer {secret['token']}"}
    with httpx.Client(base_url=secret["endpoint"], headers=headers, trust_env=False, timeout=30) as client:
        yield client


def provisioned(scim: httpx.Client, name: str, **more: Any) -> str:
    address = f"{name}@example.com"
    body = {
        "schemas": [USER],
        "userName": address,
        "externalId": f"e-{name}",
        "emails": [{"type": "work", "value": address}],
    }
    answer = scim.post("/Users", json={**body, **more})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def test_people_and_what_happened_to_them_are_read_through_a_port_forward(
    stack: Stack, namespace: str, secret: dict[str, str], scim: httpx.Client, admin: Forwarding
) -> None:
    ada = provisioned(scim, "ada", displayName="Ada \x1b[31m<script>", title="Analyst")
    bob = provisioned(scim, "bob", active=False)
    group = scim.post("/Groups", json={"displayName": "Engineers", "externalId": "e-g"}).json()["id"]
    patch = {"Operations": [{"op": "Add", "path": "members", "value": [{"value": ada}]}]}
    assert scim.patch(f"/Groups/{group}", json=patch).status_code == 204
    scim.delete(f"/Users/{bob}").raise_for_status()

    table = admin.types("users", "entra", "ADA").stdout
    assert [line.split()[0] for line in table.splitlines()] == ["USERNAME", "ada@example.com"]
    assert "\x1b" not in table
    assert "Ada \\x1b[31m<script>" in table
    members = json.loads(admin.types("users", "entra", f'groups.value eq "{group}"', "-o", "json").stdout)
    assert [one["id"] for one in members["Resources"]] == [ada]
    assert "is no attribute" in admin.types("users", "entra", 'usrName eq "x"', expect=2).stderr

    by = f"by {namespace}/entra {secret['token-id']}"
    shown = admin.types("whois", "entra", "e-ada").stdout
    assert f"  id                                {ada}\n" in shown
    assert "groups (1)\n  Engineers" in shown
    assert f"ada@example.com joined Engineers  {by}" in shown
    gone = admin.types("whois", "entra", "e-bob", expect=1).stdout
    assert gone.startswith("e-bob  deleted at ")
    assert f"{by}, id {bob}" in gone.splitlines()[0]
    assert "created" in gone
    assert "nobody has zoe as" in admin.types("whois", "entra", "zoe", expect=1).stderr

    log = json.loads(admin.types("log", "entra", "-o", "json", "--since", "1h").stdout)
    assert [one["type"] for one in log] == [
        "user.created", "user.created", "group.created", "group.member_added", "user.deleted",
    ]  # fmt: skip
    about = ("--about", "Engineers", "--type", "group.member_added", "--credential", secret["token-id"])
    assert f"{by}\n" in admin.types("log", "entra", *about).stdout
    assert secret["token"] not in json.dumps(admin.played.calls)

    stack.apply(namespace, "reports", tenant="entra", access="ReadOnly")
    stack.wait_ready(namespace, "reports")
    stack.apply(namespace, "entra", suspend=True)
    stack.kubectl("delete", "secret", "entra-scim-token", "-n", namespace)
    assert "ada@example.com" in admin.types("users", "entra").stdout, "with what only reads"


def test_without_a_port_forward_the_endpoint_is_asked_and_it_is_told(
    stack: Stack, namespace: str, secret: dict[str, str], scim: httpx.Client
) -> None:
    provisioned(scim, "ada")
    rules = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "reader"},
        "rules": [
            {"apiGroups": ["scim-operator.io"], "resources": ["scimtokens"], "verbs": ["get"]},
            {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]},
        ],
    }
    stack.kubectl("apply", "-n", namespace, "-f", "-", input=json.dumps(rules))
    stack.kubectl("create", "serviceaccount", "reader", "-n", namespace)
    stack.kubectl(
        "create", "rolebinding", "reader", "-n", namespace, "--role=reader", f"--serviceaccount={namespace}:reader"
    )  # fmt: skip
    reader = Person(stack, namespace, stack.control_plane.service_account_kubeconfig(namespace, "reader"))
    done = reader.types("users", "entra")
    assert "ada@example.com" in done.stdout
    assert "no cluster-wide binding that you may read says where the chart is installed" in done.stderr
    told = reader.types("users", "entra", "--installation-namespace", OPERATOR_NAMESPACE).stderr
    assert 'cannot list resource "services"' in told
    assert f"over the network instead: {secret['endpoint']}" in done.stderr
    assert secret["token"] not in done.stdout + done.stderr


def test_entra_is_played_without_a_trace_while_somebody_looks(
    stack: Stack, namespace: str, secret: dict[str, str], admin: Forwarding
) -> None:
    del secret
    following = admin.follows("log", "entra", "--follow", "-o", "json")
    try:
        until(
            "the feed is asked for", lambda: sum("port-forward" in call for call in admin.played.calls) == 1
        )
        steps = json.loads(admin.types("simulate", "entra", "--yes", "-o", "json").stdout)
        assert {step["outcome"] for step in steps} == {"passed"}, steps
        lines = admin.types("simulate", "entra", "--yes", "--port-forward").stdout
        assert "✗" not in lines
        assert following.stdout is not None
        types = [json.loads(line)["type"] for line in (following.stdout.readline() for _ in range(18))]
        assert types[0] == "user.created"
        assert types.count("user.deleted") == 2
        assert "user.deactivated" in types
    finally:
        following.send_signal(signal.SIGINT)
        _, errors = following.communicate(timeout=30)
    assert following.returncode == 0, errors
    assert json.loads(admin.types("users", "entra", "-o", "json").stdout)["totalResults"] == 0


def test_a_run_that_is_ended_is_cleaned_up(secret: dict[str, str], admin: Forwarding) -> None:
    del secret
    running = admin.follows("simulate", "entra", "--yes")
    assert running.stdout is not None
    while "user created" not in running.stdout.readline():
        assert running.poll() is None
    running.send_signal(signal.SIGTERM)
    rest, errors = running.communicate(timeout=60)
    assert running.returncode in {0, 1}, errors
    assert "cleaned up" in rest or "user deleted" in rest, "it may have been done before"
    assert json.loads(admin.types("users", "entra", "-o", "json").stdout)["totalResults"] == 0


def test_people_are_read_with_each_way_to_sign_in(stack: Stack, namespace: str, admin: Forwarding) -> None:
    stack.apply(namespace, "oauth", tenant="people", auth={"type": "OAuthClientCredentials"})
    secret = stack.wait_ready(namespace, "oauth")
    with httpx.Client(base_url=secret["endpoint"], trust_env=False, timeout=30) as client:
        client.headers["authorization"] = f"Bearer {stack.sign_in(secret).json()['access_token']}"
        provisioned(client, "ada")
    assert "ada@example.com" in admin.types("users", "oauth").stdout
    trust = {
        "tenantID": "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
        "subjects": ["s1"],
        "audiences": ["api://app"],
    }
    stack.apply(
        namespace, "federated", tenant="people", auth={"type": "WorkloadIdentity", "workloadIdentity": trust}
    )
    stack.wait_ready(namespace, "federated")
    told = admin.types("users", "federated", expect=2).stderr
    command = told[told.index("echo ") :].strip().removesuffix(" | kubectl apply -f -")
    stack.kubectl("apply", "-f", "-", input=shlex.split(command)[1])
    stack.wait_ready(namespace, "federated-reader")
    assert "ada@example.com" in admin.types("users", "federated").stdout

    reader = stack.secret(namespace, "federated-reader-scim-token")["token-id"]

    def uses() -> tuple[bool, bool]:
        with contextlib.closing(sqlite3.connect(stack.directory / "scim.db")) as database:
            asked = "SELECT inspected_at IS NOT NULL, last_used_at IS NOT NULL FROM credential WHERE id = ?"
            found: tuple[bool, bool] = database.execute(asked, (reader,)).fetchone()
        return found

    until("a look is an inspection, and no use", lambda: uses() == (True, False), shown=uses)

"""``kubectl scim`` as people type it: the plugin, started by kubectl, against operator, API and Kubernetes."""

import base64
import json
import os
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from kubectl_scim.kubectl import Kubectl
from support.console_process import OpenedConsole, opened
from support.installation_objects import deployment
from support.late_watch import late_watches
from support.played_kubectl import PlayedKubectl
from support.stack import OPERATOR_NAMESPACE, Stack

PLUGINS = Path(sys.executable).parent
"""Where the console script ``kubectl-scim`` is."""


class Person:
    """Somebody with a kubeconfig.

    Args:
        stack: the installation.
        namespace: in which they work.
        kubeconfig: theirs.
    """

    def __init__(self, stack: Stack, namespace: str, kubeconfig: Path) -> None:
        self.stack = stack
        self._kubectl = Path(stack.control_plane.tools.path("kubectl"))
        self._namespace = namespace
        path = os.pathsep.join([str(PLUGINS), str(self._kubectl.parent), os.environ["PATH"]])
        self._environment = {**os.environ, "PATH": path, "KUBECONFIG": str(kubeconfig), "NO_COLOR": "1"}

    def forwards_to_the_api(self, place: Path) -> None:
        """Port-forwards of theirs lead to the API, which is a process here and no pod; all else is the real kubectl's."""
        played = PlayedKubectl(place, otherwise=self._kubectl)
        played.answer("services", out={"items": [{"metadata": {"name": "scim-api"}}]})
        played.answer("port-forward", relay=int(self.stack.scim_url.split(":")[2].partition("/")[0]))
        self._environment["KUBECTL"] = str(played.program)

    def completes(self, *words: str) -> list[str]:
        """What kubectl's own completion offers for the last word after ``kubectl scim``."""
        done = subprocess.run(
            [str(self._kubectl), "__complete", "scim", *words],
            env=self._environment, capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        *offered, directive = done.stdout.splitlines()
        assert directive == ":4", "no names of files"
        return offered

    def types(
        self, *arguments: str, answer: str | None = None, expect: int = 0
    ) -> "subprocess.CompletedProcess[str]":
        """``kubectl scim ...`` in the namespace."""
        done = subprocess.run(
            [str(self._kubectl), "scim", *arguments, "-n", self._namespace],
            input=answer, env=self._environment, capture_output=True, text=True, timeout=180, check=False,
        )  # fmt: skip
        said = f"{done.stdout}\n{done.stderr}"
        assert done.returncode == expect, f"{said}\n{self.stack.story(self._namespace, 'entra')}"
        return done

    def looks(self) -> AbstractContextManager[OpenedConsole]:
        """``kubectl scim console`` in the namespace, opened."""
        command = [str(self._kubectl), "scim", "console", "-n", self._namespace]
        return opened(command, self._environment)


@pytest.fixture
def admin(stack: Stack, namespace: str) -> Person:
    return Person(stack, namespace, stack.control_plane.kubeconfig)


@pytest.fixture
def token(stack: Stack, namespace: str) -> str:
    """The token of ScimToken ``entra``, which is Ready."""
    stack.apply(namespace, "entra", matching="userName")
    return stack.wait_ready(namespace, "entra")["token"]


def test_status_shows_one_and_all_and_exits_with_whether_something_is_wrong(
    stack: Stack, namespace: str, token: str, admin: Person
) -> None:
    assert stack.ask(token) == 200
    began = time.monotonic()
    tree = admin.types("status", "entra").stdout
    assert time.monotonic() - began < 10, "it reads one object, and looks for one"
    assert f"ScimToken {namespace}/entra  ✓ nothing is wrong" in tree
    assert "Active" in tree
    assert token not in tree
    stack.apply(namespace, "other", secret={"name": "entra-scim-token"})
    stack.kubectl("wait", "--for=condition=Stalled", "sct/other", "-n", namespace, "--timeout=30s")
    table = admin.types("status", expect=1).stdout.splitlines()
    assert table[1].split()[:2] == ["other", "✗"]
    assert table[2].split()[:2] == ["entra", "✓"]
    document = json.loads(admin.types("status", "other", "-o", "json", expect=1).stdout)
    assert document["problems"][0]["subject"] == "Ready: SecretNotOwned"


def test_credentials_are_what_the_secret_has_and_shown_when_it_is_asked_for(
    token: str, admin: Person
) -> None:
    assert token not in admin.types("credentials", "entra").stdout
    lines = admin.types("credentials", "entra", "--show").stdout.splitlines()
    assert any(line.split() == ["Secret", "Token", token] for line in lines)


def test_a_rotation_is_waited_for_and_the_one_before_goes_on(
    stack: Stack, namespace: str, token: str, admin: Person
) -> None:
    said = admin.types("rotate", "entra").stdout
    new = stack.secret(namespace, "entra-scim-token")["token"]
    assert new != token
    assert "is accepted until" in said
    assert (stack.ask(token), stack.ask(new)) == (200, 200)


def test_a_revocation_is_asked_about_and_holds_when_the_command_ends(
    stack: Stack, namespace: str, token: str, admin: Person
) -> None:
    admin.types("rotate", "entra")
    asked = admin.types("revoke", "entra", "--all-superseded", answer="n\n", expect=1)
    assert "rejected at once" in asked.stderr
    assert stack.ask(token) == 200
    admin.types("revoke", "entra", "--all-superseded", "--yes")
    deadline = time.monotonic() + 5
    while stack.ask(token) != 401:
        assert time.monotonic() < deadline, "every replica knows within a second"
        time.sleep(0.05)
    new = stack.secret(namespace, "entra-scim-token")["token"]
    assert stack.ask(new) == 200
    assert "has" in admin.types("revoke", "entra", "--leaked", "--yes").stdout
    newest = stack.secret(namespace, "entra-scim-token")["token"]
    assert newest not in (token, new)
    assert stack.ask(newest) == 200


def test_what_is_done_before_the_watch_is_open_is_seen(stack: Stack, namespace: str, tmp_path: Path) -> None:
    """Of an object that nobody changes afterwards."""
    stack.kubectl("create", "configmap", "one", "-n", namespace)
    kubectl = stack.control_plane.tools.path("kubectl")
    labels: list[str | None] = []
    with (
        late_watches(stack, tmp_path) as kubeconfig,
        Kubectl(("--kubeconfig", str(kubeconfig)), kubectl).watching(
            "configmap", "one", "-n", namespace
        ) as objects,
    ):
        giving_up = threading.Timer(20, objects.end)
        giving_up.start()
        for body in objects:
            if not labels:
                stack.kubectl("label", "configmap", "one", "-n", namespace, "late=yes")
            labels.append(body["metadata"].get("labels", {}).get("late"))
            if labels[-1] == "yes":
                break
        giving_up.cancel()
    assert labels == [None, "yes"]


def test_rotation_is_suspended_and_resumed(stack: Stack, namespace: str, token: str, admin: Person) -> None:
    assert "rotation is suspended" in admin.types("suspend", "entra").stdout
    assert stack.object(namespace, "entra")["spec"]["suspend"] is True
    assert "rotation goes on" in admin.types("resume", "entra").stdout
    assert stack.secret(namespace, "entra-scim-token")["token"] == token


def test_without_the_right_to_read_secrets_status_works_and_the_rest_says_what_is_missing(
    stack: Stack, namespace: str, token: str
) -> None:
    stack.kubectl("create", "serviceaccount", "looker", "-n", namespace)
    stack.kubectl(
        "create",
        "role",
        "looker",
        "-n",
        namespace,
        "--verb=get,list",
        "--resource=scimtokens.scim-operator.io",
    )
    stack.kubectl(
        "create",
        "rolebinding",
        "looker",
        "-n",
        namespace,
        "--role=looker",
        f"--serviceaccount={namespace}:looker",
    )
    looker = Person(stack, namespace, stack.control_plane.service_account_kubeconfig(namespace, "looker"))
    shown = looker.types("status", "entra").stdout
    assert "not checked: secrets" in shown
    assert "Active" in shown
    for arguments in (("credentials", "entra"), ("rotate", "entra"), ("suspend", "entra")):
        refused = looker.types(*arguments, expect=2)
        assert "forbidden" in refused.stderr
        assert token not in refused.stdout + refused.stderr
    with looker.looks() as console:
        assert "<bdi>entra" in console.get("/parts/tokens")
        page = console.post(f"/parts/form/{namespace}/entra")
        assert "Permission missing" in page
        assert "cannot get resource &#34;secrets&#34;" in page
        assert token not in page


def test_kubectl_completes_names_and_ids(stack: Stack, namespace: str, token: str, admin: Person) -> None:
    del token
    assert "suspend\tSuspend rotation" in admin.completes("")
    assert admin.completes("status", "-n", namespace, "e") == ["entra"]
    [active] = stack.object(namespace, "entra")["status"]["tokens"]
    assert admin.completes("revoke", "entra", "-n", namespace, "") == [f"{active['id']}\tActive"]


def test_what_is_not_there_is_told(admin: Person) -> None:
    assert "not found" in admin.types("status", "nobody", expect=2).stderr
    assert "kubectl explain sct.spec" in admin.types("status").stderr


def test_nothing_of_another_namespace_appears(stack: Stack, namespace: str, token: str) -> None:
    del token
    stack.kubectl("create", "namespace", f"{namespace}-other")
    try:
        other = Person(stack, f"{namespace}-other", stack.control_plane.kubeconfig)
        assert "entra" not in other.types("status").stdout
    finally:
        stack.kubectl("delete", "namespace", f"{namespace}-other", "--wait=false")


@pytest.fixture
def installed(stack: Stack) -> Iterator[None]:
    """Deployments of operator and API as the chart makes them; what they stand for runs as processes here."""
    made = [deployment("operator"), deployment("api", replicas=2, ready=1)]
    for body in made:
        stack.kubectl(
            "apply", "-f", "-", input=json.dumps({**body, "spec": {**body["spec"], **_selecting(body)}})
        )
        ready = json.dumps({"status": {"replicas": body["spec"]["replicas"], **body["status"]}})
        name = body["metadata"]["name"]
        stack.kubectl(
            "patch", "deployment", name, "-n", OPERATOR_NAMESPACE, "--subresource=status", "--type=merge", "-p", ready
        )  # fmt: skip
    yield
    for body in made:
        stack.kubectl("delete", "deployment", body["metadata"]["name"], "-n", OPERATOR_NAMESPACE)


def _selecting(body: dict[str, Any]) -> dict[str, Any]:
    labels = body["metadata"]["labels"]
    return {
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, **body["spec"]["template"]},
    }


@pytest.fixture
def webhook(stack: Stack, namespace: str, token: str) -> str:
    """A ScimWebhook of the tenant, which is Ready and suspended; its signing secret."""
    manifest = {
        "apiVersion": "scim-operator.io/v1alpha1",
        "kind": "ScimWebhook",
        "metadata": {"name": "directory", "namespace": namespace},
        "spec": {"url": "https://app.example.com/changes", "tenant": "entra", "suspend": True},
    }
    stack.kubectl("apply", "-f", "-", input=json.dumps(manifest))
    for condition in ("Ready", "Delivering=False"):
        stack.kubectl(
            "wait", f"--for=condition={condition}", "scw/directory", "-n", namespace, "--timeout=30s"
        )  # fmt: skip
    [secret] = [
        one
        for one in json.loads(stack.kubectl("get", "secrets", "-n", namespace, "-o", "json"))["items"]
        if "signing-secret" in one["data"]
    ]
    return base64.b64decode(secret["data"]["signing-secret"]).decode()


def test_status_shows_the_webhooks_of_a_scimtoken(webhook: str, admin: Person) -> None:
    tree = admin.types("status", "entra").stdout
    assert "ScimWebhook directory  Suspended" in tree
    table = admin.types("status").stdout
    assert table.splitlines()[-1].split()[:4] == ["directory", "✓", "entra", "0"]
    assert webhook not in tree + table


def test_doctor_tells_what_is_well_and_what_is_not(
    stack: Stack, namespace: str, token: str, webhook: str, admin: Person, installed: None, tmp_path: Path
) -> None:
    archive = tmp_path / "support.tar.gz"
    admin.forwards_to_the_api(tmp_path)
    done = admin.types("doctor", "entra", "--bundle", str(archive), expect=1)
    checks = {
        one["name"]: one for one in json.loads(admin.types("doctor", "-o", "json", expect=1).stdout)["checks"]
    }
    mine = f"{namespace}/entra"
    passed = {name for name, one in checks.items() if one["outcome"] == "passed"}
    assert passed >= {
        "kubectl and server",
        "clock of this machine",
        "custom resources",
        "operator runs",
        "operator leads",
        f"{mine}: operator",
        f"{mine}: Ready",
        f"{mine}: Secret entra-scim-token",
        f"{mine}: credential in the Secret",
        f"{mine}: credential at the SCIM API",
        "endpoint from here",
        f"ScimWebhook {namespace}/directory: Ready",
        f"ScimWebhook {namespace}/directory: Delivering",
    }
    assert "1 of 2 ready" in checks["SCIM API runs"]["message"]
    assert "without the chart" in checks["CRD scimtokens"]["message"]
    assert "without TLS" in checks["endpoint's certificate"]["message"]
    assert token not in done.stdout + str(checks)
    with tarfile.open(archive) as tar:
        files = {one.name.partition("/")[2]: tar.extractfile(one).read().decode() for one in tar.getmembers()}  # type: ignore[union-attr]
    assert json.loads(files["scimtokens.json"])[0]["status"]["tokens"][0]["state"] == "Active"
    assert "Issued" in files[f"events/{namespace}.json"]
    assert "entra-scim-token" in files[f"secrets/{namespace}.json"]
    assert token not in str(files)
    assert webhook not in str(files)


def test_the_console_shows_what_there_is_and_what_changes(namespace: str, token: str, admin: Person) -> None:
    with admin.looks() as console:
        assert f"<bdi>{namespace}</bdi>/</span><bdi>entra</bdi>" in console.get("/parts/tokens")
        assert "Table of credentials" in console.get(f"/parts/state/{namespace}/entra")
        assert "Issued" in console.get(f"/parts/events/{namespace}/entra")
        assert token not in console.get(f"/tokens/{namespace}/entra")
        assert token in console.post(f"/parts/form/{namespace}/entra")
        with console.open("/live") as events:
            assert events.readline() == b"event: changed\n"
            rotating = threading.Thread(target=admin.types, args=("rotate", "entra"))
            rotating.start()
            while "life superseded" not in console.get(f"/parts/state/{namespace}/entra"):
                for _ in range(3):  # lines: it is looked at again when there is news, and not before
                    assert events.readline()
            rotating.join(60)
        with console.open("/health/checks") as checks:
            assert f"{namespace}/entra: Ready" in checks.read().decode()

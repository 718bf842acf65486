"""The chart with PostgreSQL and two replicas in real pods: upgrade, rollback and lost pods without one failure.

The tests are one story, in this order, told by one release.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.console import until
from localcluster.errors import ClusterError
from localcluster.node import Node
from localcluster.node.layout import SERVICE_CIDR
from support.example_pod import ExamplePod
from support.pods import QUICK, ROOT, THIS, Pods, build_images, commit_before
from support.pods_postgresql import PodsDatabase, database_for_pods

pytestmark = pytest.mark.timeout(600)
BEFORE = "before"


@pytest.fixture(scope="module")
def earlier(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commit before this one, with its images in the node."""
    tree = commit_before(tmp_path_factory.mktemp("before"))
    build_images(node, tree, BEFORE)
    return tree


@pytest.fixture(scope="module")
def database(node: Node) -> Iterator[PodsDatabase]:
    with database_for_pods() as database:
        yield database


@pytest.fixture(scope="module")
def pods(
    node: Node, earlier: Path, database: PodsDatabase, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pods]:
    release = Pods(node, "pods-postgresql", tmp_path_factory.mktemp("pods-postgresql"), database.values())
    database.give(release)
    release.install(earlier, BEFORE)
    release.apply_token("entra", rateLimit=QUICK)
    yield release
    release.remove()


def images(pods: Pods, component: str) -> set[str]:
    """Tags; a digest may stand behind them."""
    names = (pod["spec"]["containers"][0]["image"].partition("@")[0] for pod in pods.pods(component))
    return {name.rpartition(":")[2] for name in names}


def test_an_upgrade_from_the_commit_before_fails_no_request(pods: Pods) -> None:
    assert images(pods, "api") == {BEFORE}
    token = pods.secret("entra")["token"]
    with pods.traffic(lambda: token) as traffic:
        traffic.enough()
        pods.install(ROOT, THIS)
        pods.wait_rolled_out()
        until("the old pods are gone", lambda: images(pods, "api") == {THIS}, 60)
        traffic.enough()
    assert traffic.failures == []
    assert traffic.lost(token) == []
    assert images(pods, "operator") == {THIS}
    assert len(pods.pods("api")) == 2


def test_a_leader_that_is_deleted_is_followed_and_the_follower_rotates(pods: Pods) -> None:
    leader = pods.leader()
    assert leader
    pods.kubectl("delete", "pod", leader, "--wait=false")
    until("another leads", lambda: pods.leader() not in ("", leader), 60)
    old, new = pods.rotate("entra")
    for token in (old, new):
        with pods.client(token) as client:
            assert client.get("/Users", params={"count": 1}).status_code == 200


def test_an_api_pod_that_is_deleted_fails_no_request(pods: Pods) -> None:
    token = pods.secret("entra")["token"]
    with pods.traffic(lambda: token) as traffic:
        traffic.enough()
        gone = pods.pods("api")[0]["metadata"]["name"]
        pods.kubectl("delete", "pod", gone, "--wait=true", "--timeout=60s")
        pods.wait_rolled_out()
        traffic.enough()
    assert traffic.failures == []
    assert traffic.lost(token) == []


@pytest.fixture(scope="module")
def people(pods: Pods) -> ExamplePod:
    """Webhooks, and the example application that is told by one."""
    policy = pods.values["networkPolicy"]
    pods.install(
        ROOT,
        THIS,
        operator={"extraEnv": [{"name": "SCIM_OPERATOR_WEBHOOK_CHECK_SECONDS", "value": "1"}]},
        webhooks={"enabled": True, "allowHttp": True, "allowedNetworks": [SERVICE_CIDR]},
        networkPolicy={**policy, "receivers": [{"podSelector": {}}], "receiverPorts": [8000]},
    )
    people = ExamplePod(pods, f"localhost/scim-api:{THIS}", "webhook")
    people.apply()
    return people


def test_who_is_provisioned_is_told_to_an_application_and_signed_out_within_a_second_of_being_disabled(
    pods: Pods, people: ExamplePod
) -> None:
    assert people.warnings == ""
    with pods.client(pods.secret("entra")["token"]) as scim:
        person = people.provision(scim, "ada")
        people.until_signed_in("ada")
        # Whoever is called before it listens is called again after five seconds.
        until("everything was delivered", lambda: is_delivered(pods.get("scw", "people")["status"]), 60)
        assert people.seconds_to_sign_out(scim, person, "ada") < 1


def is_delivered(status: dict[str, Any]) -> bool:
    delivering = next(item for item in status["conditions"] if item["type"] == "Delivering")
    return delivering["status"] == "True" and "lastDeliveredAt" in status and not status["backlog"]["events"]


def test_when_the_pod_that_delivers_is_deleted_another_goes_on(pods: Pods, people: ExamplePod) -> None:
    (pod,) = pods.pods("deliver")
    assert pod["spec"]["automountServiceAccountToken"] is False
    pods.kubectl("delete", "pod", pod["metadata"]["name"], "--wait=false")
    with pods.client(pods.secret("entra")["token"]) as scim:
        people.provision(scim, "grace")
    people.until_signed_in("grace")


def test_the_application_goes_on_when_its_signing_secret_rotates(pods: Pods, people: ExamplePod) -> None:
    def secret() -> str:
        return str(pods.get("secret", "people-scim-webhook")["data"]["signing-secret"])

    before = secret()
    pods.kubectl("annotate", "scw", "people", "scim-operator.io/rotate=now")
    until("the Secret has another", lambda: secret() != before, 60)
    with pods.client(pods.secret("entra")["token"]) as scim:
        people.provision(scim, "edsger")
    people.until_signed_in("edsger")
    people.remove()
    pods.kubectl("delete", "scw", "people")
    pods.install(ROOT, THIS)
    until("nothing delivers any more", lambda: not pods.pods("deliver"), 60)


def test_a_migration_that_fails_stalls_the_rollout_while_the_old_pods_serve(pods: Pods) -> None:
    token = pods.secret("entra")["token"]
    pods.kubectl(
        "create", "secret", "generic", "broken", "--from-literal=url=postgresql://scim@127.0.0.1:1/scim"
    )
    database = {**pods.values["api"]["database"], "existingSecret": {"name": "broken", "key": "url"}}
    broken = {**pods.values["api"], "database": database}
    with pods.traffic(lambda: token) as traffic:
        path = pods.values_file(THIS, api=broken)
        with pytest.raises(ClusterError):
            pods.helm(  # Ends with an error, for the rollout does not come to its end.
                "upgrade", pods.name, str(ROOT / "charts" / "scim-operator"),
                "--values", str(path), "--wait", "--timeout", "15s", timeout=60,
            )  # fmt: skip
        until("the init container has failed", lambda: failed_migrations(pods), 60)
        traffic.enough()
        assert len([pod for pod in pods.pods("api") if is_ready(pod)]) == 2

        revision = pods.helm("history", pods.name, "--output", "json")
        pods.helm("rollback", pods.name, good_revision(revision), "--wait", "--timeout", "120s", timeout=150)
        pods.wait_rolled_out()
        traffic.enough()
    assert traffic.failures == []


def test_a_rollback_to_the_commit_before_fails_no_request(pods: Pods) -> None:
    token = pods.secret("entra")["token"]
    with pods.traffic(lambda: token) as traffic:
        traffic.enough()
        pods.helm("rollback", pods.name, "1", "--wait", "--timeout", "120s", timeout=150)
        pods.wait_rolled_out()
        until("the pods of this commit are gone", lambda: images(pods, "api") == {BEFORE}, 60)
        traffic.enough()
    assert traffic.failures == []
    assert traffic.lost(token) == []
    pods.rotate("entra")


def is_ready(pod: dict[str, object]) -> bool:
    status = pod["status"]
    assert isinstance(status, dict)
    return any(item["type"] == "Ready" and item["status"] == "True" for item in status.get("conditions", []))


def failed_migrations(pods: Pods) -> list[str]:
    """What the migrations that ended badly said."""
    return [
        pods.kubectl("logs", pod["metadata"]["name"], "--container", "migrate", check=False)
        for pod in pods.pods("api")
        for item in pod["status"].get("initContainerStatuses", [])
        if any(item.get(key, {}).get("terminated", {}).get("exitCode") for key in ("state", "lastState"))
    ]


def good_revision(history: str) -> str:
    """The newest that was deployed in full."""
    found = [item["revision"] for item in json.loads(history) if item["status"] in ("superseded", "deployed")]
    return str(max(found))

"""The operator as a real process on a real API server: it starts, leads, hands over, and ends as it should."""

import json
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from localcluster import ControlPlane, Tools
from localcluster.ports import free_port
from support import forked
from support.installed import ROOT
from support.processes import Process, answers, start_operator
from support.recording_proxy import recording_proxy

SYSTEM = "scim-system"
QUICK = {"SCIM_OPERATOR_RESYNC_SECONDS": "1", "SCIM_OPERATOR_SHUTDOWN_SECONDS": "2"}

Start = Callable[..., Process]


@pytest.fixture(scope="module")
def plane(tools: Tools) -> Iterator[ControlPlane]:
    """A control plane of our own: others' operators would share the Lease."""
    with ControlPlane.start(tools) as plane:
        plane.kubectl("apply", "-f", str(ROOT / "dev/manifests/rbac.yaml"))
        yield plane


@pytest.fixture(scope="module")
def with_crd(plane: ControlPlane) -> ControlPlane:
    plane.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
    plane.wait_established("scimtokens.scim-operator.io")
    return plane


@pytest.fixture
def start(plane: ControlPlane, tmp_path: Path) -> Iterator[Start]:
    """Starts operators with their ServiceAccount's permissions; the SCIM API is not there."""
    kubeconfig = plane.service_account_kubeconfig(SYSTEM, "scim-operator")
    nowhere = f"http://127.0.0.1:{free_port()}"
    started: list[Process] = []

    def run(name: str = "operator", **environment: str) -> Process:
        process = start_operator(
            tmp_path, kubeconfig=kubeconfig, scim_url=f"{nowhere}/scim/v2", admin_url=nowhere, namespace=SYSTEM,
            name=name, environment={**QUICK, "SCIM_OPERATOR_IDENTITY": name, **environment},
            by=forked.spawn,
        )  # fmt: skip
        started.append(process)
        return process

    yield run
    for process in started:
        process.stop()


def until(condition: Callable[[], Any], seconds: float = 30, story: Callable[[], str] = str) -> None:
    """Poll a condition; fails with the story when the time is over."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, story()
        time.sleep(0.05)


def read(plane: ControlPlane, *what: str) -> dict[str, Any]:
    done = plane.kubectl("get", *what, "--namespace", SYSTEM, "--output", "json", check=False)
    found: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {}
    return found


def holder(plane: ControlPlane) -> str:
    return str(read(plane, "lease", "scim-operator").get("spec", {}).get("holderIdentity", ""))


def test_without_the_crd_it_says_so_waits_and_goes_on_when_it_comes(
    plane: ControlPlane, start: Start, request: pytest.FixtureRequest
) -> None:
    operator = start()
    until(lambda: "kubectl apply -f crds/scimtoken.yaml" in operator.log_text(), story=operator.log_text)
    assert operator.running
    request.getfixturevalue("with_crd")
    operator.wait_ready()


def test_a_started_operator_leads_and_publishes_its_key(with_crd: ControlPlane, start: Start) -> None:
    operator = start()
    operator.wait_ready()
    until(lambda: holder(with_crd) == "operator", story=operator.log_text)
    until(
        lambda: "installation-id" in read(with_crd, "configmap", "scim-operator-admin-keys").get("data", {})
    )
    until(lambda: "scim_operator_leader 1.0" in metrics(operator))


def test_with_a_namespace_that_is_missing_it_is_ready_and_says_which_until_it_comes(
    with_crd: ControlPlane, start: Start
) -> None:
    """Secrets by RoleBindings, as the chart gives them with ``watchNamespaces``."""

    def permit(namespace: str) -> None:
        with_crd.kubectl("create", "namespace", namespace)
        with_crd.kubectl(
            "create", "rolebinding", "secrets", "-n", namespace, "--clusterrole=scim-operator-secrets",
            f"--serviceaccount={SYSTEM}:scim-operator",
        )  # fmt: skip

    permit("here")
    with_crd.kubectl("delete", "clusterrolebinding", "scim-operator-secrets")
    try:
        operator = start(SCIM_OPERATOR_WATCH_NAMESPACES="here,missing")
        operator.wait_ready()
        until(lambda: 'scim_operator_unwatched_namespace{namespace="missing"} 1.0' in metrics(operator))
        assert "in namespace missing: does it exist" in operator.log_text()
        permit("missing")
        until(lambda: "scim_operator_unwatched_namespace{" not in metrics(operator), 10, operator.log_text)
        assert answers(operator.ready_url)
        assert "scim_operator_watch_restarts_total 0.0" in metrics(operator)
    finally:
        with_crd.kubectl("apply", "-f", str(ROOT / "dev/manifests/rbac.yaml"))


def test_probes_answer_on_ipv6_and_ipv4_when_it_listens_everywhere(
    with_crd: ControlPlane, start: Start
) -> None:
    operator = start(SCIM_OPERATOR_HEALTH_HOST="::")
    operator.wait_ready()
    for host in ("[::1]", "127.0.0.1"):
        assert answers(operator.ready_url.replace("127.0.0.1", host))


@pytest.mark.parametrize("no_proxy", ["10.0.0.0/8,127.0.0.0/8", ""])
def test_behind_a_proxy_it_leads_and_only_the_endpoint_is_asked_by_it(
    with_crd: ControlPlane, start: Start, no_proxy: str
) -> None:
    """Kubernetes, kopf's watch and the admin API are asked directly, whatever NO_PROXY says."""
    with recording_proxy() as proxy:
        operator = start(
            "proxied", SCIM_OPERATOR_ENDPOINT_URL="http://scim.example.test/scim/v2",
            SCIM_OPERATOR_ENDPOINT_CHECK_SECONDS="1", HTTP_PROXY=proxy.url, HTTPS_PROXY=proxy.url,
            ALL_PROXY=proxy.url, NO_PROXY=no_proxy,
        )  # fmt: skip
        operator.wait_ready()
        until(lambda: holder(with_crd) == "proxied", story=operator.log_text)
        until(
            lambda: 'scim_operator_resync_total{result="scim_api_unreachable"}' in metrics(operator),
            story=lambda: metrics(operator),
        )
        until(lambda: proxy.asked, story=operator.log_text)
        operator.stop()
    assert proxy.authorities == {"scim.example.test"}


def test_sigterm_releases_the_lease_and_ends_with_0(with_crd: ControlPlane, start: Start) -> None:
    operator = start()
    until(lambda: holder(with_crd) == "operator", story=operator.log_text)
    begun = time.monotonic()
    assert operator.stop() == 0, operator.log_text()
    assert time.monotonic() - begun < 10
    assert holder(with_crd) == ""


def test_a_standby_takes_over_at_once_when_the_leader_is_stopped(
    with_crd: ControlPlane, start: Start
) -> None:
    leader = start("leader")
    until(lambda: holder(with_crd) == "leader", story=leader.log_text)
    standby = start("standby")
    standby.wait_ready()
    assert holder(with_crd) == "leader"
    leader.stop()
    until(lambda: holder(with_crd) == "standby", 3, standby.log_text)
    until(lambda: "scim_operator_leader 1.0" in metrics(standby))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["SIGKILL", "SIGSTOP"])
def test_a_standby_takes_over_within_the_lease_when_the_leader_is_killed_or_frozen(
    with_crd: ControlPlane, start: Start, number: signal.Signals
) -> None:
    quick = {
        "SCIM_OPERATOR_LEASE_DURATION_SECONDS": "3", "SCIM_OPERATOR_LEASE_RENEW_DEADLINE_SECONDS": "2",
        "SCIM_OPERATOR_LEASE_RENEW_PERIOD_SECONDS": "0.5",
    }  # fmt: skip
    leader = start("leader", **quick)
    until(lambda: holder(with_crd) == "leader", story=leader.log_text)
    standby = start("standby", **quick)
    standby.wait_ready()
    leader.signal(number)
    until(lambda: holder(with_crd) == "standby", 6, standby.log_text)
    until(lambda: "scim_operator_leader 1.0" in metrics(standby))
    leader.signal(signal.SIGCONT)
    if number is signal.SIGSTOP:
        until(lambda: "scim_operator_leader 0.0" in metrics(leader), 10, leader.log_text)
    assert holder(with_crd) == "standby"


def test_a_config_map_edited_by_hand_is_repaired_within_a_resync(
    with_crd: ControlPlane, start: Start
) -> None:
    operator = start()
    until(lambda: read(with_crd, "configmap", "scim-operator-admin-keys") and holder(with_crd) == "operator")
    before = read(with_crd, "configmap", "scim-operator-admin-keys")["data"]
    patch = json.dumps({"data": {"installation-id": "another"}})
    with_crd.kubectl(
        "patch", "configmap", "scim-operator-admin-keys", "--namespace", SYSTEM, "--patch", patch
    )
    until(
        lambda: read(with_crd, "configmap", "scim-operator-admin-keys")["data"] == before,
        30,
        operator.log_text,
    )


def test_the_operator_outlives_a_restart_of_the_api_server(with_crd: ControlPlane, start: Start) -> None:
    quick = {
        "SCIM_OPERATOR_LEASE_DURATION_SECONDS": "3", "SCIM_OPERATOR_LEASE_RENEW_DEADLINE_SECONDS": "2",
        "SCIM_OPERATOR_LEASE_RENEW_PERIOD_SECONDS": "0.5",
    }  # fmt: skip
    operator = start(**quick)
    until(lambda: holder(with_crd) == "operator", story=operator.log_text)
    with_crd.restart_api_server()
    until(lambda: "scim_operator_leader 1.0" in metrics(operator), 60, operator.log_text)
    operator.wait_ready(60)
    assert operator.running


def test_wrong_settings_are_refused_in_words(start: Start) -> None:
    operator = start(SCIM_OPERATOR_WORKERS="many", SCIM_OPERATOR_ADMIN_URL="scim-api")
    assert operator.wait_end(30) == 1
    assert "SCIM_OPERATOR_WORKERS='many'" in operator.log_text()
    assert "SCIM_OPERATOR_ADMIN_URL='scim-api'" in operator.log_text()
    assert "Traceback" not in operator.log_text()


def test_a_port_in_use_is_refused_in_words(with_crd: ControlPlane, start: Start) -> None:
    first = start("first")
    first.wait_ready()
    port = first.ready_url.split(":")[2].split("/")[0]
    second = start("second", SCIM_OPERATOR_HEALTH_PORT=port)
    assert second.wait_end(30) == 1
    assert "set SCIM_OPERATOR_HEALTH_PORT" in second.log_text()
    assert "Traceback" not in second.log_text()


def metrics(operator: Process) -> str:
    """Its metrics, or nothing while it does not answer."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(operator.ready_url.replace("/readyz", "/metrics"), timeout=2) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""

"""What doctor makes of the cluster and of the installation in it."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubectl_scim.doctor import checks_cluster
from kubectl_scim.doctor.facts import Unread
from support.installation_objects import DENIED, MISSING, deployment, lease, pod
from support.scimtoken_objects import NOW

CHART = Path(__file__).resolve().parents[4] / "charts/scim-operator/Chart.yaml"
CLIENT = {"gitVersion": "v1.37.2"}


def test_the_oldest_kubernetes_is_the_charts() -> None:
    oldest = ".".join(map(str, checks_cluster.OLDEST))
    assert yaml.safe_load(CHART.read_text())["kubeVersion"] == f">={oldest}.0-0"


@pytest.mark.parametrize(
    ("client", "server", "outcome"),
    [
        (CLIENT, {"gitVersion": "v1.30.0"}, "passed"),
        (CLIENT, {"gitVersion": "v1.31.4-eks-1"}, "passed"),
        (CLIENT, {"gitVersion": "v1.29.9"}, "failed"),
        (CLIENT, {"gitVersion": "main"}, "not checkable"),
        (CLIENT, Unread("failed", "connection refused"), "failed"),
        (Unread("failed", "kubectl is not installed"), MISSING, "failed"),
    ],
)
def test_a_server_is_supported_from_the_charts_oldest_on(client: Any, server: Any, outcome: str) -> None:
    assert checks_cluster.versions(client, server).outcome == outcome


@pytest.mark.parametrize(
    ("ahead", "outcome", "said"),
    [
        (0, "passed", "within"),
        (59, "passed", "within"),
        (90, "failed", "behind"),
        (-3700, "failed", "1 h ahead of"),
    ],
)
def test_a_clock_that_is_off_by_more_than_a_minute_is_told(ahead: int, outcome: str, said: str) -> None:
    check = checks_cluster.clock(NOW, NOW + timedelta(seconds=ahead), NOW + timedelta(seconds=1))
    assert check.outcome == outcome
    assert said in check.message


def test_a_clock_that_can_not_be_compared_is_told() -> None:
    assert checks_cluster.clock(NOW, None, NOW).outcome == "not checkable"
    assert checks_cluster.clock(NOW, DENIED, NOW).message == DENIED.message


@pytest.mark.parametrize(
    ("served", "outcome", "said"),
    [
        ({"resources": [{"name": "scimtokens"}, {"name": "scimwebhooks"}]}, "passed", "ScimToken"),
        ({"resources": [{"name": "scimtokens"}]}, "failed", "lacks scimwebhooks"),
        (MISSING, "failed", "not served"),
        (DENIED, "not checkable", "cannot list"),
    ],
)
def test_both_kinds_have_to_be_served(served: Any, outcome: str, said: str) -> None:
    check = checks_cluster.definitions(served)
    assert check.outcome == outcome
    assert said in check.message


def _crd(version: str | None = "0.1.0", established: str = "True") -> dict[str, Any]:
    labels = {} if version is None else {"app.kubernetes.io/version": version}
    conditions = [
        {"type": "NamesAccepted", "status": "True"},
        {"type": "Established", "status": established, "message": "it is being installed"},
    ]
    return {"metadata": {"labels": labels}, "status": {"conditions": conditions}}


@pytest.mark.parametrize(
    ("crd", "outcome", "said"),
    [
        (_crd(), "passed", "of release 0.1.0"),
        (_crd("0.2.0"), "failed", "this plugin is 0.1.0"),
        (_crd(None), "not checkable", "without the chart"),
        (_crd(established="False"), "failed", "it is being installed"),
        ({"metadata": {}, "status": _crd()["status"]}, "not checkable", "without the chart"),
        (DENIED, "not checkable", "cannot list"),
    ],
)
def test_a_crd_has_to_be_established_and_of_this_release(crd: Any, outcome: str, said: str) -> None:
    check = checks_cluster.definition_release("scimtokens", crd, "0.1.0")
    assert check.outcome == outcome
    assert said in check.message


def _workloads(deployments: Any, pods: Any = ()) -> Sequence[tuple[str, str, str]]:
    return [
        (one.name, one.outcome, one.message) for one in checks_cluster.workloads(deployments, pods, "0.1.0")
    ]


def test_an_installation_that_runs_passes() -> None:
    found = _workloads([deployment("operator", 2, 2), deployment("api")])
    assert found == [
        ("operator runs", "passed", "scim-system/operator: 2 of 2 ready"),
        ("operator's release", "passed", "0.1.0"),
        ("SCIM API runs", "passed", "scim-system/api: 1 of 1 ready"),
        ("SCIM API's release", "passed", "0.1.0"),
    ]


def test_pods_that_are_not_ready_are_told_with_why() -> None:
    pods = [
        pod("api", "api-1", waiting="CrashLoopBackOff", restarts=7),
        pod("api", "api-2", unscheduled="0/1 nodes are available"),
        pod("api", "api-3", ready="True"),
        pod("operator", "operator-1", waiting="ImagePullBackOff"),
    ]
    [(_, outcome, said), *_] = [
        one for one in _workloads([deployment("api", 3, 1)], pods) if one[0] == "SCIM API runs"
    ]
    assert outcome == "failed"
    assert said == (
        "scim-system/api: 1 of 3 ready; pod api-1: main CrashLoopBackOff after 7 restarts; pod api-2: 0/1 nodes are available"
    )
    [(_, outcome, said), *_] = [
        one for one in _workloads([deployment("api", 3, 1)], DENIED) if one[0] == "SCIM API runs"
    ]
    assert (outcome, said) == ("failed", "scim-system/api: 1 of 3 ready")


def test_what_is_not_there_scaled_to_zero_or_of_another_release_fails() -> None:
    outcomes = {
        name: (outcome, said)
        for name, outcome, said in _workloads(
            [deployment("operator", 0, 0), deployment("deliver", version="0.0.9")]
        )
    }
    assert outcomes["operator runs"] == ("failed", "scim-system/operator is scaled to 0")
    assert outcomes["SCIM API runs"][0] == "failed"
    assert outcomes["webhook delivery's release"] == ("failed", "0.0.9; this plugin is 0.1.0")
    assert [one[:2] for one in _workloads(DENIED)] == [
        ("operator runs", "not checkable"),
        ("SCIM API runs", "not checkable"),
    ]
    assert ("SCIM API's release", "not checkable") in [
        one[:2] for one in _workloads([deployment("api", version=None)])
    ]


def test_a_deployment_that_says_nothing_is_one_pod_that_is_not_ready() -> None:
    body = {"metadata": {"name": "x", "namespace": "y", "labels": {"app.kubernetes.io/component": "api"}}}
    unlabelled = {"metadata": {"name": "z", "namespace": "y"}}
    assert ("SCIM API runs", "failed", "y/x: 0 of 1 ready") in _workloads([body, unlabelled])


def test_another_release_says_what_to_do() -> None:
    check = checks_cluster.definition_release("scimtokens", _crd("0.2.0"), "0.1.0")
    assert check.remedy == "use the plugin of 0.2.0, or upgrade the chart to 0.1.0"


@pytest.mark.parametrize(
    ("found", "outcome", "said"),
    [
        (lease("operator-a", 3), "passed", "operator-a, renewed 3 s ago"),
        (lease("operator-a", -4), "passed", "operator-a, renewed now"),
        (lease("operator-a", 16), "passed", "operator-a"),
        (lease("operator-a", 18), "failed", "2026-11-30T11:59:42Z (18 s ago)"),
        (lease("", 1), "failed", "nobody holds"),
        ({"spec": {"holderIdentity": "operator-a"}}, "failed", "nobody holds"),
        (MISSING, "failed", "no operator has ever led"),
        (DENIED, "not checkable", "cannot list"),
    ],
)
def test_one_operator_leads_while_its_lease_is_renewed_in_time(found: Any, outcome: str, said: str) -> None:
    check = checks_cluster.leader(found, "scim-system", NOW)
    assert check.outcome == outcome
    assert said in check.message

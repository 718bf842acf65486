"""Alerts and dashboard ask for metrics that there are, and each alert fires when it should."""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from localcluster import Tools
from scim_api.delivery.metrics import DeliveryMetrics
from scim_api.http.metrics import Metrics as ApiMetrics
from scim_operator.api.custom_object import Key
from scim_operator.entra_metrics import EntraMetrics
from scim_operator.metrics import Metrics as OperatorMetrics
from scim_operator.planning import endpoint_verdict
from scim_operator.webhook_metrics import WebhookMetrics
from support.chart import CHART, EVERYTHING, HOST, Helm
from support.stack import Stack, until

KUBELET = {
    f"kubelet_volume_stats_{what}_bytes": {"namespace", "persistentvolumeclaim"}
    for what in ("available", "capacity")
}
"""Of Kubernetes itself, for the volume of SQLite."""
TARGET = {"job", "namespace", "pod", "le"}
"""Labels that Prometheus adds to what a ServiceMonitor finds; ``le`` belongs to histograms."""
METRIC = re.compile(r"\b((?:scim|kubelet)_\w+)(?:\{([^}]*)\})?")
BY = re.compile(r"\bby \(([^)]*)\)")
LABEL = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"')
WITH_RULES: Mapping[str, Any] = {
    **HOST,
    "metrics": {"prometheusRule": {"enabled": True}},
    "webhooks": {"enabled": True},
}
DASHBOARD = json.loads((CHART / "files/dashboard.json").read_text(encoding="utf-8"))


def exposed(text: str) -> dict[str, set[str]]:
    """Each sample's name in a ``/metrics`` answer, with its labels."""
    found: dict[str, set[str]] = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, _, rest = line.partition("{")
            labels = set(re.findall(r'(\w+)="', rest.rpartition("}")[0])) if rest else set()
            found.setdefault(name.split()[0], set()).update(labels)
    return found


def families(registry: Any) -> dict[str, set[str]]:
    """All that a registry can expose, also what has no sample yet, with the labels of each."""
    found: dict[str, set[str]] = {}
    for collector, names in registry._collector_to_names.items():
        if hasattr(collector, "_labelnames"):
            found.update({name: set(collector._labelnames) for name in names})
        else:
            found.update({family.name: set(family._labelnames) for family in collector.describe()})
    return found


def operator_registry() -> Any:
    """All that the operator can expose."""
    registry = OperatorMetrics().registry
    EntraMetrics(registry)
    WebhookMetrics(registry)
    return registry


def api_registry() -> Any:
    """All that the API and what delivers webhooks can expose."""
    registry = ApiMetrics().registry
    DeliveryMetrics(registry)
    return registry


@pytest.fixture(scope="module")
def known() -> dict[str, set[str]]:
    return {**families(api_registry()), **families(operator_registry()), **KUBELET}


def queries(dashboard: Any) -> Iterator[tuple[str, str]]:
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["definition"]


def check(expression: str, known: Mapping[str, set[str]]) -> int:
    """Every metric of a query is there, with every label; how many there are."""
    asked = set()
    for name, selector in METRIC.findall(expression):
        assert name in known, f"nobody exposes {name}: {expression}"
        labels = set(LABEL.findall(selector))
        assert labels <= known[name] | TARGET, f"{name} has no {labels - known[name] - TARGET}: {expression}"
        asked.add(name)
    for group in BY.findall(expression):
        labels = {label.strip() for label in group.split(",")}
        everywhere = set.union(*(known[name] for name in asked)) | TARGET
        assert labels <= everywhere, f"no {labels - everywhere}: {expression}"
    return len(asked)


def rules(helm: Helm, *values: Any) -> list[dict[str, Any]]:
    (group,) = helm.render(*values).one("PrometheusRule", "scim-operator")["spec"]["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def test_every_query_of_the_dashboard_asks_for_what_there_is(known: dict[str, set[str]]) -> None:
    for title, expression in queries(DASHBOARD):
        assert check(expression, known), title


def test_every_alert_asks_for_what_there_is(helm: Helm, known: dict[str, set[str]]) -> None:
    for rule in rules(helm, WITH_RULES):
        assert check(rule["expr"], known), rule["alert"]


def test_every_metric_is_on_the_dashboard_or_in_an_alert(helm: Helm, known: dict[str, set[str]]) -> None:
    asked = " ".join(
        [*(text for _, text in queries(DASHBOARD)), *(rule["expr"] for rule in rules(helm, WITH_RULES))]
    )
    for registry in (api_registry(), operator_registry()):
        for family in registry.collect():
            assert family.name in asked, f"nobody looks at {family.name}"


def test_a_running_installation_exposes_what_is_asked_for(stack: Stack, helm: Helm, namespace: str) -> None:
    """Not only the registries: the answers of both programs after some work, where each has a sample by then."""
    stack.apply(namespace, "entra")
    stack.ask(stack.wait_ready(namespace, "entra")["token"])
    operator = stack.operators[-1].ready_url.replace("/readyz", "/metrics")

    def both() -> dict[str, set[str]]:
        with httpx.Client(trust_env=False, timeout=10) as client:
            return {
                **exposed(client.get(f"{stack.admin_url}/metrics").text),
                **exposed(client.get(operator).text),
            }

    until("the endpoint was checked", lambda: "scim_operator_endpoint_reachable" in both())
    there = both()
    troubles = {
        "scim_operator_rotation_overdue_expiry_timestamp_seconds",
        "scim_operator_superseded_token_in_use",
        "scim_operator_unwatched_namespace",
        "scim_operator_entra_",  # nobody has spec.entra here
        "scim_api_webhook_",  # nor webhooks
        "scim_operator_webhook_",
    }
    for expression in (
        *(text for _, text in queries(DASHBOARD)),
        *(rule["expr"] for rule in rules(helm, WITH_RULES)),
    ):
        if any(name in expression for name in (*troubles, *KUBELET)):
            continue
        check(expression, there)


def test_the_expiry_of_a_token_is_its_status_s_and_goes_with_the_scimtoken(
    stack: Stack, namespace: str
) -> None:
    stack.apply(namespace, "entra")
    stack.wait_ready(namespace, "entra")
    ends = stack.object(namespace, "entra")["status"]["expiresAt"]
    operator = stack.operators[-1].ready_url.replace("/readyz", "/metrics")
    series = f'scim_operator_token_expiry_timestamp_seconds{{name="entra",namespace="{namespace}"}} '

    def shown() -> float | None:
        with httpx.Client(trust_env=False, timeout=10) as client:
            lines = client.get(operator).text.splitlines()
        return next((float(line.removeprefix(series)) for line in lines if line.startswith(series)), None)

    until("the token's end is exposed", lambda: shown() == datetime.fromisoformat(ends).timestamp())
    stack.kubectl("delete", "sct", "entra", "-n", namespace)
    until("its series is gone", lambda: shown() is None)


def test_what_tells_of_trouble_has_the_labels_that_are_asked_for() -> None:
    metrics = OperatorMetrics()
    metrics.in_use([Key("default", "entra")])
    metrics.rotation_overdue([(Key("default", "entra"), datetime(2030, 1, 1, tzinfo=UTC))])
    metrics.unwatched(["default"])
    metrics.endpoint(endpoint_verdict.verdict_of_response("https://scim.test", 404, b""))
    there = exposed(metrics.render().decode())
    assert there["scim_operator_superseded_token_in_use"] == {"namespace", "name"}
    assert there["scim_operator_rotation_overdue_expiry_timestamp_seconds"] == {"namespace", "name"}
    assert there["scim_operator_unwatched_namespace"] == {"namespace"}
    assert there["scim_operator_endpoint_reachable"] == {"reason"}


def test_prometheus_finds_every_program_by_its_service(helm: Helm) -> None:
    rendered = helm.render(EVERYTHING)
    found = {}
    for monitor in rendered.of_kind("ServiceMonitor"):
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        (service,) = (
            item for item in rendered.of_kind("Service") if wanted <= item["metadata"]["labels"].items()
        )
        (scrape,) = monitor["spec"]["endpoints"]
        assert scrape["port"] in [port["name"] for port in service["spec"]["ports"]]
        assert monitor["metadata"]["labels"]["release"] == "prometheus"
        found[service["metadata"]["name"]] = scrape.get("honorLabels", False)
    assert found == {
        "scim-operator-operator": True,
        "scim-operator-api-internal": False,
        "scim-operator-deliver": False,
    }


def test_the_alerts_ask_for_the_jobs_that_prometheus_makes_of_these_services(helm: Helm) -> None:
    text = json.dumps(rules(helm, WITH_RULES))
    assert set(re.findall(r'job=\\"([^"\\]*)', text)) == {
        "scim-operator-operator",
        "scim-operator-api-internal",
    }
    assert set(re.findall(r'namespace=\\"([^"\\]*)', text)) == {"scim-system"}
    assert not re.search(r"\$(OPERATOR|API|NAMESPACE|CLAIM|DELIVER|LOSING)", text)


def webhook_alerts(helm: Helm, *values: Any) -> dict[str, str]:
    """Each alert about deliveries, and what it asks for."""
    return {
        rule["alert"]: rule["expr"] for rule in rules(helm, *values) if "scim_api_webhook_" in rule["expr"]
    }


def test_webhooks_are_watched_at_the_process_that_delivers_them(helm: Helm) -> None:
    for values, job in ((WITH_RULES, "scim-operator-api-internal"), (EVERYTHING, "scim-operator-deliver")):
        alerts = webhook_alerts(helm, values)
        assert len(alerts) == 3
        for expression in alerts.values():
            assert f'job="{job}",namespace="scim-system"' in expression


def test_without_webhooks_nobody_misses_who_delivers_them(helm: Helm) -> None:
    switched_off = (WITH_RULES, {"webhooks": {"enabled": False}})
    assert not webhook_alerts(helm, *switched_off)
    assert "ScimWebhookNotReady" in [rule["alert"] for rule in rules(helm, *switched_off)]


@pytest.mark.parametrize(("days", "seconds"), [(90, 83 * 86400), (14, 7 * 86400), (4, 2 * 86400), (1, 43200)])
def test_it_is_told_a_week_before_changes_leave_the_log_or_halfway(
    helm: Helm, days: int, seconds: int
) -> None:
    alerts = webhook_alerts(helm, WITH_RULES, {"api": {"changeRetentionDays": days}})
    assert alerts["ScimWebhookLosesChanges"].endswith(f"> {seconds}")


def test_every_alert_says_what_is_so_and_what_to_do(helm: Helm) -> None:
    for rule in rules(helm, EVERYTHING):
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["labels"]["team"] == "identity"
        assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
        anchor = f"https://runbooks.example.com/scim-operator#{rule['alert'].lower()}"
        assert rule["annotations"]["runbook_url"] == anchor


def test_without_an_address_an_alert_names_the_place_of_its_runbook(helm: Helm) -> None:
    for rule in rules(helm, WITH_RULES):
        assert rule["annotations"].keys() == {"summary", "description", "runbook"}
        assert rule["annotations"]["runbook"] == f"docs/runbooks.md#{rule['alert'].lower()}"


def test_the_readme_lists_every_alert_with_its_severity(helm: Helm) -> None:
    readme = (CHART / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(Scim\w+)` \| (\w+) \|", readme, re.MULTILINE)
    assert listed == [(rule["alert"], rule["labels"]["severity"]) for rule in rules(helm, WITH_RULES)]


def test_the_volume_is_watched_with_sqlite_only(helm: Helm) -> None:
    assert "ScimApiDatabaseNearFull" in [rule["alert"] for rule in rules(helm, WITH_RULES)]
    assert "ScimApiDatabaseNearFull" not in [rule["alert"] for rule in rules(helm, EVERYTHING)]


def test_prometheus_takes_the_rules(helm: Helm, chart_tools: Tools, tmp_path: Path) -> None:
    for values in (WITH_RULES, EVERYTHING):
        path = tmp_path / "rules.yaml"
        path.write_text(yaml.safe_dump(rule_groups(helm, values)), encoding="utf-8")
        promtool(chart_tools, tmp_path, "check", "rules", "--lint=all", "--lint-fatal", str(path))


def test_prometheus_fires_each_alert_when_it_should_and_not_before(
    helm: Helm, chart_tools: Tools, tmp_path: Path
) -> None:
    cases = (Path(__file__).parent / "alerts.test.yaml").read_text(encoding="utf-8")
    (tmp_path / "alerts.test.yaml").write_text(cases, encoding="utf-8")
    groups = rule_groups(helm, WITH_RULES)
    fired = {
        case["alertname"]
        for test in yaml.safe_load(cases)["tests"]
        for case in test["alert_rule_test"]
        if case["exp_alerts"]
    }
    assert fired == {rule["alert"] for rule in groups["groups"][0]["rules"]}
    for rule in groups["groups"][0]["rules"]:
        del rule["annotations"]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(groups), encoding="utf-8")
    promtool(chart_tools, tmp_path, "test", "rules", "alerts.test.yaml")


def rule_groups(helm: Helm, *values: Any) -> dict[str, Any]:
    """As a file of Prometheus."""
    found: dict[str, Any] = helm.render(*values).one("PrometheusRule", "scim-operator")["spec"]
    return found


def promtool(tools: Tools, directory: Path, *arguments: str) -> None:
    done = subprocess.run(
        [tools.path("promtool"), *arguments], cwd=directory, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr

"""The pod with the volume, by which docs/moving-to-postgresql.md and docs/backup.md work, fits the chart."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from support.chart import HOST, ROOT, Helm, Rendered

PAGES = "".join(
    (ROOT / f"docs/{name}.md").read_text(encoding="utf-8") for name in ("moving-to-postgresql", "backup")
)
RELEASE = "scim"


@pytest.fixture(scope="module")
def stopped(helm: Helm) -> Rendered:
    """The release of the examples with SQLite, as ``--set api.replicas=0`` leaves it."""
    return helm.render(HOST, {"api": {"replicas": 0}}, release=RELEASE)


@pytest.fixture(scope="module")
def pod() -> Any:
    [text] = re.findall(r"kubectl apply -f - <<EOF\n(apiVersion: v1\nkind: Pod\n.*?)EOF\n", PAGES, re.DOTALL)
    return yaml.safe_load(text)


def test_the_names_in_the_commands_are_those_of_the_release(stopped: Rendered) -> None:
    deployments = set(re.findall(r"deploy(?:ment)?[ /](scim-[a-z-]+)", PAGES))
    assert deployments == {"scim-scim-operator-api", "scim-scim-operator"}
    assert stopped.one("Deployment", "scim-scim-operator")["spec"]["replicas"] == 2
    api = stopped.one("Deployment", "scim-scim-operator-api")
    assert api["spec"]["replicas"] == 0
    assert api["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"] == "api"
    assert api["spec"]["template"]["spec"]["containers"][0]["name"] == "api"


def test_the_pod_sees_the_file_as_the_api_does(stopped: Rendered, pod: Any) -> None:
    api = stopped.one("Deployment", "scim-scim-operator-api")["spec"]["template"]["spec"]
    [volume] = [item for item in api["volumes"] if "persistentVolumeClaim" in item]
    assert pod["spec"]["volumes"] == [volume]
    [mount] = pod["spec"]["containers"][0]["volumeMounts"]
    assert mount in api["containers"][0]["volumeMounts"]
    for name in ("runAsUser", "runAsGroup", "fsGroup"):
        assert pod["spec"]["securityContext"][name] == api["securityContext"][name]
    [url] = [item["value"] for item in api["containers"][0]["env"] if item["name"] == "SCIM_API_DATABASE_URL"]
    assert f"scim-api copy --from {url} --to-env {pod['spec']['containers'][0]['env'][0]['name']}" in PAGES


def test_kubernetes_takes_the_pod_in_a_namespace_that_demands_restricted(
    kubectl: Callable[..., str], namespace: str, pod: Any
) -> None:
    kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    kubectl("wait", "--for=create", "serviceaccount/default", "-n", namespace, "--timeout=60s")
    changed = {**pod, "metadata": {**pod["metadata"], "namespace": namespace}}
    answer = kubectl("create", "--dry-run=server", "-f", "-", input=yaml.safe_dump(changed))
    assert "created (server dry run)" in answer

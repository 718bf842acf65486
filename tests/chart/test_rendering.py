"""Every values file of the repository renders to objects that Kubernetes accepts."""

import json
import re
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from localcluster import ControlPlane, Tools
from localcluster.build import MODULE, kubernetes_version
from scim_api.contract.oauth import TOKEN_PATH
from support.chart import (
    CHART,
    EVERYTHING,
    HOST,
    NAMESPACE,
    RELEASE,
    VALUES_FILES,
    Helm,
    accepted_by_the_api_server,
)
from support.kubernetes_schemas import LOCATION, write_schemas

NEWEST = kubernetes_version((MODULE / "go.mod").read_text())
every_values_file = pytest.mark.parametrize(
    "values", VALUES_FILES, ids=lambda path: path.name.removesuffix(".yaml")
)


@every_values_file
def test_helm_finds_nothing_to_complain_about(helm: Helm, values: Path) -> None:
    helm.run("lint", "--strict", str(CHART), "-f", str(values))


@every_values_file
def test_helm_3_makes_the_same_of_it(helm: Helm, helm_3: Helm, values: Path) -> None:
    helm_3.run("lint", "--strict", str(CHART), "-f", str(values))
    assert templated(helm_3, "-f", str(values)) == templated(helm, "-f", str(values))


def templated(helm: Helm, *options: str) -> list[Any]:
    """The objects for one version of Kubernetes; without a cluster, Helm 3 as it is built here thinks of an old one."""
    command = ("template", RELEASE, str(CHART), "-n", NAMESPACE, "--kube-version", NEWEST, *options)
    return list(yaml.load_all(helm.run(*command).stdout, Loader=yaml.CSafeLoader))


def test_helm_3_refuses_what_the_schema_does(helm_3: Helm) -> None:
    refused = helm_3.run(
        "lint", str(CHART), "--set-json", json.dumps({**HOST, "api": {"replicas": "two"}}), check=False
    )
    assert refused.returncode != 0
    assert "replicas" in refused.stdout + refused.stderr


@every_values_file
def test_the_api_server_accepts_every_object(helm: Helm, plane: ControlPlane, values: Path) -> None:
    """Its own validation, unknown and doubled fields included; and admission, Pod Security "restricted" among it."""
    accepted_by_the_api_server(plane, helm.text(values))


@every_values_file
def test_the_oldest_api_server_accepts_every_object(
    helm: Helm, oldest_plane: ControlPlane, values: Path
) -> None:
    accepted_by_the_api_server(oldest_plane, helm.text(values))


@pytest.fixture(scope="module")
def schemas(plane: ControlPlane, helm: Helm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of all kinds that this Kubernetes serves, ours and others' included."""
    for crd in helm.render(HOST).of_kind("CustomResourceDefinition"):
        plane.kubectl("apply", "--server-side", "-f", "-", input=json.dumps(crd))
        plane.wait_established(crd["metadata"]["name"])
    directory = tmp_path_factory.mktemp("schemas")
    assert write_schemas(json.loads(plane.kubectl("get", "--raw", "/openapi/v2").stdout), directory) > 100
    return directory


def kubeconform(tools: Tools, schemas: Path, text: str) -> dict[str, Any]:
    done = subprocess.run(
        [
            tools.path("kubeconform"), "-strict", "-summary", "-output=json",
            "-schema-location", f"{schemas}/{LOCATION}", "-",
        ],
        input=text, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@every_values_file
def test_kubeconform_finds_every_object_valid(
    helm: Helm, chart_tools: Tools, schemas: Path, values: Path
) -> None:
    answer = kubeconform(chart_tools, schemas, helm.text(values))
    assert [item["msg"] for item in answer.get("resources") or ()] == []
    count = len(helm.render(values).objects)
    assert answer["summary"] == {"valid": count, "invalid": 0, "errors": 0, "skipped": 0}


def test_kubeconform_would_find_a_mistake(helm: Helm, chart_tools: Tools, schemas: Path) -> None:
    text = helm.text(HOST).replace("enableServiceLinks:", "enableServiceLink:")
    summary = kubeconform(chart_tools, schemas, text)["summary"]
    assert summary["invalid"] == 4
    assert summary["errors"] == summary["skipped"] == 0


@pytest.mark.parametrize(
    "release",
    [
        "scim-operator", "scim", "a" * 53, "contoso.scim", "my.scim-operator", "1scim", "365", "1.2e3",
        "9" * 53, f"{'a' * 46}.scim", f"{'a.' * 26}a", "true",
    ],
)  # fmt: skip
def test_any_release_name_gives_names_that_kubernetes_takes(
    helm: Helm, plane: ControlPlane, release: str
) -> None:
    """Helm takes names with dots, and such that begin with a digit; a Service does not."""
    rendered = helm.render(EVERYTHING, release=release)
    for item in rendered.objects:
        name = item["metadata"]["name"]
        assert len(name) <= 63 or item["kind"].startswith("ClusterRole")
    for service in rendered.of_kind("Service"):
        assert re.fullmatch("[a-z]([-a-z0-9]*[a-z0-9])?", service["metadata"]["name"])
        assert service["spec"]["selector"]["app.kubernetes.io/instance"] == release
    accepted_by_the_api_server(plane, helm.text(EVERYTHING, release=release))


@pytest.mark.parametrize("name", ["on", "null", "365", "1e3"])
def test_a_name_stays_a_name_where_yaml_would_read_something_else(helm: Helm, name: str) -> None:
    values = {
        **HOST,
        "watchNamespaces": [name],
        "fullnameOverride": name,
        "trustedCa": {"secret": name, "key": name},
        "operator": {"serviceAccount": {"name": name}},
        "ingress": {"className": name, "tls": {"secretName": name}},
    }
    wrong = [
        f"{item['kind']}: {key}: {value!r}"
        for item in helm.render(values).objects
        for key, value in leaves(item)
        if key in NAMES and not isinstance(value, str)
    ]
    assert not wrong


NAMES = ("name", "namespace", "secretName", "serviceAccountName", "ingressClassName", "key")


def leaves(item: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that holds no others, with its key; the items of a list have the list's."""
    if isinstance(item, dict):
        for name, below in item.items():
            yield from leaves(below, name)
    elif isinstance(item, list):
        for below in item:
            yield from leaves(below, key)
    else:
        yield key, item


def test_what_is_not_asked_for_is_not_there(helm: Helm) -> None:
    kinds = {item["kind"] for item in helm.render(HOST).objects}
    assert kinds.isdisjoint(
        {"HTTPRoute", "HorizontalPodAutoscaler", "ServiceMonitor", "PrometheusRule", "ConfigMap", "Secret"}
    )


def test_what_is_asked_for_is_there(helm: Helm) -> None:
    kinds = {item["kind"] for item in helm.render(EVERYTHING).objects}
    assert kinds >= {
        "HTTPRoute", "Ingress", "HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy",
        "ServiceMonitor", "PrometheusRule", "ConfigMap", "CustomResourceDefinition",
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["scimtoken", "scimwebhook"])
def test_each_kind_is_rendered_as_it_was_generated(helm: Helm, kind: str) -> None:
    generated = yaml.safe_load((CHART / f"files/{kind}.yaml").read_text(encoding="utf-8"))
    rendered = helm.render(HOST).one("CustomResourceDefinition", f"{kind}s.scim-operator.io")
    assert rendered["spec"] == generated["spec"]
    assert rendered["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_every_kind_there_is_is_rendered(helm: Helm) -> None:
    rendered = helm.render(HOST).of_kind("CustomResourceDefinition")
    shipped = {
        yaml.safe_load(file.read_text())["metadata"]["name"]
        for file in (CHART.parents[1] / "crds").glob("*.yaml")
    }
    assert {crd["metadata"]["name"] for crd in rendered} == shipped
    unkept = helm.render({**HOST, "crds": {"keep": False}}).of_kind("CustomResourceDefinition")
    assert [crd["metadata"]["annotations"] for crd in unkept] == [{}, {}]


def test_the_kinds_can_be_left_to_somebody_else(helm: Helm) -> None:
    assert not helm.render({**HOST, "crds": {"install": False}}).of_kind("CustomResourceDefinition")


def test_the_volume_stays_when_the_release_goes_unless_told_otherwise(helm: Helm) -> None:
    def annotations(**persistence: Any) -> Any:
        values = {**HOST, "api": {"database": {"persistence": persistence}}}
        return helm.render(values).one("PersistentVolumeClaim", "scim-operator-data")["metadata"][
            "annotations"
        ]

    assert annotations() == {"helm.sh/resource-policy": "keep"}
    assert not annotations(keep=False)


def test_a_volume_of_ones_own_is_used(helm: Helm) -> None:
    values = {**HOST, "api": {"database": {"persistence": {"existingClaim": "mine"}}}}
    rendered = helm.render(values)
    assert not rendered.of_kind("PersistentVolumeClaim")
    assert {"name": "data", "persistentVolumeClaim": {"claimName": "mine"}} in volumes(
        rendered.one("Deployment", "scim-operator-api")
    )


def test_the_way_in_leads_to_the_public_port_for_scim_the_feed_and_the_token_endpoint_alone(
    helm: Helm,
) -> None:
    rendered = helm.render(EVERYTHING)
    (rule,) = rendered.one("Ingress", "scim-operator")["spec"]["rules"]
    assert rule["host"] == "scim.example.com"
    paths = rule["http"]["paths"]
    assert [(path["path"], path["pathType"]) for path in paths] == [
        ("/scim/v2", "Prefix"),
        ("/changes/v1", "Exact"),
        (TOKEN_PATH, "Exact"),
    ]
    for path in paths:
        assert path["backend"]["service"] == {"name": "scim-operator-api", "port": {"name": "scim"}}
    route = rendered.one("HTTPRoute", "scim-operator")["spec"]
    assert route["hostnames"] == ["scim.example.com"]
    assert [match["path"] for match in route["rules"][0]["matches"]] == [
        {"type": "PathPrefix", "value": "/scim/v2"},
        {"type": "Exact", "value": TOKEN_PATH},
        {"type": "Exact", "value": "/changes/v1"},
    ]
    assert route["rules"][0]["backendRefs"] == [{"name": "scim-operator-api", "port": 8080}]
    ports = rendered.one("Service", "scim-operator-api")["spec"]["ports"]
    assert [port["port"] for port in ports] == [8080]


def test_images_come_from_the_registry_with_tag_and_digest(helm: Helm) -> None:
    images = {name: container["image"] for name, container in helm.render(EVERYTHING).containers()}
    digest = "0123456789abcdef" * 4
    operator = f"registry.example.com/identity/scim-operator:1.2.3@sha256:{digest}"
    api = "registry.example.com/identity/scim-api:1.2.4"
    assert images["Deployment/scim-operator/operator"] == operator
    assert images["Deployment/scim-operator-api/api"] == images["Deployment/scim-operator-api/migrate"] == api
    assert set(images.values()) == {operator, api}


def test_without_a_tag_the_chart_names_its_own_version(helm: Helm) -> None:
    version = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))["appVersion"]
    images = {container["image"] for _, container in helm.render(HOST).containers()}
    assert images == {f"scim-operator:{version}", f"scim-api:{version}"}


def test_the_packed_chart_renders_the_same_and_carries_nothing_of_the_checkout(
    helm: Helm, tmp_path: Path
) -> None:
    helm.run("package", str(CHART), "-d", str(tmp_path))
    (packed,) = tmp_path.glob("*.tgz")
    with tarfile.open(packed) as archive:
        names = archive.getnames()
    assert {"scim-operator/README.md", "scim-operator/files/dashboard.json"} <= set(names)
    assert not [name for name in names if "/ci/" in name or name.endswith(".tmpl")]
    options = helm.options([EVERYTHING])
    assert helm.run("template", RELEASE, str(packed), "-n", NAMESPACE, *options).stdout == helm.text(
        EVERYTHING
    )


def test_the_dashboard_reaches_its_config_map_whole(helm: Helm) -> None:
    data = helm.render(EVERYTHING).one("ConfigMap", "scim-operator-dashboard")["data"]
    original = json.loads((CHART / "files/dashboard.json").read_text(encoding="utf-8"))
    assert json.loads(data["scim-operator.json"]) == original


def volumes(deployment: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = deployment["spec"]["template"]["spec"]["volumes"]
    return found


@pytest.mark.parametrize("values", VALUES_FILES, ids=lambda path: path.name.removesuffix(".yaml"))
def test_rendering_is_the_same_each_time(helm: Helm, values: Path) -> None:
    """Or Argo CD, which renders again and again, would see a difference each time."""
    arguments = ("template", "scim", str(CHART), "-n", NAMESPACE, "-f", str(values))
    assert helm.run(*arguments).stdout == helm.run(*arguments).stdout

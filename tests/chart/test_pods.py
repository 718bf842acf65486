"""What runs: locked down, configured by settings that exist, and ending without a lost request."""

import hashlib
from collections.abc import Iterator
from typing import Any

import click
import pytest
import yaml

from scim_api.cli import main as api_cli
from scim_api.server.settings import ApiSettings, load
from scim_operator import cli as operator_cli
from scim_operator.adapters.admin_key import CONFIG_MAP_NAME
from scim_operator.settings import OperatorSettings
from support.chart import EVERYTHING, HOST, VALUES_FILES, Helm, Object

POSTGRESQL = {"type": "postgresql", "existingSecret": {"name": "scim-database"}}
SETTINGS = {
    f"{prefix}{name.upper()}"
    for prefix, model in (("SCIM_API_", ApiSettings), ("SCIM_OPERATOR_", OperatorSettings))
    for name in model.model_fields
}
BESIDE = {"SSL_CERT_FILE", "PGSSLROOTCERT", "HTTPS_PROXY"}
"""Variables of OpenSSL, libpq and for a proxy, the latter two in a values file of ours."""

every_values_file = pytest.mark.parametrize(
    "values", VALUES_FILES, ids=lambda path: path.name.removesuffix(".yaml")
)


def deployment(helm: Helm, name: str, *values: Any) -> Object:
    found: Object = helm.render(*values).one("Deployment", name)["spec"]
    return found


def pod(helm: Helm, name: str, *values: Any) -> Object:
    found: Object = deployment(helm, name, *values)["template"]["spec"]
    return found


def environment(container: Object) -> dict[str, Any]:
    return {item["name"]: item.get("value", item.get("valueFrom")) for item in container.get("env", ())}


@every_values_file
def test_every_pod_is_restricted(helm: Helm, values: Any) -> None:
    """Hooks included; the API server says the same of Deployments and Jobs only by a warning."""
    rendered = helm.render(values)
    for _, spec in rendered.pods():
        assert spec["securityContext"]["runAsNonRoot"] is True
        named = spec["securityContext"].get("runAsUser")  # OpenShift's is of the namespace's range
        assert named == (None if getattr(values, "stem", "") == "values-openshift" else 65532)
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
        assert not any("hostPath" in volume for volume in spec["volumes"])
    for _, container in rendered.containers():
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "privileged": False,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]
        assert container["resources"]["requests"]
        assert container["resources"]["limits"]["memory"]


@every_values_file
def test_every_variable_is_a_setting_and_comes_once(helm: Helm, values: Any) -> None:
    for owner, container in helm.render(values).containers():
        names = [item["name"] for item in container.get("env", ())]
        assert len(names) == len(set(names)), owner
        assert set(names) <= SETTINGS | BESIDE, owner


def test_hosts_of_keys_are_said_only_where_workload_identities_are_switched_on(helm: Helm) -> None:
    def told(**identity: Any) -> Any:
        (container,) = pod(helm, "scim-operator-api", {**HOST, "api": {"workloadIdentity": identity}})[
            "containers"
        ]
        return environment(container).get("SCIM_API_KEYS_HOSTS")

    hosts = ["login.microsoftonline.us", "http://127.0.0.1:8099"]
    assert told(enabled=True, keysHosts=hosts) == ",".join(hosts)
    assert told(enabled=True) is None
    assert told(keysHosts=hosts) is None


@pytest.mark.parametrize("host", ["https://", "a b", "a,b", "login.test/path", ""])
def test_a_host_of_keys_that_is_none_is_refused(helm: Helm, host: str) -> None:
    values = {**HOST, "api": {"workloadIdentity": {"enabled": True, "keysHosts": [host]}}}
    assert "at '/api/workloadIdentity/keysHosts/0'" in helm.refusal(values)


def test_kubernetes_own_variables_are_not_taken_for_settings(helm: Helm) -> None:
    """A Service scim-api would set SCIM_API_PORT=tcp://… in every pod."""
    for _, spec in helm.render(EVERYTHING).pods():
        assert spec["enableServiceLinks"] is False


@every_values_file
def test_the_programs_understand_what_they_are_told(
    helm: Helm, values: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for owner, container in helm.render(values).containers():
        for name, value in environment(container).items():
            if isinstance(value, str):
                monkeypatch.setenv(name, value)
        if "/scim-api:" in f"/{container['image']}":
            load()
        elif owner.endswith(("/operator", "/release")):
            OperatorSettings()
        for name in SETTINGS:
            monkeypatch.delenv(name, raising=False)


@every_values_file
def test_each_container_runs_a_command_of_its_program(helm: Helm, values: Any) -> None:
    for owner, container in helm.render(values).containers():
        group = api_cli.main if "/scim-api:" in f"/{container['image']}" else operator_cli.cli
        command, *options = container["args"]
        assert isinstance(group, click.Group)
        found = group.get_command(click.Context(group), command)
        assert found is not None, owner
        known = {name for option in found.params for name in option.opts}
        assert {option.split("=")[0] for option in options} <= known, owner


def test_addresses_fit_together(helm: Helm) -> None:
    values = {**HOST, "operatorTLS": {"enabled": False}}
    rendered = helm.render(values)
    operator = environment(pod(helm, "scim-operator", values)["containers"][0])
    api = environment(pod(helm, "scim-operator-api", values)["containers"][0])
    endpoint = "https://scim.example.com/scim/v2"
    assert operator["SCIM_OPERATOR_ENDPOINT_URL"] == api["SCIM_API_PUBLIC_URL"] == endpoint
    for url, service in (
        (operator["SCIM_OPERATOR_SCIM_URL"], "scim-operator-api"),
        (operator["SCIM_OPERATOR_ADMIN_URL"], "scim-operator-api-internal"),
    ):
        port, *_ = rendered.one("Service", service)["spec"]["ports"]
        assert url.removesuffix("/scim/v2") == f"http://{service}.scim-system.svc:{port['port']}"
    ports = {
        port["name"]: port["containerPort"]
        for port in pod(helm, "scim-operator-api", values)["containers"][0]["ports"]
    }
    assert ports == {
        "scim": int(api["SCIM_API_PORT"]),
        "internal": int(api["SCIM_API_INTERNAL_PORT"]),
        "metrics": int(api["SCIM_API_METRICS_PORT"]),
    }


def test_services_lead_to_pods_that_are_there(helm: Helm) -> None:
    rendered = helm.render(EVERYTHING)
    for service in rendered.of_kind("Service"):
        labels = [
            item["spec"]["template"]["metadata"]["labels"].items() for item in rendered.of_kind("Deployment")
        ]
        assert sum(service["spec"]["selector"].items() <= found for found in labels) == 1


def test_the_api_waits_for_the_operators_keys(helm: Helm) -> None:
    spec = pod(helm, "scim-operator-api", HOST)
    wanted = {"name": "admin-keys", "configMap": {"name": CONFIG_MAP_NAME, "optional": False}}
    assert wanted in spec["volumes"]
    (mount,) = (item for item in spec["containers"][0]["volumeMounts"] if item["name"] == "admin-keys")
    assert environment(spec["containers"][0])["SCIM_API_ADMIN_KEYS_DIR"] == mount["mountPath"]


def test_sqlite_is_one_pod_that_goes_before_the_next_comes(helm: Helm) -> None:
    spec = deployment(helm, "scim-operator-api", HOST)
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    container = spec["template"]["spec"]["containers"][0]
    (mount,) = (item for item in container["volumeMounts"] if item["name"] == "data")
    assert environment(container)["SCIM_API_DATABASE_URL"] == f"sqlite:///{mount['mountPath']}/scim.db"
    assert "initContainers" not in spec["template"]["spec"]


def test_postgresql_is_migrated_before_a_pod_serves_while_all_before_stay(helm: Helm) -> None:
    spec = deployment(helm, "scim-operator-api", {**HOST, "api": {"replicas": 2, "database": POSTGRESQL}})
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    (migrate,) = spec["template"]["spec"]["initContainers"]
    (serve,) = spec["template"]["spec"]["containers"]
    assert (migrate["args"], serve["args"]) == (["migrate"], ["serve"])
    url = "file:///etc/scim-api/database/url"
    assert environment(migrate)["SCIM_API_DATABASE_URL"] == environment(serve)["SCIM_API_DATABASE_URL"] == url
    assert not any("persistentVolumeClaim" in volume for volume in spec["template"]["spec"]["volumes"])


@pytest.mark.parametrize(
    ("database", "name", "key"),
    [
        ({"existingSecret": {"name": "scim-database"}}, "scim-database", "url"),
        ({"existingSecret": {"name": "scim-db-app", "key": "uri"}}, "scim-db-app", "uri"),
        ({"url": "postgresql://scim:secret@db/scim"}, "scim-operator-database", "url"),
    ],
)
def test_postgresql_s_address_is_a_file_that_follows_its_secret(
    helm: Helm, database: Object, name: str, key: str
) -> None:
    """A mount of the directory: with a subPath the file would stay as it was."""
    spec = pod(helm, "scim-operator-api", {**HOST, "api": {"database": {"type": "postgresql", **database}}})
    (volume,) = (item for item in spec["volumes"] if item["name"] == "database")
    secret = {"secretName": name, "items": [{"key": key, "path": "url"}]}
    assert volume == {"name": "database", "secret": secret}
    for container in (*spec["initContainers"], *spec["containers"]):
        (mount,) = (item for item in container["volumeMounts"] if item["name"] == "database")
        assert mount == {"name": "database", "mountPath": "/etc/scim-api/database", "readOnly": True}


def test_an_address_as_a_variable_needs_no_secret_of_the_chart_s(helm: Helm) -> None:
    own = {"name": "SCIM_API_DATABASE_URL", "valueFrom": {"secretKeyRef": {"name": "mine", "key": "uri"}}}
    spec = pod(helm, "scim-operator-api", {**HOST, "api": {"database": POSTGRESQL, "extraEnv": [own]}})
    assert not any(item["name"] == "database" for item in spec["volumes"])
    for container in (*spec["initContainers"], *spec["containers"]):
        assert environment(container)["SCIM_API_DATABASE_URL"] == own["valueFrom"]
        assert not any(item["name"] == "database" for item in container["volumeMounts"])


def test_another_address_in_the_values_starts_the_pods_anew(helm: Helm) -> None:
    def annotations(url: str) -> Any:
        values = {**HOST, "api": {"database": {"type": "postgresql", "url": url}}}
        assert helm.render(values).one("Secret", "scim-operator-database")["stringData"] == {"url": url}
        return deployment(helm, "scim-operator-api", values)["template"]["metadata"]["annotations"]

    assert annotations("postgresql://a/scim") != annotations("postgresql://b/scim")


def test_with_an_autoscaler_nobody_else_says_how_many(helm: Helm) -> None:
    rendered = helm.render(EVERYTHING)
    assert "replicas" not in rendered.one("Deployment", "scim-operator-api")["spec"]
    scaler = rendered.one("HorizontalPodAutoscaler", "scim-operator-api")["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (3, 12)
    assert scaler["scaleTargetRef"]["name"] == "scim-operator-api"


def test_requests_in_flight_have_the_time_they_were_promised(helm: Helm) -> None:
    spec = pod(helm, "scim-operator-api", {**HOST, "api": {"drainSeconds": 20, "shutdownSeconds": 40}})
    (container,) = spec["containers"]
    assert container["lifecycle"]["preStop"]["sleep"]["seconds"] == 20
    assert environment(container)["SCIM_API_SHUTDOWN_SECONDS"] == "40"
    assert spec["terminationGracePeriodSeconds"] > 60


def test_probes_ask_the_port_that_nobody_outside_reaches(helm: Helm) -> None:
    for name, port in (("scim-operator", "health"), ("scim-operator-api", "internal")):
        (container,) = pod(helm, name, HOST)["containers"]
        for probe, path in (
            ("startupProbe", "/healthz"),
            ("livenessProbe", "/healthz"),
            ("readinessProbe", "/readyz"),
        ):
            assert container[probe]["httpGet"] == {"path": path, "port": port}


def peers(policy: Object) -> Iterator[tuple[str, Any]]:
    for rule in policy["spec"].get("ingress", ()):
        for port in rule["ports"]:
            yield port["port"], rule.get("from")


def test_only_the_operator_reaches_the_internal_port_and_only_prometheus_the_metrics(helm: Helm) -> None:
    allowed = dict(peers(helm.render(HOST).one("NetworkPolicy", "scim-operator-api")))
    (operator,), (prometheus,) = allowed["internal"], allowed["metrics"]
    labels = deployment(helm, "scim-operator", HOST)["template"]["metadata"]["labels"]
    assert operator["podSelector"]["matchLabels"].items() <= labels.items()
    assert operator.keys() == {"podSelector"}
    assert prometheus == {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}


def test_policies_select_the_pods_they_are_about(helm: Helm) -> None:
    rendered = helm.render(EVERYTHING)
    for kind, selector in (("NetworkPolicy", "podSelector"), ("PodDisruptionBudget", "selector")):
        for name in ("scim-operator", "scim-operator-api"):
            wanted = rendered.one(kind, name)["spec"][selector]["matchLabels"].items()
            owners = [
                owner["metadata"]["name"]
                for owner in (*rendered.of_kind("Deployment"), *rendered.of_kind("Job"))
                if wanted <= owner["spec"]["template"]["metadata"]["labels"].items()
            ]
            assert owners == [name]


def test_the_public_port_may_be_left_to_the_ingress_controller(helm: Helm) -> None:
    allowed = dict(peers(helm.render(EVERYTHING).one("NetworkPolicy", "scim-operator-api")))
    controller, ours = allowed["scim"]
    assert controller == {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}
    assert ours["podSelector"]["matchExpressions"][0]["values"] == ["operator", "self-test"]


def test_the_api_goes_to_its_database_and_nowhere_else(helm: Helm) -> None:
    def egress(*values: Any) -> Any:
        policy = helm.render(*values).one("NetworkPolicy", "scim-operator-api")["spec"]
        assert policy["policyTypes"] == ["Ingress", "Egress"]
        return policy["egress"]

    assert egress(HOST) == []
    names, database, _keys = egress(EVERYTHING)
    assert {port["port"] for port in names["ports"]} == {53, 5353}
    assert database["ports"] == [{"port": 5433, "protocol": "TCP"}]
    assert database["to"] == [{"ipBlock": {"cidr": "192.0.2.10/32"}}]


def test_pods_spread_over_nodes_and_the_operator_survives_a_drain(helm: Helm) -> None:
    rendered = helm.render({**HOST, "api": {"replicas": 2, "database": POSTGRESQL}})
    for name in ("scim-operator", "scim-operator-api"):
        spec = rendered.one("Deployment", name)["spec"]
        assert spec["replicas"] == 2
        constraints = spec["template"]["spec"]["topologySpreadConstraints"]
        for constraint in constraints:
            labels = spec["template"]["metadata"]["labels"]
            assert constraint["labelSelector"]["matchLabels"].items() <= labels.items()
        assert constraints[0]["topologyKey"] == "kubernetes.io/hostname"
        assert rendered.one("PodDisruptionBudget", name)["spec"]["maxUnavailable"] == 1


@pytest.mark.parametrize(
    "key",
    ["nodeSelector", "tolerations", "affinity", "priorityClassName", "topologySpreadConstraints"],
)
def test_pods_go_where_the_values_say(helm: Helm, key: str) -> None:
    wanted = yaml.safe_load(EVERYTHING.read_text(encoding="utf-8"))["operator"][key]
    assert pod(helm, "scim-operator", EVERYTHING)[key] == wanted


def test_what_is_added_to_a_pod_is_there(helm: Helm) -> None:
    template = deployment(helm, "scim-operator-api", EVERYTHING)["template"]
    assert template["metadata"]["annotations"]["example.com/note"] == "api"
    assert template["metadata"]["labels"]["example.com/part"] == "api"
    assert template["spec"]["imagePullSecrets"] == [{"name": "registry"}]
    assert {"name": "postgresql-ca", "configMap": {"name": "postgresql-ca"}} in template["spec"]["volumes"]
    for container in (*template["spec"]["initContainers"], *template["spec"]["containers"]):
        assert environment(container)["PGSSLROOTCERT"] == "/etc/postgresql-ca/ca.crt"
        assert any(mount["mountPath"] == "/etc/postgresql-ca" for mount in container["volumeMounts"])


def test_a_new_version_of_the_chart_alone_starts_no_pod_anew(helm: Helm) -> None:
    for item in helm.render(HOST).of_kind("Deployment"):
        assert "helm.sh/chart" in item["metadata"]["labels"]
        assert "helm.sh/chart" not in item["spec"]["template"]["metadata"]["labels"]


def test_a_private_authority_is_trusted_by_the_operator_and_the_test(helm: Helm) -> None:
    rendered = helm.render({**HOST, "trustedCa": {"secret": "company-ca", "key": "tls.crt"}})
    volume = {
        "name": "trusted-ca",
        "secret": {"secretName": "company-ca", "items": [{"key": "tls.crt", "path": "ca.crt"}]},
    }
    operator = rendered.one("Deployment", "scim-operator")["spec"]["template"]["spec"]
    test = rendered.one("Job", "scim-operator-self-test")["spec"]["template"]["spec"]
    for spec in (operator, test):
        assert volume in spec["volumes"]
        assert any(mount["name"] == "trusted-ca" for mount in spec["containers"][0]["volumeMounts"])
    assert environment(operator["containers"][0])["SSL_CERT_FILE"] == "/etc/scim-operator/ca/ca.crt"
    assert "--ca-file=/etc/scim-operator/ca/ca.crt" in test["containers"][0]["args"]


def test_another_password_of_the_database_starts_new_pods_and_its_digest_is_not_a_fast_one(
    helm: Helm,
) -> None:
    def annotations(password: str) -> dict[str, str]:
        url = f"postgresql://scim:{password}@db/scim"
        values = {**HOST, "api": {"database": {"type": "postgresql", "url": url}}}
        found: dict[str, str] = deployment(helm, "scim-operator-api", values)["template"]["metadata"][
            "annotations"
        ]
        return found

    one, same, other = annotations("one"), annotations("one"), annotations("other")
    assert one == same
    assert one != other
    fast = hashlib.sha256(b"postgresql://scim:one@db/scim").hexdigest()
    assert not any(fast.startswith(value) for value in one.values())


def test_pods_listen_on_ipv6_and_ipv4_unless_told_otherwise(helm: Helm) -> None:
    for values, address in ((HOST, "::"), (EVERYTHING, "0.0.0.0")):
        for name, variables in (
            ("scim-operator", ("SCIM_OPERATOR_HEALTH_HOST",)),
            ("scim-operator-api", ("SCIM_API_HOST", "SCIM_API_INTERNAL_HOST")),
        ):
            found = environment(pod(helm, name, values)["containers"][0])
            assert [found[variable] for variable in variables] == [address] * len(variables)


def test_services_have_the_families_that_are_asked_for(helm: Helm) -> None:
    asked = {**HOST, "ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6", "IPv4"]}
    services = helm.render(asked).of_kind("Service")
    assert len(services) == 3
    for service in services:
        assert service["spec"]["ipFamilyPolicy"] == "RequireDualStack"
        assert service["spec"]["ipFamilies"] == ["IPv6", "IPv4"]
    for service in helm.render(HOST).of_kind("Service"):
        assert not {"ipFamilyPolicy", "ipFamilies"} & service["spec"].keys()

"""Who delivers webhooks: pods of their own on PostgreSQL, the API's pod on SQLite, and nobody unless it is asked for."""

import stat
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
import yaml

from scim_operator.adapters.admin_key import CONFIG_MAP_NAME, INSTALLATION_ID
from scim_operator.adapters.webhook_key import PRIVATE_KEY, SECRET_NAME
from support.chart import CONTROLLER, EVERYTHING, HOST, Helm, Object

KEY = {"secretName": SECRET_NAME, "optional": False}
POSTGRESQL = {"type": "postgresql", "existingSecret": {"name": "scim-database"}}
APART: dict[str, Any] = {**HOST, "api": {"database": POSTGRESQL}, "webhooks": {"enabled": True}}
WITHIN: dict[str, Any] = {**HOST, "webhooks": {"enabled": True}}
NAME = "scim-operator-deliver"


def pod(helm: Helm, values: Any, name: str = NAME) -> Object:
    found: Object = helm.render(values).one("Deployment", name)["spec"]["template"]["spec"]
    return found


def environment(container: Object) -> dict[str, Any]:
    return {item["name"]: item.get("value", item.get("valueFrom")) for item in container["env"]}


def mounted(spec: Object, name: str) -> tuple[Object, str]:
    """A volume of the one container, and where it is mounted."""
    (volume,) = (item for item in spec["volumes"] if item["name"] == name)
    (mount,) = (item for item in spec["containers"][0]["volumeMounts"] if item["name"] == name)
    assert mount["readOnly"] is True
    return volume, mount["mountPath"]


@pytest.mark.parametrize("database", [{"type": "sqlite"}, POSTGRESQL], ids=["sqlite", "postgresql"])
def test_nobody_delivers_unless_it_is_asked_for(helm: Helm, database: Object) -> None:
    rendered = helm.render({**HOST, "api": {"database": database}})
    assert not [item for item in rendered.objects if item["metadata"]["name"] == NAME]
    spec = rendered.one("Deployment", "scim-operator-api")["spec"]["template"]["spec"]
    assert spec["containers"][0]["args"] == ["serve"]
    assert not any(volume["name"] == "webhook-key" for volume in spec["volumes"])


def test_on_postgresql_pods_of_their_own_deliver_and_the_apis_never_see_the_key(helm: Helm) -> None:
    assert pod(helm, APART)["containers"][0]["args"] == ["deliver"]
    api = pod(helm, APART, "scim-operator-api")
    assert api["containers"][0]["args"] == ["serve"]
    assert not any(volume["name"] == "webhook-key" for volume in api["volumes"])
    assert not any("WEBHOOK" in name for name in environment(api["containers"][0]))


def test_on_sqlite_the_apis_pod_delivers(helm: Helm) -> None:
    rendered = helm.render(WITHIN)
    assert not [item for item in rendered.objects if item["metadata"]["name"] == NAME]
    assert pod(helm, WITHIN, "scim-operator-api")["containers"][0]["args"] == ["serve", "--deliver"]


@pytest.mark.parametrize(
    ("values", "name"), [(APART, NAME), (WITHIN, "scim-operator-api")], ids=["apart", "within"]
)
def test_who_delivers_waits_for_the_operators_key_and_nobody_but_its_group_may_read_it(
    helm: Helm, values: Any, name: str
) -> None:
    """Or the program would refuse it. By the group, for the file is root's, and the pod's user the fsGroup's."""
    spec = pod(helm, values, name)
    volume, path = mounted(spec, "webhook-key")
    items = [{"key": PRIVATE_KEY, "path": "private-key.pem"}]
    mode = stat.S_IRUSR | stat.S_IRGRP
    assert volume["secret"] == {**KEY, "items": items, "defaultMode": mode}
    variables = environment(spec["containers"][0])
    assert variables["SCIM_API_WEBHOOK_KEY_FILE"] == f"{path}/private-key.pem"
    assert not {"SCIM_API_WEBHOOK_ALLOWED_NETWORKS", "SCIM_API_WEBHOOK_ALLOW_HTTP"} & variables.keys()
    allowed = {"enabled": True, "allowedNetworks": ["10.0.0.0/8", "fd00::/8"], "allowHttp": True}
    variables = environment(pod(helm, {**values, "webhooks": allowed}, name)["containers"][0])
    assert variables["SCIM_API_WEBHOOK_ALLOWED_NETWORKS"] == "10.0.0.0/8,fd00::/8"
    assert variables["SCIM_API_WEBHOOK_ALLOW_HTTP"] == "true"


def test_it_knows_whose_database_it_is_and_no_key_of_the_admin_api(helm: Helm) -> None:
    spec = pod(helm, APART)
    volume, path = mounted(spec, "installation")
    items = [{"key": INSTALLATION_ID, "path": INSTALLATION_ID}]
    assert volume["configMap"] == {"name": CONFIG_MAP_NAME, "optional": False, "items": items}
    assert environment(spec["containers"][0])["SCIM_API_ADMIN_KEYS_DIR"] == path


@pytest.mark.parametrize(
    "database",
    [
        POSTGRESQL,
        {"type": "postgresql", "existingSecret": {"name": "scim-db-app", "key": "uri"}},
        {"type": "postgresql", "url": "postgresql://scim:secret@db/scim"},
    ],
    ids=["secret", "key of a secret", "url"],
)
def test_it_has_the_database_and_the_address_as_the_api_has_them(helm: Helm, database: Object) -> None:
    own = [{"name": "PGSSLROOTCERT", "value": "/etc/postgresql-ca/ca.crt"}]
    volumes = [{"name": "postgresql-ca", "configMap": {"name": "postgresql-ca"}}]
    mounts = [{"name": "postgresql-ca", "mountPath": "/etc/postgresql-ca", "readOnly": True}]
    extra = {"extraEnv": own, "extraVolumes": volumes, "extraVolumeMounts": mounts}
    values = {**APART, "api": {"database": database, "changeRetentionDays": 30, **extra}}
    ours, theirs = pod(helm, values), pod(helm, values, "scim-operator-api")
    for name in ("database", "postgresql-ca"):
        assert mounted(ours, name) == mounted(theirs, name)
    here, there = environment(ours["containers"][0]), environment(theirs["containers"][0])
    for name in ("DATABASE_URL", "PUBLIC_URL", "CHANGE_RETENTION_DAYS", "INTERNAL_HOST", "LOG_LEVEL"):
        assert here[f"SCIM_API_{name}"] == there[f"SCIM_API_{name}"]
    assert here["PGSSLROOTCERT"] == there["PGSSLROOTCERT"]
    rendered = helm.render(values)
    checksums = {
        rendered.one("Deployment", name)["spec"]["template"]["metadata"]["annotations"].get(
            "checksum/database"
        )
        for name in (NAME, "scim-operator-api")
    }
    assert len(checksums) == 1
    assert (checksums != {None}) == ("url" in database)


def test_a_variable_of_its_own_replaces_the_apis(helm: Helm) -> None:
    proxy = {"name": "HTTPS_PROXY", "value": "http://proxy:3128"}
    api = {"database": POSTGRESQL, "extraEnv": [proxy, {"name": "SCIM_API_LOG_LEVEL", "value": "warning"}]}
    mine = [{"name": "SCIM_API_LOG_LEVEL", "value": "debug"}]
    values = {**APART, "api": api, "webhooks": {"enabled": True, "extraEnv": mine}}
    here = environment(pod(helm, values)["containers"][0])
    assert (here["HTTPS_PROXY"], here["SCIM_API_LOG_LEVEL"]) == ("http://proxy:3128", "debug")
    there = environment(pod(helm, values, "scim-operator-api")["containers"][0])
    assert there["SCIM_API_LOG_LEVEL"] == "warning"


def test_it_is_probed_at_the_port_it_listens_on_and_ends_in_its_own_time(helm: Helm) -> None:
    spec = pod(helm, {**APART, "webhooks": {"enabled": True, "shutdownSeconds": 45}})
    (container,) = spec["containers"]
    variables = environment(container)
    assert container["ports"] == [
        {"name": "internal", "containerPort": int(variables["SCIM_API_INTERNAL_PORT"])}
    ]
    for probe, path in (("startup", "/healthz"), ("liveness", "/healthz"), ("readiness", "/readyz")):
        assert container[f"{probe}Probe"]["httpGet"] == {"path": path, "port": "internal"}
    assert variables["SCIM_API_SHUTDOWN_SECONDS"] == "45"
    assert spec["terminationGracePeriodSeconds"] > 45
    strategy = helm.render(APART).one("Deployment", NAME)["spec"]["strategy"]
    assert strategy["rollingUpdate"]["maxUnavailable"] == 0


def test_a_drain_takes_one_pod_at_a_time_where_there_are_several(helm: Helm) -> None:
    budget = helm.render(EVERYTHING).one("PodDisruptionBudget", NAME)["spec"]
    assert budget["maxUnavailable"] == 1
    labels = helm.render(EVERYTHING).one("Deployment", NAME)["spec"]["template"]["metadata"]["labels"]
    assert budget["selector"]["matchLabels"].items() <= labels.items()
    assert not helm.render(APART).has("PodDisruptionBudget", NAME)
    several = {"enabled": True, "replicas": 2, "podDisruptionBudget": {"enabled": False}}
    assert not helm.render({**APART, "webhooks": several}).has("PodDisruptionBudget", NAME)


@pytest.mark.parametrize(
    "key", ["nodeSelector", "tolerations", "affinity", "priorityClassName", "topologySpreadConstraints"]
)
def test_pods_that_deliver_go_where_the_values_say(helm: Helm, key: str) -> None:
    wanted = yaml.safe_load(EVERYTHING.read_text(encoding="utf-8"))["webhooks"][key]
    assert pod(helm, EVERYTHING)[key] == wanted


def test_what_the_values_add_to_the_pods_is_there_and_they_spread(helm: Helm) -> None:
    metadata = helm.render(EVERYTHING).one("Deployment", NAME)["spec"]["template"]["metadata"]
    assert metadata["annotations"]["example.com/note"] == metadata["labels"]["example.com/part"] == "deliver"
    account = helm.render(EVERYTHING).one("ServiceAccount", NAME)
    assert account["metadata"]["annotations"] == {"example.com/role": "deliver"}
    template = helm.render(APART).one("Deployment", NAME)["spec"]["template"]
    keys = []
    for constraint in template["spec"]["topologySpreadConstraints"]:
        assert constraint["labelSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
        keys.append(constraint["topologyKey"])
    assert keys == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]


# -- who reaches it, and whom it reaches --------------------------------------------------------------
def policy(helm: Helm, values: Any, name: str = NAME) -> Object:
    found: Object = helm.render(values).one("NetworkPolicy", name)["spec"]
    return found


def ports(rule: Object) -> list[tuple[str, Any]]:
    return [(item["protocol"], item["port"]) for item in rule["ports"]]


def reaches(rule: Object, address: str) -> bool:
    """Whether a rule's blocks let an address be reached."""
    for peer in rule["to"]:
        block = peer["ipBlock"]
        if ip_address(address) in ip_network(block["cidr"]) and not any(
            ip_address(address) in ip_network(part) for part in block.get("except", ())
        ):
            return True
    return False


def test_prometheus_alone_reaches_it(helm: Helm) -> None:
    spec = policy(helm, APART)
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    labels = helm.render(APART).one("Deployment", NAME)["spec"]["template"]["metadata"]["labels"]
    assert spec["podSelector"]["matchLabels"].items() <= labels.items()
    (rule,) = spec["ingress"]
    assert ports(rule) == [("TCP", "internal")]
    (peer,) = rule["from"]
    assert peer["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "monitoring"}
    nobody = {"ingressFrom": [CONTROLLER], "prometheus": []}
    assert policy(helm, {**APART, "networkPolicy": nobody})["ingress"] == []


def test_it_reaches_names_its_database_and_public_receivers_by_https(helm: Helm) -> None:
    names, database, receivers = policy(helm, APART)["egress"]
    assert ("UDP", 53) in ports(names)
    assert ports(database) == [("TCP", 5432)]
    assert ports(receivers) == [("TCP", 443)]
    for address in ("93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"):
        assert reaches(receivers, address), address
    for address in (
        "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "127.0.0.1", "169.254.169.254", "168.63.129.16",
        "::1", "fd00:ec2::254", "fe80::1",
    ):  # fmt: skip
        assert not reaches(receivers, address), address


def test_networks_that_receivers_may_be_in_are_reached_too(helm: Helm) -> None:
    webhooks = {"enabled": True, "allowedNetworks": ["10.244.0.0/16", "fd00:1::/64"], "allowHttp": True}
    network = {"ingressFrom": [CONTROLLER], "receiverPorts": [443, 8080]}
    *_, receivers = policy(helm, {**APART, "webhooks": webhooks, "networkPolicy": network})["egress"]
    assert ports(receivers) == [("TCP", 443), ("TCP", 8080)]
    for address in ("10.244.3.4", "fd00:1::5", "93.184.215.14"):
        assert reaches(receivers, address), address
    for address in ("10.245.0.1", "fd00:2::1", "169.254.169.254"):
        assert not reaches(receivers, address), address


def test_where_receivers_are_can_be_said(helm: Helm) -> None:
    proxy = [{"podSelector": {"matchLabels": {"app": "proxy"}}}]
    network = {"ingressFrom": [CONTROLLER], "receivers": proxy, "receiverPorts": [3128]}
    *_, receivers = policy(helm, {**APART, "networkPolicy": network})["egress"]
    assert (receivers["to"], ports(receivers)) == (proxy, [("TCP", 3128)])


def test_without_a_dns_port_no_rule_opens_everything(helm: Helm) -> None:
    network = {"ingressFrom": [CONTROLLER], "dnsPorts": []}
    database, receivers = policy(helm, {**APART, "networkPolicy": network})["egress"]
    assert (ports(database), ports(receivers)) == ([("TCP", 5432)], [("TCP", 443)])


def test_the_apis_way_out_is_the_same_on_postgresql_and_leads_to_receivers_on_sqlite(helm: Helm) -> None:
    without = {**APART, "webhooks": {"enabled": False}}
    assert policy(helm, APART, "scim-operator-api") == policy(helm, without, "scim-operator-api")
    names, receivers = policy(helm, WITHIN, "scim-operator-api")["egress"]
    assert ("UDP", 53) in ports(names)
    assert receivers == policy(helm, APART)["egress"][-1]


def test_notes_say_which_pods_deliver(helm: Helm) -> None:
    assert "deployment/scim-operator-deliver" in helm.notes(APART)
    assert "deployment/scim-operator-deliver" not in helm.notes(WITHIN)
    for values in (APART, WITHIN):
        assert "kind: ScimWebhook" in helm.notes(values)
    assert "ScimWebhook" not in helm.notes(HOST)

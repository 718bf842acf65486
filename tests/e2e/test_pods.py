"""The chart with SQLite in real pods: Entra through the ingress, rotation, lost pods, uninstalled and back.

The tests are one story, in this order, told by one release.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from demo.console import until
from entra_standin.dialects import Dialect
from localcluster.errors import ClusterError
from localcluster.node import Node
from support.example_pod import ExamplePod
from support.pods import CERTIFICATE, GATEWAY_HOST, HOST, QUICK, ROOT, THIS, Pods, ThroughIngress, installed

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def pods(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pods]:
    with installed(node, tmp_path_factory.mktemp("pods"), "pods-sqlite") as release:
        yield release


@pytest.fixture(scope="module")
def feed(pods: Pods) -> ExamplePod:
    """The example application, which a team applies: it is not waited for."""
    feed = ExamplePod(pods, f"localhost/scim-api:{THIS}")
    feed.apply()
    return feed


def test_a_scim_token_becomes_a_secret_with_the_public_endpoint(pods: Pods) -> None:
    pods.apply_token("entra", rateLimit=QUICK)
    assert pods.secret("entra")["endpoint"] == f"https://{HOST}/scim/v2"


def test_the_manifest_of_the_example_application_is_taken_as_it_stands(feed: ExamplePod) -> None:
    assert feed.warnings == ""


def test_the_endpoint_is_found_reachable_through_the_ingress_with_its_own_authority(pods: Pods) -> None:
    until(
        "EndpointReachable tells",
        lambda: pods.condition("entra", "EndpointReachable").get("status") == "True",
        60,
    )


@pytest.mark.parametrize("dialect", list(Dialect))
def test_entra_plays_all_its_cycles_over_https_by_host_name(pods: Pods, dialect: Dialect) -> None:
    name = f"cycle-{dialect.name.lower().replace('_', '-')}"
    pods.apply_token(name, tenant=name, rateLimit=QUICK)
    pods.play(name, dialect)


def test_who_is_provisioned_is_in_the_example_application_and_signed_out_within_a_second_of_being_disabled(
    pods: Pods, feed: ExamplePod
) -> None:
    with pods.client(pods.secret("entra")["token"]) as scim:
        person = feed.provision(scim, "ada")
        feed.until_signed_in("ada")
        assert feed.seconds_to_sign_out(scim, person, "ada") < 1


@pytest.mark.parametrize("path", ["/admin/v1/connections", "/metrics", "/healthz", "/"])
def test_nothing_but_scim_comes_through_the_ingress(pods: Pods, path: str) -> None:
    with httpx.Client(transport=ThroughIngress(pods.authority), trust_env=False) as client:
        assert client.get(f"https://{HOST}{path}").status_code == 404


def test_a_gateway_leads_to_it_as_an_ingress_does(pods: Pods) -> None:
    gateway = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "public"},
        "spec": {
            "gatewayClassName": "traefik",
            "listeners": [
                {
                    "name": "https",
                    "port": 443,
                    "protocol": "HTTPS",
                    "hostname": GATEWAY_HOST,
                    "tls": {"certificateRefs": [{"name": CERTIFICATE}]},
                }
            ],
        },
    }
    pods.kubectl("apply", "-f", "-", input=json.dumps(gateway))
    pods.install(
        ROOT,
        THIS,
        host=GATEWAY_HOST,
        endpointUrl=f"https://{HOST}/scim/v2",
        ingress={"enabled": False},
        httpRoute={"enabled": True, "parentRefs": [{"name": "public"}]},
    )
    until("the Gateway leads there", lambda: pods.test_connection("entra", GATEWAY_HOST) == 200, 30)
    pods.install(ROOT, THIS)
    until("the Ingress leads there again", lambda: pods.test_connection("entra", HOST) == 200, 30)


def test_helm_test_plays_a_life_of_its_own_and_cleans_up(pods: Pods) -> None:
    try:
        pods.helm("test", pods.name, "--timeout", "120s", timeout=150)
    except ClusterError as error:
        logs = pods.kubectl("logs", "-l", "app.kubernetes.io/component=self-test", "--tail=50", check=False)
        raise AssertionError(f"{error}\n{logs}") from None
    names = [item["metadata"]["name"] for item in pods.get("sct")["items"]]
    assert "helm-test" not in names


LOOKS = [
    {"apiGroups": ["scim-operator.io"], "resources": ["scimtokens"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]},
]
FORWARDS = [
    {"apiGroups": [""], "resources": ["services", "pods"], "verbs": ["list", "get"]},
    {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["create"]},
]
"""What docs/kubectl.md says that ``users`` and the like need, in the ScimToken's namespace and in the installation's."""


def test_the_plugin_reads_people_through_a_port_forward_with_the_rights_that_are_documented(
    pods: Pods, node: Node
) -> None:
    pods.apply_token("people")
    for name, rules in (("looker", [*LOOKS, *FORWARDS]), ("stranger", LOOKS)):
        role = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": name},
            "rules": rules,
        }
        pods.kubectl("apply", "-f", "-", input=json.dumps(role))
        pods.kubectl("create", "rolebinding", name, f"--role={name}", f"--user={name}")
    environment = {**os.environ, "KUBECONFIG": str(node.kubeconfig), "KUBECTL": str(node.tools / "kubectl")}

    def scim(*arguments: str) -> "subprocess.CompletedProcess[str]":
        program = Path(sys.executable).parent / "kubectl-scim"
        return subprocess.run(
            [program, *arguments, "-n", pods.namespace],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )

    played = scim("simulate", "people", "--yes", "--port-forward")
    assert played.returncode == 0, played.stdout + played.stderr
    there = ("--installation-namespace", pods.namespace)
    done = scim("log", "people", "--as", "looker", "--type", "user.deleted", *there)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "deleted         externalId scim-simulate  by" in done.stdout
    refused = scim("users", "people", "--as", "stranger", *there)
    assert 'cannot list resource "services"' in refused.stderr
    assert f"over the network instead: https://{HOST}/scim/v2" in refused.stderr


def test_the_plugins_image_shows_what_the_pods_serviceaccount_may_see(pods: Pods, node: Node) -> None:
    image = "localhost/kubectl-scim:this"
    (ROOT / "build").mkdir(exist_ok=True)
    shutil.copy2(node.tools / "kubectl", ROOT / "build/kubectl")
    node.build_image(ROOT, image, target="kubectl-scim")
    pods.apply_token("seen")
    pods.kubectl("create", "serviceaccount", "viewer")
    pods.kubectl("create", "role", "viewer", "--verb=get,list", "--resource=scimtokens.scim-operator.io")
    pods.kubectl(
        "create", "rolebinding", "viewer", "--role=viewer", f"--serviceaccount={pods.namespace}:viewer"
    )
    container = {
        "name": "look",
        "image": image,
        "imagePullPolicy": "Never",
        "args": ["status", "seen"],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "look"},
        "spec": {
            "serviceAccountName": "viewer",
            "restartPolicy": "Never",
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container],
        },
    }
    pods.kubectl("apply", "-f", "-", input=json.dumps(pod))
    until("it has ended", lambda: pods.get("pod", "look")["status"]["phase"] in {"Succeeded", "Failed"}, 90)
    said = pods.kubectl("logs", "look")
    assert f"ScimToken {pods.namespace}/seen" in said
    assert "secrets" in said  # that it may not look at
    assert "forbidden" in said


def test_a_rotation_under_traffic_rejects_nothing_with_the_old_token_nor_with_the_new(pods: Pods) -> None:
    current = pods.secret("entra")["token"]
    with pods.traffic(lambda: current) as traffic:
        traffic.enough()
        old, new = pods.rotate("entra")
        traffic.enough()
        current = new
        traffic.enough()
    assert old != new
    assert traffic.failures == []
    assert traffic.lost(new) == []


def test_the_example_application_goes_on_when_its_token_rotates_and_the_old_one_is_revoked(
    pods: Pods, feed: ExamplePod
) -> None:
    before = feed.log()
    old, new = pods.rotate("feed")
    feed.wait_mounted(new)
    with pods.client(pods.secret("entra")["token"]) as scim, pods.client(old) as revoked:
        person = feed.provision(scim, "grace")
        feed.until_signed_in("grace")  # What waited with the old token was answered with her.
        pods.kubectl("annotate", "sct", "feed", "scim-operator.io/revoke=all-superseded")
        until("the old token is refused", lambda: revoked.get("/Users?count=1").status_code == 401, 30)
        assert feed.seconds_to_sign_out(scim, person, "grace") < 1
    assert feed.log() == before
    feed.remove()


def test_an_api_pod_that_is_deleted_takes_no_acknowledged_write_with_it(pods: Pods) -> None:
    token = pods.secret("entra")["token"]
    with pods.traffic(lambda: token) as traffic:
        traffic.enough()
        pods.kubectl("delete", "pod", pods.pods("api")[0]["metadata"]["name"], "--wait=false")
        until("it is away", lambda: traffic.failures, 60)
        traffic.recovered()
    assert only_unavailable(traffic.failures)
    assert traffic.lost(token) == []


def test_a_node_whose_kubelet_starts_anew_goes_on_serving(pods: Pods) -> None:
    token = pods.secret("entra")["token"]
    before = {pod["metadata"]["uid"] for pod in pods.pods("api")}
    with pods.traffic(lambda: token) as traffic:
        traffic.enough()
        pods.node.restart("kubelet")
        traffic.enough(200)
        traffic.recovered()
    # A kubelet that begins takes a pod for not ready until it has asked it.
    assert only_unavailable(traffic.failures)
    assert traffic.lost(token) == []
    assert {pod["metadata"]["uid"] for pod in pods.pods("api")} == before


def test_each_pod_runs_without_rights(pods: Pods) -> None:
    for component in ("operator", "api"):
        name = pods.pods(component)[0]["metadata"]["name"]
        python = (
            "import os; s = open('/proc/self/status').read(); print(os.getuid(), "
            "s.partition('CapEff:')[2].split()[0], s.partition('Seccomp:')[2].split()[0], "
            "os.path.exists('/var/run/secrets/kubernetes.io/serviceaccount/token'))"
        )
        uid, capabilities, seccomp, account = pods.kubectl("exec", name, "--", "python", "-c", python).split()
        assert (uid, int(capabilities, 16), seccomp) == ("65532", 0, "2")
        assert account == str(component == "operator")
        with pytest.raises(ClusterError, match="Read-only file system"):
            pods.kubectl("exec", name, "--", "python", "-c", "open('/app/x', 'w')")


@pytest.mark.parametrize(
    ("component", "module"), [("operator", "scim_operator.app"), ("api", "scim_api.server.serve")]
)
def test_a_program_that_starts_compiles_nothing(pods: Pods, component: str, module: str) -> None:
    name = pods.pods(component)[0]["metadata"]["name"]
    python = (
        f"import os, sys, {module}; files = [m.__cached__ for m in sys.modules.values() if getattr(m, '__cached__', 0)]; "
        "print(len(files), *(file for file in files if not os.path.exists(file)))"
    )
    number, *compiled = pods.kubectl("exec", name, "--", "python", "-c", python).split()
    assert int(number) > 300
    assert compiled == []


def test_no_log_of_any_pod_holds_a_token(pods: Pods) -> None:
    logs = "".join(
        pods.kubectl("logs", pod["metadata"]["name"], "--all-containers")
        for component in ("operator", "api")
        for pod in pods.pods(component)
    )
    assert "sct_" not in logs
    assert '"event"' in logs


def number_of_users(pods: Pods, token: str) -> int | None:
    """How many there are; None while the ingress has no pod to ask, as after a kubelet began anew."""
    with pods.client(token) as client:
        answer = client.get("/Users", params={"count": 1})
    if answer.status_code in {404, 503}:
        return None
    assert answer.status_code == 200, answer.text
    found: int = answer.json()["totalResults"]
    return found


def test_an_uninstallation_leaves_scim_tokens_secrets_and_people_and_an_installation_picks_them_up(
    pods: Pods,
) -> None:
    pods.apply_token("erase", tenant="erase", deletionPolicy="Delete")
    before = pods.secret("entra")
    people = until("the users are served", lambda: number_of_users(pods, before["token"]), 60)

    pods.helm("uninstall", pods.name, "--wait", "--timeout", "120s", timeout=150)

    until(
        "no pod is left",
        lambda: not pods.get("pods", "-l", "app.kubernetes.io/component in (api,operator)")["items"],
        60,
    )
    assert pods.secret("entra") == before
    assert not any("finalizers" in item["metadata"] for item in pods.get("sct")["items"])

    pods.install(ROOT, THIS)

    assert until("they are served again", lambda: number_of_users(pods, before["token"]), 60) == people
    assert pods.secret("entra") == before
    pods.kubectl("wait", "--for=condition=Ready", "sct/entra", "--timeout=90s")


def test_a_network_policy_lets_strangers_at_no_port(pods: Pods) -> None:
    address = pods.pods("api")[0]["status"]["podIP"]
    ask = (
        "import sys, urllib.request as r\n"
        "o = r.build_opener(r.ProxyHandler({}))\n"
        "try: print(o.open(sys.argv[1], timeout=5).status)\n"
        "except OSError as error: print(getattr(error, 'reason', error))\n"
    )

    def asked(pod: str, port: int, path: str) -> str:
        url = f"http://{address}:{port}{path}"
        return pods.kubectl("exec", pod, "--", "python", "-c", ask, url).strip()

    stranger = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "stranger"},
        "spec": {
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "stranger",
                    "image": f"localhost/scim-operator:{THIS}",
                    "imagePullPolicy": "Never",
                    "command": ["python", "-c", "import time; time.sleep(600)"],
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
        },
    }
    pods.kubectl("apply", "-f", "-", input=json.dumps(stranger))
    pods.kubectl("wait", "--for=condition=Ready", "pod/stranger", "--timeout=60s")
    operator = pods.pods("operator")[0]["metadata"]["name"]
    try:
        assert asked(operator, 8081, "/healthz") == "200"
        until("strangers are refused", lambda: "200" not in asked("stranger", 8081, "/healthz"), 30)
        for port in (8081, 8082):
            assert asked("stranger", port, "/metrics") not in ("200", "404")
        assert asked("stranger", 8080, "/scim/v2/Users") != "Unauthorized"
        assert asked(operator, 8081, "/healthz") == "200"
        assert asked(operator, 8080, "/scim/v2/Users") == "Unauthorized"
    finally:
        pods.kubectl("delete", "pod", "stranger", "--grace-period=0", "--force")


def only_unavailable(failures: list[str]) -> bool:
    """Whether Entra would try again after each: anything but a 404 or 401."""
    return all(failure.split()[1].rstrip(":") in ("502", "503", "504") for failure in failures)

"""The commands of docs/runbooks.md: those about ScimTokens run as written, the others name what the chart makes."""

import os
import re
import subprocess
import textwrap
from pathlib import Path

from scim_operator.adapters.admin_key import CONFIG_MAP_NAME, SECRET_NAME
from support.chart import HOST, ROOT, Helm, Rendered
from support.stack import Stack, until

PAGE = (ROOT / "docs/runbooks.md").read_text(encoding="utf-8")
BLOCKS = [
    textwrap.dedent(block) for block in re.findall(r"^ *```sh\n(.*?)^ *```$", PAGE, re.MULTILINE | re.DOTALL)
]
COMMANDS = [line for block in BLOCKS for line in block.splitlines()]
ABOUT_SCIMTOKENS = [
    command
    for command in COMMANDS
    if re.search(r"\$NAME\b|\bsct -A|\blease\b|auth can-i", command) and "logs" not in command
]
NAMED = re.compile(r"\b(deploy|deployment|pvc|secret|configmap|lease)[/ ]([a-z][a-z0-9-]+)")
KINDS = {"deploy": "Deployment", "deployment": "Deployment", "pvc": "PersistentVolumeClaim"}
POSTGRESQL = {"api": {"database": {"type": "postgresql", "existingSecret": {"name": "scim-database"}}}}
WEBHOOKS = {"webhooks": {"enabled": True}}
WRITTEN_BY_THE_OPERATOR = {
    ("secret", SECRET_NAME),
    ("configmap", CONFIG_MAP_NAME),
    ("lease", "scim-operator"),
}


def test_commands_name_what_a_release_scim_makes(helm: Helm) -> None:
    installed = helm.render(HOST, release="scim")
    apart = helm.render(HOST, POSTGRESQL, WEBHOOKS, release="scim")
    named = {found for command in COMMANDS for found in NAMED.findall(command)}
    assert len(named) >= 6
    for kind, name in named - WRITTEN_BY_THE_OPERATOR:
        assert installed.has(KINDS[kind], name) or apart.has(KINDS[kind], name), f"{kind} {name}"


def test_commands_name_containers_and_components_that_there_are(helm: Helm) -> None:
    installed = helm.render(HOST, POSTGRESQL, WEBHOOKS, release="scim")
    containers = {owner.rpartition("/")[2] for owner, _ in installed.containers()}
    assert set(re.findall(r"-c (\w+)", "\n".join(COMMANDS))) <= containers
    components = set(re.findall(r"component=([a-z-]+)", "\n".join(COMMANDS)))
    assert components <= pod_components(installed)
    accounts = set(re.findall(r"--as=system:serviceaccount:scim-system:([a-z-]+)", "\n".join(COMMANDS)))
    assert accounts == {"scim-scim-operator"}
    assert installed.has("ServiceAccount", *accounts)


def pod_components(installed: Rendered) -> set[str]:
    return {
        item["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"]
        for item in installed.of_kind("Deployment")
    }


def test_commands_about_scimtokens_run_as_they_are_written(
    stack: Stack, namespace: str, tmp_path: Path
) -> None:
    """In the page's order: among them the one that ends a suspension, and the one that prints the token."""
    stack.apply(namespace, "entra", suspend=True)
    secret = stack.wait_ready(namespace, "entra")
    until(
        "its endpoint was checked",
        lambda: stack.condition(namespace, "entra", "EndpointReachable").get("status") == "True",
    )
    assert len(ABOUT_SCIMTOKENS) > 12
    shown = {command: run(stack, namespace, command, tmp_path) for command in ABOUT_SCIMTOKENS}
    spec = stack.object(namespace, "entra")["spec"]
    assert spec.get("suspend", False) is False
    assert spec["rateLimit"] == {"requestsPerSecond": 100, "burst": 200}
    (token,) = {text for command, text in shown.items() if "{.data.token}" in command}
    assert token == secret["token"]
    (conditions,) = (text for command, text in shown.items() if "sort -u" in command)
    assert "Reachable: " in conditions
    (answer,) = (text for command, text in shown.items() if command.startswith("curl"))
    assert " 401 " in answer.splitlines()[0]
    assert "urn:ietf:params:scim:api:messages:2.0:Error" in answer


def run(stack: Stack, namespace: str, command: str, home: Path) -> str:
    """One command, as a person with these variables runs it."""
    kubectl = home / "kubectl"
    if not kubectl.exists():
        kubectl.symlink_to(stack.control_plane.tools.path("kubectl"))
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        capture_output=True,
        text=True,
        timeout=130,
        env={
            "PATH": f"{home}:{os.environ['PATH']}",
            "HOME": str(home),
            "KUBECONFIG": str(stack.control_plane.kubeconfig),
            "NAMESPACE": namespace,
            "NAME": "entra",
            "NO_PROXY": "127.0.0.1",
        },
    )
    allowed = 1 if "auth can-i" in command else 0  # the test's account has another name than the chart's
    assert done.returncode <= allowed, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout

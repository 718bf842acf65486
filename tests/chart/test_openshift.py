"""Values for OpenShift: pods name no user and no group, so that the namespace's range counts."""

from pathlib import Path

import pytest
import yaml

from support.chart import EVERYTHING, HOST, ROOT, Helm

OPENSHIFT = ROOT / "examples/values-openshift.yaml"
NOBODY = {"podSecurityContext": {"runAsUser": None, "runAsGroup": None, "fsGroup": None}}
PAGE = (ROOT / "docs/openshift.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("values", [OPENSHIFT, EVERYTHING], ids=["example", "everything"])
def test_no_pod_names_a_user_or_group_hooks_included(helm: Helm, values: Path) -> None:
    for owner, pod in helm.render(values, NOBODY).pods():
        context = pod["securityContext"]
        assert not {"runAsUser", "runAsGroup", "fsGroup", "supplementalGroups"} & context.keys(), owner
        assert context["runAsNonRoot"] is True
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            assert not {"runAsUser", "runAsGroup"} & container["securityContext"].keys(), owner


def test_the_example_says_so_itself(helm: Helm) -> None:
    for owner, pod in helm.render(OPENSHIFT).pods():
        assert "runAsUser" not in pod["securityContext"], owner


@pytest.mark.parametrize(("number", "path"), [(1, "/scim/v2"), (2, "/oauth2/token"), (3, "/changes/v1")])
def test_the_routes_of_the_page_lead_to_the_public_port(helm: Helm, number: int, path: str) -> None:
    text = PAGE.split("kind: Route\n")[number].split("```")[0].split("---\n")[0]
    route = yaml.safe_load(text)
    service = helm.render(HOST, release="scim").one("Service", route["spec"]["to"]["name"])
    assert route["spec"]["port"]["targetPort"] in [port["name"] for port in service["spec"]["ports"]]
    assert route["metadata"]["namespace"] == service["metadata"]["namespace"]
    assert route["spec"]["path"] == path

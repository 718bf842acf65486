"""What helm runs beside the release: ScimTokens of the values, the test, and what an uninstallation needs."""

from typing import Any

import yaml

from scim_operator.api.scimtoken import ScimToken
from scim_operator.commands.apply import document_key, read
from support.chart import EVERYTHING, HOST, NAMESPACE, NAMESPACED, Helm, Object

HOOK, WEIGHT, POLICY = "helm.sh/hook", "helm.sh/hook-weight", "helm.sh/hook-delete-policy"
SCIM_TOKENS = "scim-operator-scimtokens"


def hooks(helm: Helm, *values: Any) -> dict[str, list[Object]]:
    """All hooks by when they run."""
    found: dict[str, list[Object]] = {}
    for item in helm.render(*values).objects:
        when = (item["metadata"].get("annotations") or {}).get(HOOK)
        if when is not None:
            found.setdefault(when, []).append(item)
    return found


def test_a_scim_token_is_never_helms_own(helm: Helm) -> None:
    """Helm would delete it, and its tokens with it, before each upgrade or with the release."""
    rendered = helm.render(EVERYTHING)
    assert not rendered.of_kind("ScimToken")
    assert rendered.has("Job", SCIM_TOKENS)


def test_scim_tokens_of_the_values_are_applied_as_they_stand(helm: Helm) -> None:
    data = helm.render(EVERYTHING).one("ConfigMap", SCIM_TOKENS)["data"]
    documents = read(data["scimtokens.yaml"], namespace="elsewhere")
    assert [str(document_key(document)) for document in documents] == [f"{NAMESPACE}/entra", "sales/entra"]
    wanted = yaml.safe_load(EVERYTHING.read_text(encoding="utf-8"))["scimTokens"]
    assert [document["spec"] for document in documents] == [item.get("spec", {}) for item in wanted]
    assert documents[0]["metadata"]["labels"] == wanted[0]["labels"]
    assert documents[0]["metadata"]["annotations"] == wanted[0]["annotations"]
    assert ScimToken.from_object(documents[0]).tenant == "contoso"


def test_they_are_applied_after_the_release_is_there_with_rights_that_go_again(helm: Helm) -> None:
    (applied,) = (
        items for when, items in hooks(helm, NAMESPACED).items() if when == "post-install,post-upgrade"
    )
    weights = {item["kind"]: int(item["metadata"]["annotations"][WEIGHT]) for item in applied}
    assert weights.keys() == {"ServiceAccount", "Role", "RoleBinding", "ConfigMap", "Job"}
    assert all(weights["Job"] > weight for kind, weight in weights.items() if kind != "Job")
    for item in applied:
        assert item["metadata"]["annotations"][POLICY] == "before-hook-creation,hook-succeeded"


def test_the_job_reads_the_file_that_is_mounted(helm: Helm) -> None:
    spec = helm.render(EVERYTHING).one("Job", SCIM_TOKENS)["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    (mount,) = (item for item in container["volumeMounts"] if item["name"] == "scimtokens")
    assert container["args"] == ["apply", f"--filename={mount['mountPath']}/scimtokens.yaml"]
    assert {"name": "scimtokens", "configMap": {"name": SCIM_TOKENS}} in spec["volumes"]


def test_without_scim_tokens_in_the_values_nothing_applies_any(helm: Helm) -> None:
    assert hooks(helm, HOST).keys() == {"test", "pre-delete"}


def test_before_an_uninstallation_the_finalizers_go_with_the_operators_own_rights(helm: Helm) -> None:
    (job,) = hooks(helm, HOST)["pre-delete"]
    spec = job["spec"]["template"]["spec"]
    assert spec["serviceAccountName"] == "scim-operator"
    (container,) = spec["containers"]
    assert container["args"] == ["release", "--hold=30"]
    operator = helm.render(HOST).one("Deployment", "scim-operator")["spec"]["template"]["spec"]["containers"][
        0
    ]
    told = {item["name"]: item for item in operator["env"]}
    assert all(told[item["name"]] == item for item in container["env"])


def test_it_takes_finalizers_off_where_the_operator_watched(helm: Helm) -> None:
    (job,) = hooks(helm, NAMESPACED)["pre-delete"]
    env = {
        item["name"]: item.get("value") for item in job["spec"]["template"]["spec"]["containers"][0]["env"]
    }
    assert env["SCIM_OPERATOR_WATCH_NAMESPACES"] == "team-a,team-b"


def test_hooks_can_be_left_out(helm: Helm) -> None:
    assert hooks(helm, {**HOST, "uninstall": {"release": False}, "tests": {"enabled": False}}) == {}


def test_the_test_asks_where_it_is_told_to(helm: Helm) -> None:
    def asked(url: str) -> list[str]:
        job = helm.render({**HOST, "tests": {"url": url}}).one("Job", "scim-operator-self-test")
        args: list[str] = job["spec"]["template"]["spec"]["containers"][0]["args"]
        return [argument for argument in args if argument.startswith("--url=")]

    assert asked("") == []
    assert asked("internal") == ["--url=http://scim-operator-api.scim-system.svc:8080/scim/v2"]
    assert asked("https://other.example.com/scim/v2") == ["--url=https://other.example.com/scim/v2"]


def test_what_a_hook_said_is_shown_by_helm(helm: Helm) -> None:
    policies = {
        job["metadata"]["name"]: job["metadata"]["annotations"]["helm.sh/hook-output-log-policy"]
        for job in helm.render(EVERYTHING).of_kind("Job")
    }
    assert policies == {
        "scim-operator-release": "hook-failed",
        SCIM_TOKENS: "hook-failed",
        "scim-operator-self-test": "hook-succeeded,hook-failed",
    }

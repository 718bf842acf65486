"""TLS between operator and API, as the chart puts it together."""

import json

from chart.test_pods import environment, peers, pod
from support.chart import HOST, Helm


def test_with_tls_the_operator_asks_one_port_whose_certificate_it_issues(helm: Helm) -> None:
    rendered = helm.render(HOST)
    operator = environment(pod(helm, "scim-operator", HOST)["containers"][0])
    spec = pod(helm, "scim-operator-api", HOST)
    (container,) = spec["containers"]
    api = environment(container)
    ports = {
        port["name"]: port["port"]
        for port in rendered.one("Service", "scim-operator-api-internal")["spec"]["ports"]
    }
    url = f"https://scim-operator-api-internal.scim-system.svc:{ports['operator']}"
    assert (operator["SCIM_OPERATOR_ADMIN_URL"], operator["SCIM_OPERATOR_SCIM_URL"]) == (
        url,
        f"{url}/scim/v2",
    )
    (listens,) = [port["containerPort"] for port in container["ports"] if port["name"] == "operator"]
    assert listens == int(api["SCIM_API_OPERATOR_PORT"])
    (volume,) = [volume for volume in spec["volumes"] if volume["name"] == "operator-tls"]
    assert volume["secret"] == {"secretName": operator["SCIM_OPERATOR_API_TLS_SECRET"], "optional": False}
    (mount,) = [mount for mount in container["volumeMounts"] if mount["name"] == "operator-tls"]
    assert (mount["mountPath"], mount["readOnly"]) == (api["SCIM_API_OPERATOR_TLS_DIR"], True)
    allowed = dict(peers(rendered.one("NetworkPolicy", "scim-operator-api")))
    assert allowed["operator"] == allowed["internal"]
    rules = rendered.one("Role", "scim-operator")["rules"]
    (named,) = [
        rule for rule in rules if rule.get("resourceNames") == [operator["SCIM_OPERATOR_API_TLS_SECRET"]]
    ]
    assert (named["resources"], named["verbs"]) == (["secrets"], ["get", "update"])


def test_without_tls_nothing_of_it_is_left(helm: Helm) -> None:
    rendered = helm.render({**HOST, "operatorTLS": {"enabled": False}})
    text = json.dumps([item for item in rendered.objects if item["kind"] != "CustomResourceDefinition"])
    assert "operator-tls" not in text
    assert "api-tls" not in text
    assert "TLS_DIR" not in text
    assert "8443" not in text

"""What the operator is told of Microsoft's side."""

from typing import Any

import pytest

from scim_operator.settings import OperatorSettings, SettingsError, load
from support.chart import HOST, Helm

PREFIX = "SCIM_OPERATOR_ENTRA_"
NEEDED: dict[str, Any] = {"endpoint_url": "https://scim.test/scim/v2", "admin_url": "http://127.0.0.1:8081"}


def told(helm: Helm, **entra: Any) -> dict[str, str]:
    """The operator's settings of that kind."""
    rendered = helm.render({**HOST, "entra": entra})
    (container,) = rendered.one("Deployment", "scim-operator")["spec"]["template"]["spec"]["containers"]
    return {
        item["name"].removeprefix(PREFIX): item["value"]
        for item in container["env"]
        if item["name"].startswith(PREFIX)
    }


def test_without_values_it_is_what_the_operator_would_do_anyway(helm: Helm) -> None:
    fields = OperatorSettings.model_fields
    found = told(helm)
    assert found.keys() == {"CHECK_SECONDS", "REQUESTS_PER_SECOND"}
    for name, value in found.items():
        assert float(value) == fields[f"entra_{name.lower()}"].default


def test_an_administrator_names_other_hosts(helm: Helm) -> None:
    hosts = {"loginURL": "https://login.example.com", "graphURL": "http://127.0.0.1:8099"}
    assert told(helm, checkSeconds=30, requestsPerSecond=5, **hosts) == {
        "CHECK_SECONDS": "30",
        "REQUESTS_PER_SECOND": "5",
        "LOGIN_URL": "https://login.example.com",
        "GRAPH_URL": "http://127.0.0.1:8099",
    }


@pytest.mark.parametrize(
    ("address", "good"),
    [
        ("https://login.example.com", True),
        ("https://gateway.example.com:8443/login", True),
        ("http://localhost:8099", True),
        ("http://127.0.0.1:8099", True),
        ("http://[::1]:8099", True),
        ("login.example.com", False),
        ("http://login.example.com", False),
        ("http://127.0.0.1.example.com", False),
        ("https://login.example.com?a=b", False),
        ("https://someone@login.example.com", False),
    ],
)
def test_chart_and_operator_take_the_same_addresses(helm: Helm, address: str, good: bool) -> None:
    for value, setting in (("loginURL", "entra_login_url"), ("graphURL", "entra_graph_url")):
        if good:
            assert address in told(helm, **{value: address}).values()
            load(**NEEDED, **{setting: address})
        else:
            assert f"at '/entra/{value}'" in helm.refusal({**HOST, "entra": {value: address}})
            with pytest.raises(SettingsError):
                load(**NEEDED, **{setting: address})


@pytest.mark.parametrize("value", ["checkSeconds", "requestsPerSecond"])
def test_never_to_look_and_to_send_nothing_at_all_is_refused(helm: Helm, value: str) -> None:
    assert f"at '/entra/{value}'" in helm.refusal({**HOST, "entra": {value: 0}})

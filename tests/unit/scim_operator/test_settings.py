"""Settings are typed, have defaults that fit together, and say what to write when they are wrong."""

from pathlib import Path

import pytest
import yaml

from scim_operator.planning.planner import REQUEST_INTERVAL
from scim_operator.settings import MIRRORING_TOOLS, RENAMED, OperatorSettings, SettingsError, load

ROOT = Path(__file__).resolve().parents[3]

NEEDED = {"endpoint_url": "https://scim.example.com/scim/v2", "admin_url": "http://scim-api:8081"}


@pytest.fixture(autouse=True)
def _no_settings_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*OperatorSettings.model_fields, *RENAMED):
        monkeypatch.delenv(f"SCIM_OPERATOR_{name.upper()}", raising=False)


def test_two_settings_are_enough() -> None:
    settings = load(**NEEDED)
    assert (settings.verification_url, settings.workers, settings.watch_namespaces) == (
        NEEDED["endpoint_url"],
        8,
        (),
    )


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCIM_OPERATOR_ENDPOINT_URL", "https://scim.example.com/scim/v2/")
    monkeypatch.setenv("SCIM_OPERATOR_ADMIN_URL", "http://scim-api:8081")
    monkeypatch.setenv("SCIM_OPERATOR_WATCH_NAMESPACES", " red, blue ,")
    settings = load()
    assert settings.endpoint_url == "https://scim.example.com/scim/v2"
    assert settings.watch_namespaces == ("red", "blue")


def test_denied_metadata_is_a_list_of_domains_that_may_be_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(**NEEDED).denied_secret_metadata == MIRRORING_TOOLS
    for text, domains in {"": (), "example.com/, b.example": ("example.com", "b.example")}.items():
        monkeypatch.setenv("SCIM_OPERATOR_DENIED_SECRET_METADATA", text)
        assert load(**NEEDED).denied_secret_metadata == domains


@pytest.mark.parametrize(
    "url",
    ["https://login.example.com", "http://127.0.0.1:8443/login", "http://[::1]:1", "http://localhost:1"],
)
def test_login_and_graph_may_be_elsewhere_by_https_or_on_loopback(url: str) -> None:
    settings = load(**NEEDED, entra_login_url=url, entra_graph_url=f"{url}/")
    assert settings.entra_login_url == settings.entra_graph_url == url
    assert load(**NEEDED).entra_login_url is load(**NEEDED).entra_graph_url is None


def test_the_chart_has_the_same_defaults() -> None:
    values = yaml.safe_load((ROOT / "charts/scim-operator/values.yaml").read_text())["operator"]
    seconds = load(**NEEDED).requested_rotation_seconds
    assert values["requestedRotationSeconds"] == seconds == REQUEST_INTERVAL.seconds
    assert tuple(values["deniedSecretMetadata"]) == MIRRORING_TOOLS


def test_a_missing_setting_is_named_by_its_variable() -> None:
    with pytest.raises(SettingsError) as refused:
        load()
    assert "SCIM_OPERATOR_ENDPOINT_URL is not set" in str(refused.value)
    assert "SCIM_OPERATOR_ADMIN_URL is not set" in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("endpoint_url", "scim.example.com", "https://scim.example.com/scim/v2"),
        ("admin_url", "ftp://x", "absolute URL"),
        ("workers", "0", "greater than or equal to 1"),
        ("log_level", "verbose", "'debug', 'info', 'warning' or 'error'"),
        ("watch_namespaces", "Not_A_Namespace", "pattern"),
        ("denied_secret_metadata", "example.com/key", "pattern"),
        ("requested_rotation_seconds", "-1", "greater than or equal to 0"),
        ("health_port", "70000", "less than or equal to 65535"),
        ("entra_login_url", "http://login.example.com", "write https: credentials go there"),
        ("entra_graph_url", "http://10.0.0.1/graph", "http is for loopback alone"),
        ("entra_graph_url", "https://user:word@graph.example.com", "without a user"),
        ("entra_graph_url", "graph.microsoft.com", "absolute URL"),
        ("entra_graph_url", "https://:443/", "host name"),
        ("entra_requests_per_second", "0", "greater than 0"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_variable_and_a_hint(name: str, value: str, hint: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load(**{**NEEDED, name: value})
    assert f"SCIM_OPERATOR_{name.upper()}=" in str(refused.value)
    assert hint in str(refused.value)


def test_renamed_and_wrong_settings_are_refused_together_with_a_line_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("scim_operator_recheck_seconds", "60")
    monkeypatch.setenv("SCIM_OPERATOR_SWEEP_BRAKE_COUNT", "7")
    with pytest.raises(SettingsError) as refused:
        load(**{**NEEDED, "workers": "0"})
    lines = str(refused.value).splitlines()
    assert lines[:2] == [
        "SCIM_OPERATOR_SWEEP_BRAKE_COUNT is now SCIM_OPERATOR_DELETION_LIMIT_COUNT: rename it",
        "SCIM_OPERATOR_RECHECK_SECONDS is now SCIM_OPERATOR_FULL_RECONCILE_SECONDS: rename it",
    ]
    assert lines[2].startswith("SCIM_OPERATOR_WORKERS='0'")


def test_a_holder_must_stop_before_others_may_take_over() -> None:
    with pytest.raises(SettingsError, match="two could lead at once"):
        load(**NEEDED, lease_duration_seconds=10, lease_renew_deadline_seconds=10)


def test_one_lost_renewal_must_not_end_the_leadership() -> None:
    with pytest.raises(SettingsError, match="at most half"):
        load(**NEEDED, lease_renew_period_seconds=6)


def test_every_process_has_a_name_of_its_own() -> None:
    assert load(**NEEDED).identity != load(**NEEDED).identity

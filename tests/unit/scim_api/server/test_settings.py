"""Settings: where they come from, what is refused in which words, and the endpoint that follows from them."""

import os
from pathlib import Path

import pytest

from scim_api.contract.oauth import LOGIN_HOSTS
from scim_api.http.oauth.key_address import KeyHosts
from scim_api.server.settings import SettingsError, load

HOSTS_REMEDY = (
    "write names such as login.microsoftonline.com, or an origin such as https://keys.example.com:8443, with commas "
    "between them"
)


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("SCIM_API_")]:
        monkeypatch.delenv(name)


def test_nothing_given_serves_an_sqlite_file_on_this_machine_alone() -> None:
    settings = load()
    assert settings.database_url == "sqlite:///scim.db"
    assert (settings.host, settings.port, settings.internal_host) == ("127.0.0.1", 8080, "127.0.0.1")
    assert settings.internal_port is None
    assert settings.admin_keys_dir is None
    assert (settings.log_level, settings.shutdown_seconds) == ("info", 8.0)


def test_an_option_beats_the_environment_and_one_not_given_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCIM_API_PORT", "9000")
    monkeypatch.setenv("SCIM_API_HOST", "10.0.0.1")
    monkeypatch.setenv("SCIM_API_ADMIN_KEYS_DIR", "/keys")
    settings = load(port=9001, host=None)
    assert (settings.port, settings.host, settings.admin_keys_dir) == (9001, "10.0.0.1", Path("/keys"))


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("port", 65536, "Input should be less than or equal to 65535"),
        ("port", -1, "Input should be greater than or equal to 0"),
        ("internal_port", "x", "Input should be a valid integer, unable to parse string as an integer"),
        ("log_level", "loud", "Input should be 'debug', 'info', 'warning' or 'error'"),
        ("max_connections", 9, "Input should be greater than or equal to 10"),
        ("head_seconds", 0, "Input should be greater than 0"),
        ("body_seconds", 601, "Input should be less than or equal to 600"),
        ("shutdown_seconds", 0, "Input should be greater than 0"),
        ("shutdown_seconds", 601, "Input should be less than or equal to 600"),
        ("change_retention_days", 0, "Input should be greater than or equal to 1"),
        ("keys_max_age_days", 0, "Input should be greater than 0"),
        ("keys_max_age_days", 366, "Input should be less than or equal to 365"),
        (
            "keys_hosts",
            "login.example,*.example",
            f"'*.example' is not a host: {HOSTS_REMEDY}",
        ),
        (
            "public_url",
            "scim.example.com",
            "write an absolute URL such as https://scim.example.com/scim/v2",
        ),
        (
            "public_url",
            "https://scim.example.com/api",
            "the service answers under /scim/v2: write https://scim.example.com/scim/v2",
        ),
    ],
)
@pytest.mark.parametrize("from_environment", [False, True])
def test_a_wrong_value_is_named_with_what_is_wrong_and_where_to_change_it(
    monkeypatch: pytest.MonkeyPatch, option: str, value: object, message: str, from_environment: bool
) -> None:
    if from_environment:
        monkeypatch.setenv(f"SCIM_API_{option.upper()}", str(value))
    with pytest.raises(SettingsError) as refused:
        load(**({} if from_environment else {option: value}))
    name = option.replace("_", "-")
    assert str(refused.value) == f"{option}: {message} (option --{name} or SCIM_API_{option.upper()})"


@pytest.mark.parametrize(
    "url", ["ftp://scim.example.com/scim/v2", "https:///scim/v2", "https://x/scim/v2?a=b", "https://x/#top"]
)
def test_a_public_url_that_no_client_could_use_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="write an absolute URL"):
        load(public_url=url)


def test_every_wrong_setting_has_a_line_of_its_own() -> None:
    with pytest.raises(SettingsError) as refused:
        load(port=70000, log_level="loud", public_url="x")
    lines = str(refused.value).splitlines()
    assert [line.split(":")[0] for line in lines] == ["port", "public_url", "log_level"]


@pytest.mark.parametrize(
    ("host", "endpoint"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080/scim/v2"),
        ("scim.internal", "http://scim.internal:8080/scim/v2"),
        ("::1", "http://[::1]:8080/scim/v2"),
        ("2001:db8::7", "http://[2001:db8::7]:8080/scim/v2"),
        ("0.0.0.0", "http://127.0.0.1:8080/scim/v2"),
        ("::", "http://127.0.0.1:8080/scim/v2"),
    ],
)
def test_the_endpoint_is_where_a_client_on_this_machine_reaches_the_public_port(
    host: str, endpoint: str
) -> None:
    assert load(host=host).endpoint == endpoint


@pytest.mark.parametrize("path", ["", "/", "/scim/v2", "/scim/v2/"])
def test_a_public_url_is_the_endpoint_with_the_path_of_the_service(path: str) -> None:
    settings = load(public_url=f"https://scim.example.com:8443{path}", host="10.0.0.1")
    assert settings.endpoint == "https://scim.example.com:8443/scim/v2"


def test_keys_are_fetched_from_microsofts_login_hosts_unless_somebody_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert KeyHosts.read(load().keys_hosts) == KeyHosts(hosts=frozenset(LOGIN_HOSTS))
    assert load().keys_max_age_days == 7
    monkeypatch.setenv("SCIM_API_KEYS_HOSTS", "http://127.0.0.1:8099")
    monkeypatch.setenv("SCIM_API_KEYS_MAX_AGE_DAYS", "0.5")
    assert KeyHosts.read(load().keys_hosts).origins == {("http", "127.0.0.1", 8099)}
    assert load().keys_max_age_days == 0.5

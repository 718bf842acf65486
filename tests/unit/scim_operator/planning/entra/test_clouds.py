"""Where each cloud has its login and Graph, and what an administrator's URLs replace."""

import pytest

from scim_operator.api.entra import GraphCloud
from scim_operator.planning.entra.clouds import Clouds

CLOUDS = [
    ("Public", "login.microsoftonline.com", "graph.microsoft.com", "api://AzureADTokenExchange"),
    ("USGovernment", "login.microsoftonline.us", "graph.microsoft.us", "api://AzureADTokenExchangeUSGov"),
    (
        "USGovernmentDoD",
        "login.microsoftonline.us",
        "dod-graph.microsoft.us",
        "api://AzureADTokenExchangeUSGov",
    ),
    ("China", "login.chinacloudapi.cn", "microsoftgraph.chinacloudapi.cn", "api://AzureADTokenExchangeChina"),
]


@pytest.mark.parametrize(("cloud", "login", "graph", "audience"), CLOUDS, ids=[row[0] for row in CLOUDS])
def test_each_cloud_has_hosts_scope_and_audience_of_its_own(
    cloud: str, login: str, graph: str, audience: str
) -> None:
    found = Clouds().endpoints(GraphCloud(cloud))
    assert (found.login, found.graph) == (f"https://{login}", f"https://{graph}")
    assert (found.scope, found.exchange_audience) == (f"https://{graph}/.default", audience)
    assert found.token_url("t") == f"https://{login}/t/oauth2/v2.0/token"
    assert found.admin_consent_url("t", "c") == f"https://{login}/t/adminconsent?client_id=c"


def test_every_cloud_is_in_the_table() -> None:
    assert {row[0] for row in CLOUDS} == {cloud.value for cloud in GraphCloud}


def test_the_administrators_urls_replace_microsofts_in_every_cloud() -> None:
    clouds = Clouds("http://127.0.0.1:1/login/", "http://127.0.0.1:1/graph/")
    for cloud in GraphCloud:
        found = clouds.endpoints(cloud)
        assert found.token_url("t") == "http://127.0.0.1:1/login/t/oauth2/v2.0/token"
        assert found.graph == "http://127.0.0.1:1/graph"
        assert found.scope == "00000003-0000-0000-c000-000000000000/.default"
        assert found.exchange_audience == Clouds().endpoints(cloud).exchange_audience


def test_another_login_alone_leaves_graph_as_it_is() -> None:
    found = Clouds(login_url="https://login.example").endpoints(GraphCloud.PUBLIC)
    assert (found.login, found.graph) == ("https://login.example", "https://graph.microsoft.com")
    assert found.scope == "https://graph.microsoft.com/.default"

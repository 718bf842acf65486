"""Who gets an access token, and what the login says to whom it gives none."""

from typing import Any

import httpx
import pytest

from entra_standin.graph import Caller, MicrosoftCloud, Tenant
from unit.entra_standin.graph.graph_client import SECRET, Clock, GraphClient, error_of

OTHER = "5e1f0c7a-2b6d-4c38-9a41-7d3e8f60b9c2"


def refusal(answer: httpx.Response) -> tuple[int, str, int]:
    """Status, RFC 6749's code and the one of Microsoft, after a look at the whole."""
    body = answer.json()
    [code] = body["error_codes"]
    assert body["error_description"].startswith(f"AADSTS{code}: ")
    assert body["trace_id"] in body["error_description"]
    assert body["correlation_id"] in body["error_description"]
    assert SECRET not in answer.text
    return answer.status_code, body["error"], code


def test_a_client_secret_gets_an_access_token(graph: GraphClient) -> None:
    body = graph.token().json()
    assert body["token_type"] == "Bearer"
    assert body["expires_in"] == body["ext_expires_in"] == 3599
    assert len(body["access_token"]) > 1000
    assert body["access_token"] != graph.token().json()["access_token"]


@pytest.mark.parametrize(
    ("form", "status", "error", "code"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client", 7000215),
        ({"client_id": OTHER}, 400, "unauthorized_client", 700016),
        ({"client_id": ""}, 400, "invalid_request", 900144),
        ({"grant_type": "password"}, 400, "unsupported_grant_type", 70003),
        ({"scope": ""}, 400, "invalid_request", 900144),
        ({"scope": "https://graph.microsoft.com/User.Read"}, 400, "invalid_scope", 1002012),
        ({"scope": "https://vault.azure.net/.default"}, 400, "invalid_resource", 500011),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else None,
)
def test_a_wrong_field_is_refused_with_its_own_code(
    graph: GraphClient, form: dict[str, str], status: int, error: str, code: int
) -> None:
    assert refusal(graph.token(**form)) == (status, error, code)


@pytest.mark.parametrize(
    "host", ["graph.microsoft.com", "graph.microsoft.us", "dod-graph.microsoft.us", "microsoftgraph.chinacloudapi.cn"]
)  # fmt: skip
def test_graph_of_every_cloud_may_be_asked_for(graph: GraphClient, host: str) -> None:
    assert graph.token(scope=f"https://{host}/.default").status_code == 200


def test_graph_may_be_asked_for_by_its_application_id(graph: GraphClient) -> None:
    assert graph.token(scope="00000003-0000-0000-c000-000000000000/.default").status_code == 200


def test_the_clouds_own_address_may_be_asked_for(graph: GraphClient) -> None:
    assert graph.token(scope=f"{graph.cloud.graph_url}/.default").status_code == 200


def test_without_secret_and_assertion_nobody_signs_in(cloud: MicrosoftCloud, caller: Caller) -> None:
    form = {
        "client_id": caller.client_id,
        "scope": "https://graph.microsoft.com/.default",
        "grant_type": "client_credentials",
    }
    assert refusal(httpx.post(cloud.token_url(caller.home), data=form, trust_env=False))[2] == 7000218


def test_an_expired_secret_has_a_code_of_its_own(graph: GraphClient, caller: Caller, clock: Clock) -> None:
    caller.expire_secrets(clock() + 10)
    assert graph.token().status_code == 200
    clock.advance(seconds=10)
    assert refusal(graph.token()) == (401, "invalid_client", 7000222)


def test_a_second_secret_works_beside_the_first(graph: GraphClient, caller: Caller) -> None:
    second = caller.add_secret()
    assert graph.token(client_secret=second).status_code == 200
    assert graph.token().status_code == 200
    caller.remove_secrets()
    assert refusal(graph.token())[2] == 7000215


@pytest.mark.parametrize(
    ("tenant_id", "code"), [(OTHER, 90002), ("contoso.example", 90002), ("nonsense", 900023)]
)
def test_an_unknown_tenant_is_told(cloud: MicrosoftCloud, caller: Caller, tenant_id: str, code: int) -> None:
    assert refusal(GraphClient(cloud, caller, tenant_id).token()) == (400, "invalid_request", code)


def test_an_application_of_one_tenant_is_unknown_in_another(cloud: MicrosoftCloud, caller: Caller) -> None:
    customer = cloud.add_tenant()
    assert refusal(GraphClient(cloud, caller, customer.id).token()) == (400, "unauthorized_client", 700016)


@pytest.fixture
def vendor(tenant: Tenant) -> Caller:
    return tenant.add_caller(secret=SECRET, roles={"Synchronization.ReadWrite.All"}, multi_tenant=True)


@pytest.mark.parametrize(("code", "status"), [(7000229, 401), (700016, 400)])
def test_a_multi_tenant_application_needs_a_consent_in_each_tenant(
    cloud: MicrosoftCloud, vendor: Caller, code: int, status: int
) -> None:
    cloud.behaviour.missing_consent_code = code
    customer = cloud.add_tenant()
    graph = GraphClient(cloud, vendor, customer.id)
    refused = refusal(graph.token())
    assert (refused[0], refused[2]) == (status, code)
    vendor.consent(customer.id, {"Synchronization.ReadWrite.All"})
    assert graph.token().status_code == 200
    vendor.withdraw(customer.id)
    assert refusal(graph.token())[2] == code


def test_the_consent_link_gives_the_tenant_a_service_principal_with_the_same_roles(
    cloud: MicrosoftCloud, vendor: Caller
) -> None:
    customer = cloud.add_tenant()
    link = f"{cloud.login_url}/{customer.id}/adminconsent?client_id={vendor.client_id}"
    assert httpx.get(link, trust_env=False).status_code == 200
    assert vendor.roles(customer.id) == {"Synchronization.ReadWrite.All"}
    assert GraphClient(cloud, vendor, customer.id).token().status_code == 200


def answer_of(graph: GraphClient) -> tuple[int, str]:
    return error_of(graph.call("GET", f"/servicePrincipals/{OTHER}/synchronization/jobs"))


def test_an_access_token_ends_by_the_clock(graph: GraphClient, clock: Clock) -> None:
    clock.advance(seconds=3598)
    assert answer_of(graph) == (404, "Request_ResourceNotFound")
    clock.advance(seconds=1)
    assert answer_of(graph) == (401, "InvalidAuthenticationToken")
    graph.sign_in()
    assert answer_of(graph) == (404, "Request_ResourceNotFound")


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer nonsense"}, {"authorization": "Basic x"}])
def test_without_an_access_token_graph_says_so(graph: GraphClient, headers: dict[str, str]) -> None:
    graph.headers = headers
    assert answer_of(graph) == (401, "InvalidAuthenticationToken")


def test_tokens_can_be_forgotten(graph: GraphClient) -> None:
    graph.cloud.forget_tokens()
    assert answer_of(graph) == (401, "InvalidAuthenticationToken")


def test_another_path_of_the_login_is_nowhere(cloud: MicrosoftCloud) -> None:
    answer: Any = httpx.post(f"{cloud.login_url}/common/oauth2/token", trust_env=False)
    assert refusal(answer)[0] == 404

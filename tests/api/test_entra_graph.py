"""Graph's synchronization API, played against the real SCIM service: what Entra holds is tried and used for real."""

import secrets
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from entra_standin.directory import six_people, three_teams
from entra_standin.graph import Application, Caller, ExecutionState, Job, MicrosoftCloud
from scim_api.cli import issuance, sign_in
from scim_api.contract.admin import RateLimit, TenantSettings
from scim_api.contract.oauth import token_endpoint
from support.postgres import PostgresServer
from support.scim_service import ScimService, service_on

DAY = timedelta(days=1)
UNLIMITED = TenantSettings(rate_limit=RateLimit(requests_per_second=10_000, burst=10_000))


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def service(
    request: pytest.FixtureRequest, postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ScimService]:
    directory = tmp_path_factory.mktemp("service")
    with service_on(request.param, directory, postgres_server) as service:
        yield service


@pytest.fixture(scope="module")
def module_cloud() -> Iterator[MicrosoftCloud]:
    with MicrosoftCloud() as cloud:
        yield cloud


class Entra:
    """An application with a job, and a caller who may do everything with it."""

    def __init__(self, cloud: MicrosoftCloud) -> None:
        tenant = cloud.add_tenant()
        secret = secrets.token_urlsafe()
        caller: Caller = tenant.add_caller(secret=secret, roles={"Synchronization.ReadWrite.All"})
        self.application: Application = tenant.add_application(people=six_people(), teams=three_teams())
        [self.job] = self.application.jobs
        form = {
            "client_id": caller.client_id,
            "client_secret": secret,
            "grant_type": "client_credentials",
            "scope": "https://graph.microsoft.com/.default",
        }
        granted = httpx.post(cloud.token_url(tenant.id), data=form, trust_env=False).json()
        self._headers = {"authorization": f"Bearer {granted['access_token']}"}
        self._url = f"{cloud.graph_url}/{{}}/servicePrincipals/{self.application.service_principal_id}/synchronization"

    def call(self, method: str, path: str, body: Any = None, *, version: str = "v1.0") -> httpx.Response:
        url = self._url.format(version) + path
        return httpx.request(method, url, json=body, headers=self._headers, trust_env=False, timeout=30)

    def validate(self, **credentials: str) -> int:
        body = {"templateId": "scim", "credentials": pairs(**credentials)}
        return self.call("POST", f"/jobs/{self.job.id}/validateCredentials", body).status_code

    def validate_saved(self) -> int:
        body = {"templateId": "scim", "useSavedCredentials": True}
        return self.call("POST", f"/jobs/{self.job.id}/validateCredentials", body).status_code


@pytest.fixture
def entra(module_cloud: MicrosoftCloud) -> Entra:
    return Entra(module_cloud)


def pairs(**values: str) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in values.items()]


def state_of(job: Job) -> ExecutionState:
    execution = job.run_cycle()
    assert execution is not None
    assert execution.cycle is None or execution.cycle.failures == ()
    return execution.state


def test_a_secret_token_is_tried_saved_and_used_until_it_is_wrong(service: ScimService, entra: Entra) -> None:
    endpoint = service.connect(f"t{secrets.token_hex(6)}")
    wrong = endpoint.token[:-1] + ("A" if endpoint.token[-1] != "A" else "B")
    assert entra.validate(BaseAddress=endpoint.url, SecretToken=wrong) == 400
    assert entra.validate(BaseAddress=endpoint.url, SecretToken=endpoint.token) == 204
    body = {"value": pairs(BaseAddress=endpoint.url, SecretToken=endpoint.token)}
    assert entra.call("PUT", "/secrets", body).status_code == 204
    assert entra.validate_saved() == 204
    assert entra.call("POST", f"/jobs/{entra.job.id}/start").status_code == 204
    assert [state_of(entra.job) for _ in range(2)] == [ExecutionState.SUCCEEDED] * 2
    assert len(entra.job.ids) == 6

    assert entra.call("PUT", "/secrets", {"value": pairs(SecretToken=wrong)}).status_code == 204
    assert state_of(entra.job) is ExecutionState.FAILED
    assert entra.call("GET", f"/jobs/{entra.job.id}").json()["status"]["code"] == "Quarantine"
    assert entra.call("PUT", "/secrets", body).status_code == 204
    assert entra.call("POST", f"/jobs/{entra.job.id}/start").status_code == 204
    assert state_of(entra.job) is ExecutionState.SUCCEEDED


def test_client_credentials_are_tried_saved_and_used(service: ScimService, entra: Entra) -> None:
    name = f"t{secrets.token_hex(6)}"
    issued = service.store(
        lambda store: issuance.create(
            store,
            "demo",
            name,
            tenant=name,
            settings=UNLIMITED,
            sign_in=sign_in.ClientCredentials(DAY, 3600),
            endpoint=service.url,
        )
    )
    assert issued.client_id is not None
    assert issued.plaintext is not None
    held = {
        "BaseAddress": service.url,
        "Oauth2ClientId": issued.client_id,
        "Oauth2ClientSecret": issued.plaintext,
        "Oauth2TokenExchangeUri": token_endpoint(service.url),
    }
    assert entra.validate(**{**held, "Oauth2ClientSecret": "wrong"}) == 400
    assert entra.validate(**held) == 204
    named = {key[0].lower() + key[1:]: value for key, value in held.items()}
    body = {
        "value": pairs(
            authenticationType="OAuth2ClientCredentialsGrant", credentialLocationInRequest="Header", **named
        )
    }
    assert entra.call("PATCH", "/connectivityParameters", body, version="beta").status_code == 204
    assert entra.validate_saved() == 204
    assert entra.call("POST", f"/jobs/{entra.job.id}/start").status_code == 204
    assert [state_of(entra.job) for _ in range(2)] == [ExecutionState.SUCCEEDED] * 2


def test_an_endpoint_without_groups_passes_and_gets_users_alone(service: ScimService, entra: Entra) -> None:
    endpoint = service.connect(f"t{secrets.token_hex(6)}", groups="Disabled")
    entra.application.credentials = {"BaseAddress": endpoint.url, "SecretToken": endpoint.token}
    assert entra.validate_saved() == 204
    entra.job.start()
    assert state_of(entra.job) is ExecutionState.SUCCEEDED
    assert entra.job.history[-1].cycle is not None
    assert entra.job.history[-1].cycle.groups is None


def test_one_person_is_provisioned_on_demand(service: ScimService, entra: Entra) -> None:
    endpoint = service.connect(f"t{secrets.token_hex(6)}")
    body = {"value": pairs(BaseAddress=endpoint.url, SecretToken=endpoint.token)}
    assert entra.call("PUT", "/secrets", body).status_code == 204
    subject = {"objectId": "ada", "objectTypeName": "User"}
    rule = entra.application.rules["User"]
    asked = {"parameters": [{"ruleId": rule, "subjects": [subject]}]}
    answer = entra.call("POST", f"/jobs/{entra.job.id}/provisionOnDemand", asked)
    assert answer.status_code == 200
    assert '"Success"' in answer.json()["key"]
    headers = {"authorization": f"Bearer {endpoint.token}"}
    assert httpx.get(f"{endpoint.url}/Users", headers=headers, trust_env=False).json()["totalResults"] == 1

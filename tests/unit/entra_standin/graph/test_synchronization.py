"""The synchronization API over HTTP: credentials, jobs, and Test Connection."""

import json
from typing import Any

import pytest

from entra_standin.graph import Application, Job, SecretsPut
from unit.entra_standin.faulty_service import TOKEN
from unit.entra_standin.graph.graph_client import GraphClient, error_of, pairs
from unit.entra_standin.token_service import CLIENT_ID, CLIENT_SECRET, World

NOWHERE = "3c0f0a2e-0d0f-4b0a-9a55-2d6a0e6f1d11"


@pytest.fixture
def bearer(scim_url: str) -> list[dict[str, str]]:
    return pairs(BaseAddress=scim_url, SecretToken=TOKEN)


@pytest.fixture
def oauth(scim_url: str) -> dict[str, str]:
    return {
        "BaseAddress": scim_url,
        "Oauth2TokenExchangeUri": scim_url.replace("/scim/v2", "/oauth2/token"),
        "Oauth2ClientId": CLIENT_ID,
        "Oauth2ClientSecret": CLIENT_SECRET,
    }


# -- jobs -------------------------------------------------------------------------------------------
def test_a_new_job_is_made_of_the_applications_template_and_does_not_run(
    graph: GraphClient, application: Application
) -> None:
    [template] = graph.sync(application, "GET", "/templates").json()["value"]
    made = graph.sync(application, "POST", "/jobs", {"templateId": template["id"]})
    assert made.status_code == 201
    assert made.json()["schedule"]["state"] == "Disabled"
    assert made.json()["status"]["code"] == "NotRun"
    listed = graph.sync(application, "GET", "/jobs").json()["value"]
    assert [one["id"] for one in listed] == [job.id for job in application.jobs]
    assert graph.sync(application, "GET", f"/jobs/{made.json()['id']}").json() == made.json()


def test_a_job_of_another_template_is_refused(graph: GraphClient, application: Application) -> None:
    assert graph.sync(application, "POST", "/jobs", {"templateId": "other"}).status_code == 400


def test_a_deleted_job_is_gone(graph: GraphClient, application: Application, job: Job) -> None:
    assert graph.sync(application, "DELETE", f"/jobs/{job.id}").status_code == 204
    assert graph.sync(application, "GET", "/jobs").json()["value"] == []
    for verb in ("start", "pause", "restart", "validateCredentials"):
        assert graph.sync(application, "POST", f"/jobs/{job.id}/{verb}", {}).status_code == 404


def test_the_app_id_in_the_place_of_the_object_id_is_not_found(
    graph: GraphClient, application: Application
) -> None:
    for wrong in (application.app_id, application.object_id, NOWHERE):
        answer = graph.call("GET", f"/servicePrincipals/{wrong}/synchronization/jobs")
        assert error_of(answer) == (404, "Request_ResourceNotFound")
        assert wrong in answer.json()["error"]["message"]


def test_an_application_of_another_tenant_is_not_found(graph: GraphClient) -> None:
    elsewhere = graph.cloud.add_tenant().add_application()
    assert graph.sync(elsewhere, "GET", "/jobs").status_code == 404


def test_a_refusal_has_the_members_and_headers_of_graph(graph: GraphClient) -> None:
    graph.headers["client-request-id"] = NOWHERE
    answer = graph.call("GET", f"/servicePrincipals/{NOWHERE}/synchronization/jobs")
    inner = answer.json()["error"]["innerError"]
    assert inner["request-id"] == answer.headers["request-id"]
    assert inner["client-request-id"] == answer.headers["client-request-id"] == NOWHERE
    assert inner["date"]
    assert len(answer.headers.get_list("date")) == 1


def test_verbs_change_the_schedule(graph: GraphClient, application: Application, job: Job) -> None:
    def after(verb: str, body: Any = None) -> tuple[str, str]:
        assert graph.sync(application, "POST", f"/jobs/{job.id}/{verb}", body).status_code == 204
        shown = graph.sync(application, "GET", f"/jobs/{job.id}").json()
        return shown["schedule"]["state"], shown["status"]["code"]

    assert after("start") == ("Active", "Active")
    assert after("pause") == ("Paused", "Paused")
    assert after("restart", {"criteria": {"resetScope": "Watermark, QuarantineState"}}) == (
        "Active",
        "Active",
    )


@pytest.mark.parametrize(
    "criteria",
    [
        {"resetScope": "Nonsense"},
        {"resetScope": "None"},
        {"resetScope": "ConnectorDataStore"},
        {"quarantineState": True},
        {},
    ],
    ids=["unknown", "none", "data-store", "another-property", "empty"],
)
def test_restart_refuses_criteria_that_are_not_supported(
    graph: GraphClient, application: Application, job: Job, criteria: dict[str, Any]
) -> None:
    answer = graph.sync(application, "POST", f"/jobs/{job.id}/restart", {"criteria": criteria})
    assert answer.status_code == 400


def test_what_is_nowhere_and_what_has_another_method_are_refused(
    graph: GraphClient, application: Application
) -> None:
    assert graph.sync(application, "GET", "/nonsense").status_code == 400
    assert graph.sync(application, "DELETE", "/secrets").status_code == 405
    assert graph.sync(application, "PATCH", "/connectivityParameters", {}).status_code == 400, "beta alone"


# -- credentials ------------------------------------------------------------------------------------
def test_a_put_stores_and_a_get_shows_an_asterisk(
    graph: GraphClient, application: Application, bearer: list[dict[str, str]]
) -> None:
    application.credentials = {}
    assert graph.sync(application, "PUT", "/secrets", {"value": bearer}).status_code == 204
    assert application.jobs[0].credentials["SecretToken"] == TOKEN
    answer = graph.sync(application, "GET", "/secrets")
    assert TOKEN not in answer.text
    shown = {one["key"]: one["value"] for one in answer.json()["value"]}
    assert shown == {"BaseAddress": bearer[0]["value"], "SecretToken": "*"}


def test_switches_of_a_put_hold_over_http(
    graph: GraphClient, application: Application, bearer: list[dict[str, str]]
) -> None:
    graph.cloud.behaviour.secrets_put = SecretsPut.DROP
    changed = {"value": pairs(SecretToken="other")}
    assert graph.sync(application, "PUT", "/secrets", changed).status_code == 204
    assert application.credentials["SecretToken"] == TOKEN
    graph.cloud.behaviour.secrets_put = SecretsPut.REPLACE
    assert graph.sync(application, "PUT", "/secrets", changed).status_code == 204
    assert application.credentials == {"SecretToken": "other"}


def test_a_put_neither_checks_nor_starts(graph: GraphClient, application: Application, job: Job) -> None:
    body = {"value": pairs(SecretToken="wrong")}
    assert graph.sync(application, "PUT", "/secrets", body).status_code == 204
    assert job.state == "NotRun"


@pytest.mark.parametrize("body", [{}, {"value": "x"}, {"value": [{"key": 1}]}, []], ids=["none", "text", "number", "list"])  # fmt: skip
def test_a_body_of_another_form_is_refused(graph: GraphClient, application: Application, body: Any) -> None:
    assert graph.sync(application, "PUT", "/secrets", body).status_code == 400


def test_the_beta_stores_client_credentials_as_the_portal_does(
    graph: GraphClient, application: Application, oauth: dict[str, str], world: World
) -> None:
    named = {key[0].lower() + key[1:]: value for key, value in oauth.items()}
    body = {
        "value": pairs(
            authenticationType="OAuth2ClientCredentialsGrant", credentialLocationInRequest="Header", **named
        )
    }
    assert (
        graph.sync(application, "PATCH", "/connectivityParameters", body, version="beta").status_code == 204
    )
    job = application.jobs[0]
    job.start()
    execution = job.run_cycle()
    assert execution is not None
    assert execution.failure is None
    assert len(world.tokens.forms) == 1
    job.run_cycle()
    assert len(world.tokens.forms) == 1, "the access token is kept from cycle to cycle"
    shown = graph.sync(application, "GET", "/secrets").text
    assert CLIENT_SECRET not in shown
    assert TOKEN not in shown


# -- Test Connection --------------------------------------------------------------------------------
@pytest.fixture(params=["/jobs/validateCredentials", "/jobs/{job}/validateCredentials"])
def validate(request: pytest.FixtureRequest, job: Job) -> str:
    path: str = request.param
    return path.replace("{job}", job.id)


def test_credentials_are_tried_before_they_are_saved(
    graph: GraphClient, application: Application, bearer: list[dict[str, str]], validate: str, world: World
) -> None:
    application.credentials = {}
    body = {"templateId": "scim", "useSavedCredentials": False, "credentials": bearer}
    assert graph.sync(application, "POST", validate, body).status_code == 204
    assert application.credentials == {}
    assert [request.url.path for request in world.scim.requests] == ["/scim/v2/Users", "/scim/v2/Groups"]


def test_what_is_saved_is_tried(graph: GraphClient, application: Application, validate: str) -> None:
    body = {"templateId": "scim", "useSavedCredentials": True}
    assert graph.sync(application, "POST", validate, body).status_code == 204
    application.credentials["SecretToken"] = "wrong"
    assert error_of(graph.sync(application, "POST", validate, body)) == (
        400,
        "CredentialValidationUnavailable",
    )


def test_client_credentials_are_tried_by_their_keys_with_a_new_access_token_each_time(
    graph: GraphClient, application: Application, oauth: dict[str, str], validate: str, world: World
) -> None:
    body = {"templateId": "scim", "credentials": pairs(**oauth)}
    for asked in (1, 2):
        assert graph.sync(application, "POST", validate, body).status_code == 204
        assert len(world.tokens.forms) == asked


def cause_of(answer: Any, *, secret: str) -> Any:
    assert error_of(answer) == (400, "CredentialValidationUnavailable")
    assert secret not in answer.text
    return json.loads(answer.json()["error"]["message"])


def test_a_refused_token_is_told_in_a_document_within_the_message(
    graph: GraphClient, application: Application, scim_url: str, validate: str
) -> None:
    credentials = pairs(BaseAddress=scim_url, SecretToken="wrong-token")
    body = {"templateId": "scim", "credentials": credentials}
    answer = graph.sync(application, "POST", validate, body)
    cause = cause_of(answer, secret="wrong-token")
    assert cause["code"] == "SystemForCrossDomainIdentityManagementInvalidCredentials"
    graph.cloud.behaviour.nested_errors = False
    message = graph.sync(application, "POST", validate, body).json()["error"]["message"]
    assert message.startswith("SystemForCrossDomainIdentityManagementInvalidCredentials: ")


@pytest.mark.parametrize("missing", ["templateId", "credentials"])
def test_a_missing_parameter_is_told(
    graph: GraphClient, application: Application, bearer: list[dict[str, str]], missing: str
) -> None:
    body = {"templateId": "scim", "credentials": bearer}
    del body[missing]
    answer = graph.sync(application, "POST", "/jobs/validateCredentials", body)
    assert error_of(answer) == (400, "RequestMissingRequiredParameter")


@pytest.mark.parametrize("key", ["Nonsense", "secretToken", "CredentialLocationInRequest"])
def test_an_unknown_key_is_an_internal_error(
    graph: GraphClient, application: Application, validate: str, key: str
) -> None:
    body = {"templateId": "scim", "credentials": pairs(**{key: "x"})}
    answer = graph.sync(application, "POST", validate, body)
    assert error_of(answer) == (500, "InternalError")
    assert answer.json()["error"]["message"] == f"Requested value '{key}' was not found."

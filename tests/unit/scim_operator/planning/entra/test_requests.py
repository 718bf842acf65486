"""What Graph is sent: method, path and body of each call."""

import dataclasses
import typing

import pytest

from scim_operator.api.entra import GraphCloud
from scim_operator.planning.entra import graph_errors, requests
from scim_operator.planning.entra.ports import EntraError, Obstacle, RestartScope
from support.microsoft import APPLICATION, BEARER, ENDPOINT, JOB, JOB_ID, OAUTH, PRINCIPAL, application

ROOT = f"/v1.0/servicePrincipals/{PRINCIPAL}/synchronization"
JOBS = f"{ROOT}/jobs/{JOB_ID}"
INLINE_OAUTH = [
    {"key": "AuthenticationType", "value": "OAuth2ClientCredentialsGrant"},
    {"key": "BaseAddress", "value": ENDPOINT},
    {"key": "Oauth2ClientId", "value": OAUTH.client_id},
    {"key": "Oauth2ClientSecret", "value": OAUTH.client_secret},
    {"key": "Oauth2TokenExchangeUri", "value": OAUTH.token_endpoint},
]
BEARER_PAIRS = [{"key": "BaseAddress", "value": ENDPOINT}, {"key": "SecretToken", "value": BEARER.token}]


def test_reads_have_no_body_and_need_no_lead() -> None:
    for request, path in (
        (requests.list_jobs(APPLICATION), f"{ROOT}/jobs"),
        (requests.read_job(APPLICATION, JOB_ID), JOBS),
        (requests.read_schema(APPLICATION, JOB_ID), f"{JOBS}/schema"),
        (requests.read_secrets(APPLICATION), f"{ROOT}/secrets"),
    ):
        assert (request.method, request.path, request.body, request.writes) == ("GET", path, None, False)


@pytest.mark.parametrize(
    ("credentials", "sent"), [(BEARER, BEARER_PAIRS), (OAUTH, INLINE_OAUTH)], ids=["bearer", "oauth"]
)
def test_validation_before_saving_sends_the_credentials_inline(
    credentials: typing.Any, sent: list[dict[str, str]]
) -> None:
    request = requests.validate(APPLICATION, JOB, credentials)
    assert (request.method, request.path) == ("POST", f"{JOBS}/validateCredentials")
    assert request.body == {"templateId": "scim", "useSavedCredentials": False, "credentials": sent}
    assert (request.writes, request.seconds) == (False, 30)


def test_validation_of_what_is_saved_sends_no_credentials() -> None:
    unnamed = dataclasses.replace(JOB, template_id="")
    assert requests.validate(APPLICATION, unnamed, None).body == {
        "templateId": "scim",
        "useSavedCredentials": True,
        "credentials": [],
    }


def test_a_bearer_token_is_put_where_the_api_reference_has_it() -> None:
    request = requests.save(APPLICATION, BEARER, {"BaseAddress": ENDPOINT, "SecretToken": "*****"})
    assert (request.method, request.path, request.writes) == ("PUT", f"{ROOT}/secrets", True)
    assert request.body == {"value": BEARER_PAIRS}


def test_client_credentials_are_patched_as_the_admin_center_does() -> None:
    request = requests.save(APPLICATION, OAUTH, {})
    beta = f"/beta/servicePrincipals/{PRINCIPAL}/synchronization/connectivityParameters"
    assert (request.method, request.path, request.writes) == ("PATCH", beta, True)
    assert request.body == {
        "value": [
            {"key": "authenticationType", "value": "OAuth2ClientCredentialsGrant"},
            {"key": "baseAddress", "value": ENDPOINT},
            {"key": "oauth2ClientId", "value": OAUTH.client_id},
            {"key": "oauth2ClientSecret", "value": OAUTH.client_secret},
            {"key": "oauth2TokenExchangeUri", "value": OAUTH.token_endpoint},
            {"key": "credentialLocationInRequest", "value": "Header"},
        ]
    }


def test_a_bearer_token_after_oauth_also_sets_the_way_to_sign_in() -> None:
    request = requests.save(APPLICATION, BEARER, {"AuthenticationType": "OAuth2ClientCredentialsGrant"})
    assert (request.method, request.path.startswith("/beta/")) == ("PATCH", True)
    assert request.body == {
        "value": [
            {"key": "authenticationType", "value": "AuthenticationToken"},
            {"key": "baseAddress", "value": ENDPOINT},
            {"key": "secretToken", "value": BEARER.token},
        ]
    }


@pytest.mark.parametrize(
    ("saved", "by_oauth"),
    [
        ({}, False),
        ({"BaseAddress": "x", "SecretToken": "*", "SyncAll": "false"}, False),
        ({"authenticationType": "OAuth2ClientCredentialsGrant"}, True),
        ({"AuthenticationType": "AuthenticationToken", "Oauth2ClientId": "left over"}, False),
        ({"AuthenticationType": "*******"}, True),
        ({"Oauth2TokenExchangeUri": "*"}, True),
        ({"oauth2ClientId": "x"}, True),
        ({"Oauth2ClientId": ""}, False),
    ],
)
def test_saved_keys_tell_whether_entra_signs_in_by_oauth(saved: dict[str, str], by_oauth: bool) -> None:
    assert requests.signs_in_by_oauth(saved) is by_oauth


@pytest.mark.parametrize("cloud", [GraphCloud.US_GOVERNMENT, GraphCloud.US_GOVERNMENT_DOD])
@pytest.mark.parametrize("credentials", [BEARER, OAUTH], ids=["bearer", "oauth"])
def test_more_than_azure_government_stores_is_refused_before_it_is_sent(
    cloud: GraphCloud, credentials: typing.Any
) -> None:
    assert requests.save(application(cloud), credentials, {}).writes
    long = dataclasses.replace(credentials, endpoint=f"https://{'ä' * 500}/scim/v2")
    with pytest.raises(
        EntraError, match="at most 1024: give the SCIM API an endpoint with a shorter host"
    ) as told:
        requests.save(application(cloud), long, {})
    assert told.value.obstacle is Obstacle.REQUEST_REFUSED
    assert requests.save(APPLICATION, long, {}).writes


@pytest.mark.parametrize("scope", RestartScope)
def test_a_restart_always_names_what_it_forgets(scope: RestartScope) -> None:
    request = requests.restart(APPLICATION, JOB_ID, scope)
    assert (request.method, request.path, request.writes) == ("POST", f"{JOBS}/restart", True)
    assert request.body == {"criteria": {"resetScope": scope.value}}


def test_no_restart_forgets_anything_but_the_quarantine_or_everything() -> None:
    assert {scope.value for scope in RestartScope} == {"QuarantineState", "Full"}


def test_a_start_has_no_body() -> None:
    request = requests.start(APPLICATION, JOB_ID)
    assert (request.method, request.path, request.body, request.writes) == (
        "POST",
        f"{JOBS}/start",
        None,
        True,
    )


def test_one_user_is_provisioned_by_a_rule() -> None:
    request = requests.provision_on_demand(APPLICATION, JOB_ID, "rule", "object")
    assert (request.path, request.writes) == (f"{JOBS}/provisionOnDemand", True)
    subject = {"objectId": "object", "objectTypeName": "User"}
    assert request.body == {"parameters": [{"ruleId": "rule", "subjects": [subject]}]}


def test_ids_stay_within_their_segment_of_the_path() -> None:
    assert requests.start(APPLICATION, "a/../b?c").path == f"{ROOT}/jobs/a%2F..%2Fb%3Fc/start"
    for traversal in (".", "..", ""):
        with pytest.raises(EntraError, match="no id of a provisioning job") as told:
            requests.start(APPLICATION, traversal)
        assert told.value.obstacle is Obstacle.JOB_NOT_FOUND


def test_no_repr_of_a_request_shows_credentials() -> None:
    for request in (
        requests.save(APPLICATION, BEARER, {}),
        requests.save(APPLICATION, OAUTH, {}),
        requests.validate(APPLICATION, JOB, OAUTH),
    ):
        assert BEARER.token not in repr(request)
        assert OAUTH.client_secret not in repr(request)


def test_every_call_has_words_for_messages() -> None:
    assert set(graph_errors.ACTIONS) == set(typing.get_args(requests.Call))

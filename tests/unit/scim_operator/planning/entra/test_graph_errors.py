"""What each error of Graph means, and what people are told to do."""

from typing import Any

import pytest

from scim_operator.planning.entra import graph_errors, requests
from scim_operator.planning.entra.error_text import read_error
from scim_operator.planning.entra.ports import Obstacle
from scim_operator.planning.entra.requests import GraphRequest
from support.microsoft import (
    APPLICATION,
    BEARER,
    JOB,
    JOB_ID,
    OAUTH,
    PRINCIPAL,
    TENANT,
    answer,
    caller,
    graph_error,
)

LIST = requests.list_jobs(APPLICATION)
READ = requests.read_job(APPLICATION, JOB_ID)
VALIDATE = requests.validate(APPLICATION, JOB, BEARER)
SAVE = requests.save(APPLICATION, OAUTH, {})
ON_DEMAND = requests.provision_on_demand(APPLICATION, JOB_ID, "rule", "object")
START = requests.start(APPLICATION, JOB_ID)
ABSENT = "Resource '{}' does not exist or one of its queried reference-property objects are not present."
UNAVAILABLE = "CredentialValidationUnavailable"


def explain(request: GraphRequest, status: int, content: Any = None) -> graph_errors.GraphRefusal:
    return graph_errors.explain(status, read_error(answer(status, content).body), request, caller())


CASES: list[tuple[str, GraphRequest, int, Any, Obstacle, str]] = [
    ("missing right", LIST, 401, graph_error("UnknownError"), Obstacle.PERMISSION_MISSING, "az ad app permission add"),
    ("missing right, 403", SAVE, 403, graph_error("Authorization_RequestDenied", "Insufficient privileges"),
     Obstacle.PERMISSION_MISSING, "Synchronization.ReadWrite.All"),
    ("missing right, on demand", ON_DEMAND, 401, graph_error("UnknownError"), Obstacle.PERMISSION_MISSING,
     "while the job is in quarantine"),
    ("401 without a body", START, 401, None, Obstacle.PERMISSION_MISSING, "new access token"),
    ("no licence", LIST, 403, graph_error("Authentication_RequestFromNonPremiumTenantOrB2CTenant"),
     Obstacle.PERMISSION_MISSING, "Microsoft Entra ID P1"),
    ("token refused", LIST, 401, graph_error("InvalidAuthenticationToken", "Wrong audience."),
     Obstacle.SIGN_IN_REFUSED, "spec.entra.cloud (Public)"),
    ("no service principal of ours", LIST, 403, graph_error("Authorization_IdentityNotFound"),
     Obstacle.CONSENT_MISSING, "adminconsent"),
    ("application id for object id", LIST, 404, graph_error("Request_ResourceNotFound", ABSENT.format(PRINCIPAL)),
     Obstacle.APPLICATION_NOT_FOUND, "object id of the enterprise application, not the application id"),
    ("the same while a job is read", READ, 404, graph_error("Request_ResourceNotFound", ABSENT.format(PRINCIPAL)),
     Obstacle.APPLICATION_NOT_FOUND, f"in tenant {TENANT}"),
    ("404 for a save", SAVE, 404, graph_error("UnknownError"), Obstacle.APPLICATION_NOT_FOUND, "az ad sp show"),
    ("no such job", READ, 404, graph_error("ResourceNotFound", "The job does not exist."),
     Obstacle.JOB_NOT_FOUND, f"no provisioning job {JOB_ID}"),
    ("throttled", LIST, 429, graph_error("TooManyRequests"), Obstacle.UNREACHABLE, "tries again"),
    ("conflict", SAVE, 409, graph_error("Conflict"), Obstacle.UNREACHABLE, "tries again"),
    ("unavailable", START, 503, None, Obstacle.UNREACHABLE, "tries again"),
    ("redirect", LIST, 302, None, Obstacle.UNREACHABLE, "tries again"),
    ("not available behind Graph", READ, 400, graph_error("BadRequest", {"error": {"code": "ServiceUnavailable"}}),
     Obstacle.UNREACHABLE, "tries again"),
    ("throttled Test Connection", VALIDATE, 429, None, Obstacle.UNREACHABLE, "tries again"),
    ("unknown key", VALIDATE, 500, graph_error("InternalError", "Requested value 'X' was not found."),
     Obstacle.REQUEST_REFUSED, "other credentials"),
    ("parameter missing", VALIDATE, 400, graph_error("RequestMissingRequiredParameter", "templateId"),
     Obstacle.REQUEST_REFUSED, "request id"),
    ("not in the allow list", SAVE, 400, graph_error("NotInAllowList"), Obstacle.REQUEST_REFUSED, "bearer token"),
    ("wrong request", START, 400, graph_error("BadRequest"), Obstacle.REQUEST_REFUSED, "request id"),
    ("refused credentials", VALIDATE, 400, graph_error(UNAVAILABLE, "401 Unauthorized"),
     Obstacle.CREDENTIALS_REFUSED, "refused the credentials"),
    ("refused while provisioning", START, 400, graph_error("SystemForCrossDomainIdentityManagementInvalidCredentials"),
     Obstacle.CREDENTIALS_REFUSED, "refused the credentials"),
    ("no Groups", VALIDATE, 400, graph_error(UNAVAILABLE, {"code":
     "SystemForCrossDomainIdentityManagementServiceIncompatible", "message": "404"}),
     Obstacle.CREDENTIALS_REFUSED, "/Users or /Groups"),
    ("token endpoint", VALIDATE, 400, graph_error(UNAVAILABLE, "Supported CredentialLocationInRequest is required"),
     Obstacle.CREDENTIALS_REFUSED, "token endpoint refused HTTP Basic"),
    ("DNS", VALIDATE, 400, graph_error(UNAVAILABLE, "The remote name could not be resolved: 'x'"),
     Obstacle.CREDENTIALS_REFUSED, "public DNS"),
    ("certificate", VALIDATE, 400, graph_error(UNAVAILABLE, "Could not establish trust relationship for the SSL/TLS"),
     Obstacle.CREDENTIALS_REFUSED, "public authority"),
    ("timeout", VALIDATE, 400, graph_error(UNAVAILABLE, "The operation has timed out"),
     Obstacle.CREDENTIALS_REFUSED, "in time"),
    ("firewall", VALIDATE, 400, graph_error(UNAVAILABLE, "403 Forbidden"),
     Obstacle.CREDENTIALS_REFUSED, "web application firewall"),
    ("our 503", VALIDATE, 400, graph_error(UNAVAILABLE, "The server answered 503"),
     Obstacle.CREDENTIALS_REFUSED, "did not work just then"),
    ("no connection", VALIDATE, 400, graph_error(UNAVAILABLE, "We could not connect to your application"),
     Obstacle.CREDENTIALS_REFUSED, "can't connect to the endpoint"),
    ("no words", VALIDATE, 400, graph_error(UNAVAILABLE), Obstacle.CREDENTIALS_REFUSED, "SCIM API's log"),
    ("a code of its own", VALIDATE, 400, graph_error("Whatever"), Obstacle.CREDENTIALS_REFUSED, "SCIM API's log"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("request_", "status", "content", "obstacle", "words"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_each_error_is_told_with_what_to_do(
    request_: GraphRequest, status: int, content: Any, obstacle: Obstacle, words: str
) -> None:
    refusal = explain(request_, status, content)
    assert refusal.obstacle is obstacle
    assert words in refusal.remedy
    assert not refusal.remedy.endswith(".")


def test_numbers_within_ids_are_no_status() -> None:
    content = graph_error(UNAVAILABLE, "Correlation 4010403a-0404-401f-8503-429abc500502 failed")
    assert "SCIM API's log" in explain(VALIDATE, 400, content).remedy


@pytest.mark.parametrize("status", [300, 308, 408, 409, 423, 425, 429, 500, 502, 503, 504, 599])
def test_these_may_go_by_themselves(status: int) -> None:
    assert graph_errors.is_transient(status)


@pytest.mark.parametrize("status", [200, 299, 400, 401, 403, 404, 405, 412, 422])
def test_these_do_not_go_by_themselves(status: int) -> None:
    assert not graph_errors.is_transient(status)

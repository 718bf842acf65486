"""What is sent to Microsoft Graph: method, path and body of each call.

Microsoft Graph, "synchronization" API, v1.0; ``connectivityParameters`` is beta's, as the Entra admin center uses it.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Final, Literal
from urllib.parse import quote

from scim_operator.api.entra import GraphCloud
from scim_operator.planning.entra.ports import (
    Application,
    BearerCredentials,
    Credentials,
    EntraError,
    Job,
    OAuthCredentials,
    Obstacle,
    RestartScope,
)

Call = Literal[
    "jobs", "job", "schema", "secrets", "validateCredentials", "save", "start", "restart", "provisionOnDemand"
]

CALL_SECONDS: Final = 10.0
TEST_CONNECTION_SECONDS: Final = 30.0
"""For calls during which Entra asks our endpoint."""
US_GOVERNMENT_LIMIT: Final = 1024
"""Bytes that all credentials of an application may have together in Azure Government."""
OAUTH_GRANT: Final = "OAuth2ClientCredentialsGrant"
BEARER_GRANT: Final = "AuthenticationToken"
DEFAULT_TEMPLATE: Final = "scim"
"""Of an application that is not from the gallery."""
_LIMITED: Final = (GraphCloud.US_GOVERNMENT, GraphCloud.US_GOVERNMENT_DOD)


@dataclasses.dataclass(frozen=True, slots=True)
class GraphRequest:
    """One request to Graph."""

    call: Call
    method: Literal["GET", "PUT", "PATCH", "POST"]
    path: str
    """Below Graph's base URL, with the version."""
    body: Mapping[str, object] | None = dataclasses.field(default=None, repr=False)
    writes: bool = False
    """Whether it changes anything at Microsoft's side."""
    seconds: float = CALL_SECONDS
    """For the whole answer."""
    job_id: str | None = None


def list_jobs(application: Application) -> GraphRequest:
    """All provisioning jobs."""
    return GraphRequest("jobs", "GET", _path(application, "jobs"))


def read_job(application: Application, job_id: str) -> GraphRequest:
    """One provisioning job."""
    return GraphRequest("job", "GET", _job_path(application, job_id), job_id=job_id)


def read_schema(application: Application, job_id: str) -> GraphRequest:
    """The job's synchronization rules, among much else."""
    return GraphRequest("schema", "GET", _job_path(application, job_id, "schema"), job_id=job_id)


def read_secrets(application: Application) -> GraphRequest:
    """Which keys are saved; Graph masks the secret values."""
    return GraphRequest("secrets", "GET", _path(application, "secrets"))


def validate(application: Application, job: Job, credentials: Credentials | None) -> GraphRequest:
    """Entra's Test Connection, inline or with what is saved (None)."""
    body = {
        "templateId": job.template_id or DEFAULT_TEMPLATE,
        "useSavedCredentials": credentials is None,
        "credentials": [] if credentials is None else _pairs(_inline(credentials)),
    }
    return GraphRequest(
        "validateCredentials",
        "POST",
        _job_path(application, job.id, "validateCredentials"),
        body,
        seconds=TEST_CONNECTION_SECONDS,
        job_id=job.id,
    )


def save(application: Application, credentials: Credentials, saved: Mapping[str, str]) -> GraphRequest:
    """Store the credentials in the place of those that Entra has.

    A bearer token goes where the API reference has it, unless Entra signs in by OAuth at present: then Entra would go
    on with OAuth whatever Secret Token it has, so the way to sign in is set along with it.

    Args:
        application: whose.
        credentials: the new ones.
        saved: what Graph shows of those that it has, see ``answers.saved_secrets``; not needed for OAuth.

    Raises:
        EntraError: they are more than Azure Government takes.
    """
    match credentials:
        case OAuthCredentials():
            request = _patch(application, _oauth_parameters(credentials))
        case BearerCredentials() if signs_in_by_oauth(saved):
            request = _patch(application, _bearer_parameters(credentials))
        case BearerCredentials():
            body = {"value": _pairs(_inline(credentials))}
            request = GraphRequest("save", "PUT", _path(application, "secrets"), body, writes=True)
    _check_size(application, request)
    return request


def signs_in_by_oauth(saved: Mapping[str, str]) -> bool:
    """Whether Entra may fetch access tokens with what is saved, as far as its keys tell.

    Args:
        saved: values by key; Graph may mask any of them with ``*``.
    """
    values = {key.lower(): value for key, value in saved.items() if value}
    way = values.get("authenticationtype", "")
    if way.strip("*"):
        return way.lower() != BEARER_GRANT.lower()
    return bool(way) or any(key.startswith("oauth2") for key in values)


def start(application: Application, job_id: str) -> GraphRequest:
    """Have the job run."""
    return GraphRequest("start", "POST", _job_path(application, job_id, "start"), writes=True, job_id=job_id)


def restart(application: Application, job_id: str, scope: RestartScope) -> GraphRequest:
    """Have the job begin anew. Without criteria Graph would run a full cycle."""
    body = {"criteria": {"resetScope": scope.value}}
    return GraphRequest(
        "restart", "POST", _job_path(application, job_id, "restart"), body, writes=True, job_id=job_id
    )


def provision_on_demand(application: Application, job_id: str, rule_id: str, object_id: str) -> GraphRequest:
    """Provision one user by a synchronization rule."""
    subject = {"objectId": object_id, "objectTypeName": "User"}
    return GraphRequest(
        "provisionOnDemand",
        "POST",
        _job_path(application, job_id, "provisionOnDemand"),
        {"parameters": [{"ruleId": rule_id, "subjects": [subject]}]},
        writes=True,
        seconds=TEST_CONNECTION_SECONDS,
        job_id=job_id,
    )


def _path(application: Application, *segments: str, version: str = "v1.0") -> str:
    principal = quote(application.service_principal_id, safe="")
    return "/".join((f"/{version}/servicePrincipals/{principal}/synchronization", *segments))


def _job_path(application: Application, job_id: str, *segments: str) -> str:
    if not job_id.strip("."):
        raise EntraError(
            Obstacle.JOB_NOT_FOUND, f"{job_id!r} is no id of a provisioning job; correct spec.entra.jobID"
        )
    return _path(application, "jobs", quote(job_id, safe=""), *segments)


def _patch(application: Application, parameters: Mapping[str, str]) -> GraphRequest:
    path = _path(application, "connectivityParameters", version="beta")
    return GraphRequest("save", "PATCH", path, {"value": _pairs(parameters)}, writes=True)


def _pairs(values: Mapping[str, str]) -> Sequence[Mapping[str, str]]:
    return [{"key": key, "value": value} for key, value in values.items()]


def _inline(credentials: Credentials) -> Mapping[str, str]:
    """By the keys of v1.0; of OAuth's all but CredentialLocationInRequest, which no inline validation takes."""
    if isinstance(credentials, BearerCredentials):
        return {"BaseAddress": credentials.endpoint, "SecretToken": credentials.token}
    return {
        "AuthenticationType": OAUTH_GRANT,
        "BaseAddress": credentials.endpoint,
        "Oauth2ClientId": credentials.client_id,
        "Oauth2ClientSecret": credentials.client_secret,
        "Oauth2TokenExchangeUri": credentials.token_endpoint,
    }


def _bearer_parameters(credentials: BearerCredentials) -> Mapping[str, str]:
    return {
        "authenticationType": BEARER_GRANT,
        "baseAddress": credentials.endpoint,
        "secretToken": credentials.token,
    }


def _oauth_parameters(credentials: OAuthCredentials) -> Mapping[str, str]:
    return {
        "authenticationType": OAUTH_GRANT,
        "baseAddress": credentials.endpoint,
        "oauth2ClientId": credentials.client_id,
        "oauth2ClientSecret": credentials.client_secret,
        "oauth2TokenExchangeUri": credentials.token_endpoint,
        "credentialLocationInRequest": "Header",
    }


def _check_size(application: Application, request: GraphRequest) -> None:
    """Count the body as it is sent, a little more than the values."""
    size = len(json.dumps(request.body, ensure_ascii=False, separators=(",", ":")).encode())
    if application.cloud in _LIMITED and size > US_GOVERNMENT_LIMIT:
        raise EntraError(
            Obstacle.REQUEST_REFUSED,
            f"the credentials have {size} bytes, and Entra in Azure Government stores at most "
            f"{US_GOVERNMENT_LIMIT}: give the SCIM API an endpoint with a shorter host name and path",
        )

"""Operations of the synchronization API: credentials, jobs, and what tests them."""

from typing import Final

from entra_standin.graph import on_demand, views
from entra_standin.graph.access import Right
from entra_standin.graph.connection import try_connection
from entra_standin.graph.credentials import after_patch, after_put, check_keys, masked, pairs
from entra_standin.graph.errors import bad_request
from entra_standin.graph.jobs import DEFAULT_SCOPE, ResetScope
from entra_standin.graph.routing import NO_CONTENT, Answer, Call, Operation
from entra_standin.graph.views import listing

_SP: Final = "/servicePrincipals/{sp}"
_JOB: Final = f"{_SP}/synchronization/jobs/{{job}}"
_UNUSED: Final = {ResetScope.NONE, ResetScope.CONNECTOR_DATA_STORE}
"""Microsoft Graph: do not use."""


def get_templates(call: Call) -> Answer:
    """What jobs can be made of."""
    return Answer(200, listing("synchronizationTemplates", [views.template(call.application)]))


def get_jobs(call: Call) -> Answer:
    """All jobs."""
    shown = [views.job(job, call.cycle_seconds) for job in call.application.jobs]
    return Answer(200, listing("synchronizationJobs", shown))


def create_job(call: Call) -> Answer:
    """A new one, which does not run yet."""
    template = call.body.get("templateId") if isinstance(call.body, dict) else None
    if template != call.application.template_id:
        raise bad_request(f"The template '{template}' does not exist.", "RequestInvalidTemplate")
    return Answer(201, views.job(call.application.add_job(), call.cycle_seconds))


def get_job(call: Call) -> Answer:
    """One job."""
    return Answer(200, views.job(call.job, call.cycle_seconds))


def delete_job(call: Call) -> Answer:
    """It is gone, with its state."""
    call.application.remove_job(call.job)
    return NO_CONTENT


def start(call: Call) -> Answer:
    """Run."""
    call.job.start()
    return NO_CONTENT


def pause(call: Call) -> Answer:
    """Run no more."""
    call.job.pause()
    return NO_CONTENT


def restart(call: Call) -> Answer:
    """Run without what ``criteria.resetScope`` names."""
    criteria = call.body.get("criteria") if isinstance(call.body, dict) else None
    if criteria is None:
        call.job.restart(DEFAULT_SCOPE)
        return NO_CONTENT
    if not isinstance(criteria, dict) or set(criteria) - {"@odata.type"} != {"resetScope"}:
        raise bad_request("The criteria have the property resetScope and no other.")
    try:
        scope = {ResetScope(name.strip()) for name in str(criteria["resetScope"]).split(",")}
    except ValueError:
        raise bad_request("Requested value of resetScope was not found.") from None
    if scope & _UNUSED:
        raise bad_request("This value of resetScope is not supported.")
    call.job.restart(scope)
    return NO_CONTENT


def get_schema(call: Call) -> Answer:
    """The rules."""
    return Answer(200, views.schema(call.application, call.job))


def get_secrets(call: Call) -> Answer:
    """Keys, with an asterisk for what is secret."""
    shown = masked(call.application.credentials, call.behaviour)
    return Answer(200, listing("synchronizationSecrets", shown))


def put_secrets(call: Call) -> Answer:
    """Store, without a look at whether they work."""
    application = call.application
    with application.lock:
        application.credentials = after_put(
            application.credentials, pairs(call.body), call.behaviour, application.template_id
        )
    return NO_CONTENT


def patch_connectivity(call: Call) -> Answer:
    """As the portal stores them."""
    application = call.application
    with application.lock:
        application.credentials = after_patch(application.credentials, pairs(call.body), call.behaviour)
    return NO_CONTENT


def validate_credentials(call: Call) -> Answer:
    """Test Connection with what is stored, or with what comes with the request."""
    body = call.body if isinstance(call.body, dict) else {}
    application = call.application
    stored = body.get("useSavedCredentials") is True
    # A job that the path names has a template.
    if call.found_job is None and not body.get("templateId"):
        raise bad_request("The parameter templateId is missing.", "RequestMissingRequiredParameter")
    if stored:
        credentials = dict(application.credentials)
    else:
        if not body.get("credentials"):
            raise bad_request("The parameter credentials is missing.", "RequestMissingRequiredParameter")
        credentials = pairs(body, "credentials")
        check_keys(credentials)
    try_connection(
        application.connector,
        credentials,
        application=application.service_principal_id if stored else None,
        nested=call.behaviour.nested_errors,
    )
    return NO_CONTENT


def provision_on_demand(call: Call) -> Answer:
    """One user or group."""
    return Answer(200, on_demand.provision(call.tenant, call.application, call.job, call.body))


OPERATIONS: Final = (
    Operation("GET", f"{_SP}/synchronization/templates", Right.READ_JOBS, get_templates),
    Operation("GET", f"{_SP}/synchronization/secrets", Right.READ_JOBS, get_secrets),
    Operation("PUT", f"{_SP}/synchronization/secrets", Right.WRITE_JOBS, put_secrets),
    Operation(
        "PATCH",
        f"{_SP}/synchronization/connectivityParameters",
        Right.WRITE_JOBS,
        patch_connectivity,
        versions=("beta",),
    ),
    Operation("GET", f"{_SP}/synchronization/jobs", Right.READ_JOBS, get_jobs),
    Operation("POST", f"{_SP}/synchronization/jobs", Right.WRITE_JOBS, create_job),
    Operation(
        "POST",
        f"{_SP}/synchronization/jobs/validateCredentials",
        Right.WRITE_JOBS,
        validate_credentials,
        waits=True,
    ),
    Operation("GET", _JOB, Right.READ_JOBS, get_job),
    Operation("DELETE", _JOB, Right.WRITE_JOBS, delete_job),
    Operation("POST", f"{_JOB}/start", Right.WRITE_JOBS, start),
    Operation("POST", f"{_JOB}/pause", Right.WRITE_JOBS, pause),
    Operation("POST", f"{_JOB}/restart", Right.RESTART, restart),
    Operation("GET", f"{_JOB}/schema", Right.READ_JOBS, get_schema),
    Operation("POST", f"{_JOB}/validateCredentials", Right.WRITE_JOBS, validate_credentials, waits=True),
    Operation("POST", f"{_JOB}/provisionOnDemand", Right.ON_DEMAND, provision_on_demand, waits=True),
)

"""What an error of Microsoft Graph means, and what to do about it."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Final

from scim_operator.planning.entra.error_text import ErrorText
from scim_operator.planning.entra.ports import Obstacle
from scim_operator.planning.entra.requests import Call, GraphRequest
from scim_operator.planning.entra.sign_in_errors import Caller, missing_grant

_TRANSIENT_STATUS: Final = (408, 409, 423, 425, 429)
_TRANSIENT_CODES: Final = frozenset(
    {"serviceunavailable", "servicenotavailable", "toomanyrequests", "gatewaytimeout", "timeout"}
)
_TOKEN_CODES: Final = frozenset({"invalidauthenticationtoken", "compacttoken", "tokennotfound"})
_CREDENTIAL_CODES: Final = (
    "credentialvalidation",
    "invalidcredentials",
    "systemforcrossdomainidentitymanagement",
)
_REQUEST_CODES: Final = frozenset(
    {"requestmissingrequiredparameter", "request_badrequest", "notinallowlist", "badrequest"}
)
_UNKNOWN_KEY: Final = re.compile(r"requested value '[^']*' was not found")

_CAUSES: Final = (
    (
        r"credentiallocationinrequest",
        (
            "the token endpoint refused HTTP Basic or the form that Entra sends (415, 401): what stands between Entra and "
            "the SCIM API must not change token requests"
        ),
    ),
    (
        r"serviceincompatible",
        (
            "what answered is no SCIM API, or /Users or /Groups did not answer 200 with an empty list: both have to lead "
            "to the SCIM API, also through the ingress"
        ),
    ),
    (
        r"nameresolution|remote name could not be resolved|no such host|name or service not known",
        "Entra does not find the endpoint's host name: it has to be in the public DNS",
    ),
    (
        r"\bssl\b|\btls\b|trust relationship|secure channel|certificate",
        "Entra does not take the endpoint's certificate: it has to come from a public authority, with its chain",
    ),
    (
        r"timed out|timeout|operation was canceled|task was canceled",
        "the endpoint did not answer Entra in time: let Entra's addresses in through firewall and ingress",
    ),
    (
        r"connection refused|actively refused|(?:unable to|could not) connect|connectfailure|sendfailure",
        "Entra can't connect to the endpoint: it has to be reachable from the Internet",
    ),
    (
        r"invalidcredentials|unauthori[sz]ed|(?<![\w-])401(?![\w-])|invalid_client",
        (
            "the SCIM API or its token endpoint refused the credentials: they are not the ones of this ScimToken, or "
            "have ended"
        ),
    ),
    (
        r"forbidden|(?<![\w-])403(?![\w-])",
        "something before the SCIM API refused (403), such as a web application firewall",
    ),
    (
        r"not ?found|(?<![\w-])404(?![\w-])",
        "nothing is served at the endpoint (404): it has to end with /scim/v2, and the ingress has to route it",
    ),
    (
        r"(?<![\w-])(?:429|50[0234])(?![\w-])|internalservererror|serviceunavailable|badgateway|toomanyrequests",
        "the SCIM API, or what stands before it, did not work just then; see its log",
    ),
)
"""What stands in the inner error of Test Connection, in lower case, and what it means; the first that fits."""


_ON_DEMAND: Final = (
    "Graph answers so too while the job is in quarantine, and may want the application to own both enterprise "
    "application and app registration. "
)
"""What else a 401 to provisionOnDemand may mean."""


@dataclasses.dataclass(frozen=True, slots=True)
class GraphRefusal:
    """Why Graph refused."""

    obstacle: Obstacle
    remedy: str
    """What to do, without a full stop."""


def is_transient(status: int) -> bool:
    """Whether an answer may be another one later with nothing done."""
    return status >= 500 or status in _TRANSIENT_STATUS or 300 <= status < 400


def explain(status: int, text: ErrorText, request: GraphRequest, caller: Caller) -> GraphRefusal:
    """What an answer means.

    Args:
        status: of HTTP, not 2xx.
        text: what its body says.
        request: what was asked.
        caller: who asked.
    """
    codes = {code.lower() for code in text.codes}
    if status == 401 and codes & _TOKEN_CODES:
        return _token_refused(caller)
    if status in (401, 403):
        return _right_missing(codes, request, caller)
    if _UNKNOWN_KEY.search(text.everything):
        return GraphRefusal(
            Obstacle.REQUEST_REFUSED, "This kind of application takes other credentials than SCIM's"
        )
    if _is_credential_error(status, codes, request):
        return _credentials_refused(text)
    if is_transient(status) or codes & _TRANSIENT_CODES:
        return GraphRefusal(Obstacle.UNREACHABLE, "The operator tries again")
    if status == 404:
        return _not_found(text, request, caller)
    return _request_refused(codes)


def _token_refused(caller: Caller) -> GraphRefusal:
    return GraphRefusal(
        Obstacle.SIGN_IN_REFUSED,
        "Graph does not take the access token that the login gave: login and Graph have to be of one cloud; check "
        f"spec.entra.cloud ({caller.application.cloud.value}), SCIM_OPERATOR_ENTRA_LOGIN_URL and "
        "SCIM_OPERATOR_ENTRA_GRAPH_URL",
    )


def _right_missing(codes: set[str], request: GraphRequest, caller: Caller) -> GraphRefusal:
    if "authorization_identitynotfound" in codes:
        return GraphRefusal(
            Obstacle.CONSENT_MISSING,
            f"Application {caller.identity.client_id} has no service principal in tenant "
            f"{caller.application.tenant_id}: an administrator of that tenant opens {caller.consent_url} and consents",
        )
    if any("nonpremiumtenant" in code for code in codes):
        return GraphRefusal(
            Obstacle.PERMISSION_MISSING, "The tenant needs a Microsoft Entra ID P1 licence for this"
        )
    reason = _ON_DEMAND if request.call == "provisionOnDemand" else ""
    return GraphRefusal(Obstacle.PERMISSION_MISSING, f"{reason}{missing_grant(caller)}")


def _is_credential_error(status: int, codes: set[str], request: GraphRequest) -> bool:
    if status in (404, 409, 429):
        return False
    if any(code.startswith(_CREDENTIAL_CODES) for code in codes):
        return True
    other = codes & (_REQUEST_CODES | _TRANSIENT_CODES)
    return request.call == "validateCredentials" and status == 400 and not other


def _credentials_refused(text: ErrorText) -> GraphRefusal:
    cause = next((words for pattern, words in _CAUSES if re.search(pattern, text.everything)), None)
    return GraphRefusal(
        Obstacle.CREDENTIALS_REFUSED,
        cause[0].upper() + cause[1:]
        if cause
        else "Entra could not sign in at the endpoint with the credentials; see the SCIM API's log",
    )


def _not_found(text: ErrorText, request: GraphRequest, caller: Caller) -> GraphRefusal:
    principal = caller.application.service_principal_id
    if request.job_id is None or principal.lower() in text.everything:
        return GraphRefusal(
            Obstacle.APPLICATION_NOT_FOUND,
            f"spec.entra.servicePrincipalID has to be the object id of the enterprise application, not the application "
            f"id, in tenant {caller.application.tenant_id}; {principal} is none there. See it on the application's page "
            "Overview, or: az ad sp show --id <application id> --query id -o tsv",
        )
    return GraphRefusal(
        Obstacle.JOB_NOT_FOUND,
        f"The enterprise application has no provisioning job {request.job_id}: correct spec.entra.jobID, or leave it "
        "out if there is one job",
    )


def _request_refused(codes: set[str]) -> GraphRefusal:
    if "notinallowlist" in codes:
        return GraphRefusal(
            Obstacle.REQUEST_REFUSED,
            "This enterprise application does not take OAuth 2.0 client credentials that way: use spec.auth with a "
            "bearer token, or paste them in the Entra admin center",
        )
    return GraphRefusal(
        Obstacle.REQUEST_REFUSED,
        "Graph takes the request for wrong; its request id is for Microsoft's support",
    )


ACTIONS: Final[Mapping[Call, str]] = {
    "jobs": "reading the provisioning jobs",
    "job": "reading the provisioning job",
    "schema": "reading the job's synchronization rules",
    "secrets": "reading which credentials are saved",
    "validateCredentials": "Entra's Test Connection",
    "save": "saving the credentials in Entra",
    "start": "starting the provisioning job",
    "restart": "restarting the provisioning job",
    "provisionOnDemand": "provisioning on demand",
}
"""What each call does, for messages."""

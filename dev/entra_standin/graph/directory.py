"""Operations of the directory: service principals, owners, new applications, the provisioning log."""

import re
from typing import Any, Final

from entra_standin.graph import views
from entra_standin.graph.access import OWNED_BY, Right
from entra_standin.graph.errors import bad_request, not_found
from entra_standin.graph.routing import NO_CONTENT, Answer, Call, Operation
from entra_standin.graph.views import CUSTOM_TEMPLATE, listing

_APP_ID: Final = re.compile(r"appId eq '(?P<id>[^']*)'")
_OBJECT: Final = re.compile(r".*/(?:directoryObjects|servicePrincipals)/(?P<id>[^/]+)")


def get_service_principal(call: Call) -> Answer:
    """One."""
    return Answer(200, views.service_principal(call.application))


def get_by_app_id(call: Call) -> Answer:
    """One, by the application's id instead of its own."""
    for application in list(call.tenant.applications.values()):
        if application.app_id == call.names["app_id"]:
            return Answer(200, views.service_principal(application))
    raise not_found(call.names["app_id"])


def get_service_principals(call: Call) -> Answer:
    """All, or the one of an application's id."""
    found = list(call.tenant.applications.values())
    if "$filter" in call.query:
        match = _APP_ID.fullmatch(call.query["$filter"])
        if match is None:
            raise bad_request("Invalid filter clause", "Request_UnsupportedQuery")
        found = [one for one in found if one.app_id == match["id"]]
    return Answer(200, listing("servicePrincipals", [views.service_principal(one) for one in found]))


def get_owners(call: Call) -> Answer:
    """Who owns the service principal."""
    return Answer(200, listing("directoryObjects", views.owners(call.application.owners)))


def add_owner(call: Call) -> Answer:
    """One more owns the service principal; shows in tokens that are issued from now on."""
    call.application.owners.add(_reference(call.body))
    return NO_CONTENT


def add_registration_owner(call: Call) -> Answer:
    """One more owns the registration, which is of no use for jobs."""
    call.application.registration_owners.add(_reference(call.body))
    return NO_CONTENT


def instantiate(call: Call) -> Answer:
    """A new application of no gallery, with its service principal."""
    if call.names["template"] != CUSTOM_TEMPLATE:
        raise not_found(call.names["template"])
    name = call.body.get("displayName") if isinstance(call.body, dict) else None
    if not isinstance(name, str) or not name:
        raise bad_request("The property displayName is required.")
    application = call.tenant.add_application(display_name=name, jobs=0)
    if OWNED_BY in call.grant.roles:
        application.owners.add(call.grant.principal_id)
        application.registration_owners.add(call.grant.principal_id)
    body = {
        "application": views.registration(application),
        "servicePrincipal": views.service_principal(application),
    }
    return Answer(201, body)


def get_log(call: Call) -> Answer:
    """The provisioning log."""
    return Answer(200, call.tenant.log.query(call.query, call.url))


def _reference(body: Any) -> str:
    match = _OBJECT.fullmatch(str(body.get("@odata.id"))) if isinstance(body, dict) else None
    if match is None:
        raise bad_request("The property @odata.id must lead to a directory object.")
    return match["id"]


OPERATIONS: Final = (
    Operation("GET", "/servicePrincipals", Right.READ_DIRECTORY, get_service_principals),
    Operation("GET", "/servicePrincipals(appId='{app_id}')", Right.READ_DIRECTORY, get_by_app_id),
    Operation("GET", "/servicePrincipals/{sp}", Right.READ_DIRECTORY, get_service_principal),
    Operation("GET", "/servicePrincipals/{sp}/owners", Right.READ_DIRECTORY, get_owners),
    Operation("POST", "/servicePrincipals/{sp}/owners/$ref", Right.WRITE_DIRECTORY, add_owner),
    Operation("POST", "/applications/{app}/owners/$ref", Right.WRITE_DIRECTORY, add_registration_owner),
    Operation("POST", "/applicationTemplates/{template}/instantiate", Right.CREATE, instantiate),
    Operation("GET", "/auditLogs/provisioning", Right.READ_LOG, get_log),
)

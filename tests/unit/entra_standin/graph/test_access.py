"""Who may call what, by app roles and ownership; a right shows in a new token alone."""

from typing import Any

import pytest

from entra_standin.graph import Application, Caller, Job, MicrosoftCloud, Tenant
from unit.entra_standin.graph.graph_client import SECRET, GraphClient, error_of

OWNED_BY = "Application.ReadWrite.OwnedBy"
UNKNOWN = {"code": "UnknownError", "message": ""}


@pytest.fixture
def caller(tenant: Tenant) -> Caller:
    """Without any role."""
    return tenant.add_caller(secret=SECRET)


@pytest.fixture
def principal(caller: Caller) -> str:
    found = caller.service_principal_id()
    assert found is not None
    return found


def reads(graph: GraphClient, application: Application) -> int:
    return graph.sync(application, "GET", "/jobs").status_code


def writes(graph: GraphClient, application: Application) -> int:
    return graph.sync(application, "PUT", "/secrets", {"value": []}).status_code


def verb(graph: GraphClient, application: Application, name: str) -> int:
    path = f"/jobs/{application.jobs[0].id}/{name}"
    return graph.sync(application, "POST", path, {"useSavedCredentials": True}).status_code


def test_a_missing_right_is_401_without_a_word(graph: GraphClient, application: Application) -> None:
    answer = graph.sync(application, "GET", "/jobs")
    assert answer.status_code == 401
    assert {name: answer.json()["error"][name] for name in UNKNOWN} == UNKNOWN
    graph.cloud.behaviour.missing_right_status = 403
    assert error_of(graph.sync(application, "GET", "/jobs")) == (403, "Authorization_RequestDenied")


def test_a_new_role_shows_in_a_new_token_alone(
    graph: GraphClient, caller: Caller, application: Application
) -> None:
    caller.grant("Synchronization.ReadWrite.All")
    assert writes(graph, application) == 401
    assert writes(graph.sign_in(), application) == 204
    caller.revoke("Synchronization.ReadWrite.All")
    assert writes(graph, application) == 204
    assert writes(graph.sign_in(), application) == 401


def test_the_role_to_read_does_not_let_write(
    graph: GraphClient, caller: Caller, application: Application
) -> None:
    caller.grant("Synchronization.Read.All")
    graph.sign_in()
    assert reads(graph, application) == 200
    assert writes(graph, application) == 401
    for name in ("start", "pause", "restart", "validateCredentials", "provisionOnDemand"):
        assert verb(graph, application, name) == 401


def test_the_owners_right_needs_the_service_principal_and_a_new_token(
    graph: GraphClient, caller: Caller, principal: str, application: Application
) -> None:
    caller.grant(OWNED_BY)
    application.registration_owners.add(principal)
    assert reads(graph.sign_in(), application) == 401, "the registration's ownership doesn't count"
    application.owners.add(principal)
    assert reads(graph, application) == 401, "the token is older"
    graph.sign_in()
    assert reads(graph, application) == 200
    assert writes(graph, application) == 204
    assert verb(graph, application, "restart") == 204


def test_an_owner_without_the_role_has_no_right(
    graph: GraphClient, principal: str, application: Application
) -> None:
    application.owners.add(principal)
    assert reads(graph.sign_in(), application) == 401


def test_switches_take_the_owners_rights_away(
    graph: GraphClient, caller: Caller, principal: str, application: Application
) -> None:
    caller.grant(OWNED_BY)
    application.owners.add(principal)
    graph.sign_in()
    graph.cloud.behaviour.restart_refuses_owners = True
    assert verb(graph, application, "restart") == 401
    assert verb(graph, application, "start") == 204
    graph.cloud.behaviour.owner_rights = False
    assert verb(graph, application, "start") == 401


def on_demand(graph: GraphClient, application: Application, job: Job) -> int:
    subject = {"objectId": "ada", "objectTypeName": "User"}
    body = {"parameters": [{"ruleId": application.rules["User"], "subjects": [subject]}]}
    return graph.sync(application, "POST", f"/jobs/{job.id}/provisionOnDemand", body).status_code


def test_provision_on_demand_needs_an_owner_of_both_objects(
    graph: GraphClient, caller: Caller, principal: str, application: Application, job: Job
) -> None:
    caller.grant(OWNED_BY)
    application.owners.add(principal)
    assert on_demand(graph.sign_in(), application, job) == 401
    application.registration_owners.add(principal)
    assert on_demand(graph.sign_in(), application, job) == 200


def test_provision_on_demand_can_be_made_to_need_ownership_of_everybody(
    graph: GraphClient, caller: Caller, application: Application, job: Job
) -> None:
    caller.grant("Synchronization.ReadWrite.All")
    assert on_demand(graph.sign_in(), application, job) == 200
    graph.cloud.behaviour.on_demand_needs_ownership = True
    assert on_demand(graph, application, job) == 401


@pytest.mark.parametrize(
    ("roles", "status"),
    [
        ((), 403),
        (("AuditLog.Read.All",), 403),
        (("AuditLog.Read.All", "Directory.Read.All"), 200),
        (("ProvisioningLog.Read.All",), 200),
    ],
)
def test_the_provisioning_log_has_roles_of_its_own(
    graph: GraphClient, caller: Caller, roles: tuple[str, ...], status: int
) -> None:
    caller.grant(*roles)
    answer = graph.sign_in().call("GET", "/auditLogs/provisioning")
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["error"]["code"] == "Authentication_MSGraphPermissionMissing"


@pytest.mark.parametrize(
    ("method", "path", "body", "role", "status"),
    [
        ("GET", "", None, "Application.Read.All", 200),
        ("GET", "/owners", None, OWNED_BY, 200),
        (
            "POST",
            "/owners/$ref",
            {"@odata.id": "https://g/directoryObjects/x"},
            "Application.ReadWrite.All",
            204,
        ),
        ("POST", "/owners/$ref", {"@odata.id": "https://g/directoryObjects/x"}, OWNED_BY, 403),
    ],
    ids=["service-principal", "owners", "add-owner", "add-owner-of-anothers"],
)
def test_the_directory_has_roles_of_its_own(
    graph: GraphClient, caller: Caller, application: Application, method: str, path: str, body: Any, role: str, status: int
) -> None:  # fmt: skip
    url = f"/servicePrincipals/{application.service_principal_id}{path}"
    caller.grant("Synchronization.ReadWrite.All")
    assert error_of(graph.sign_in().call(method, url, body)) == (403, "Authorization_RequestDenied")
    caller.grant(role)
    assert graph.sign_in().call(method, url, body).status_code == status


def test_a_right_in_one_tenant_is_none_in_another(cloud: MicrosoftCloud, caller: Caller) -> None:
    caller.multi_tenant = True
    caller.grant("Synchronization.ReadWrite.All")
    customer = cloud.add_tenant()
    caller.consent(customer.id)
    application = customer.add_application()
    graph = GraphClient(cloud, caller, customer.id).sign_in()
    assert reads(graph, application) == 401
    caller.grant("Synchronization.ReadWrite.All", tenant_id=customer.id)
    assert reads(graph.sign_in(), application) == 200

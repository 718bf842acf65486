"""Service principals, their owners, and new applications."""

import pytest

from entra_standin.graph import Application, Caller, Tenant
from unit.entra_standin.graph.graph_client import SECRET, GraphClient, error_of

TEMPLATE = "8adf8e6e-67b2-4cf2-a259-e3dc5476c621"


@pytest.fixture
def caller(tenant: Tenant) -> Caller:
    return tenant.add_caller(
        secret=SECRET, roles={"Application.ReadWrite.All", "Application.ReadWrite.OwnedBy"}
    )


def test_a_service_principal_is_found_by_its_id_and_by_the_applications(
    graph: GraphClient, application: Application
) -> None:
    shown = graph.call("GET", f"/servicePrincipals/{application.service_principal_id}").json()
    assert shown["appId"] == application.app_id
    by_key = graph.call("GET", f"/servicePrincipals(appId='{application.app_id}')")
    assert by_key.json() == shown
    query = {"$filter": f"appId eq '{application.app_id}'"}
    assert graph.call("GET", "/servicePrincipals", **query).json()["value"] == [shown]
    wrong = graph.call("GET", f"/servicePrincipals/{application.app_id}")
    assert error_of(wrong) == (404, "Request_ResourceNotFound")
    assert graph.call("GET", f"/servicePrincipals(appId='{TEMPLATE}')").status_code == 404
    assert graph.call("GET", "/servicePrincipals", **{"$filter": "nonsense"}).status_code == 400


def test_owners_are_added_to_the_service_principal_and_to_the_registration(
    graph: GraphClient, application: Application, caller: Caller
) -> None:
    path = f"/servicePrincipals/{application.service_principal_id}/owners"
    assert graph.call("GET", path).json()["value"] == []
    reference = {
        "@odata.id": f"https://graph.microsoft.com/v1.0/directoryObjects/{caller.service_principal_id()}"
    }
    assert graph.call("POST", f"{path}/$ref", reference).status_code == 204
    assert [one["id"] for one in graph.call("GET", path).json()["value"]] == [caller.service_principal_id()]
    of_registration = f"/applications/{application.object_id}/owners/$ref"
    assert graph.call("POST", of_registration, reference).status_code == 204
    assert application.registration_owners == {caller.service_principal_id()}
    assert graph.call("POST", f"{path}/$ref", {"@odata.id": "x"}).status_code == 400
    nowhere = f"/applications/{application.app_id}/owners/$ref"
    assert graph.call("POST", nowhere, reference).status_code == 404


def test_owners_can_be_there_from_the_beginning(tenant: Tenant, caller: Caller) -> None:
    assert tenant.add_application(owners=[caller]).owners == {caller.service_principal_id()}
    stranger = Caller("x", "another-tenant")
    with pytest.raises(ValueError, match="no service principal"):
        tenant.add_application(owners=[stranger])


def test_an_application_can_have_the_object_id_that_an_example_names(
    graph: GraphClient, tenant: Tenant
) -> None:
    application = tenant.add_application(service_principal_id="7A1F6C52-6d0e-4a53-8a5e-5b0f2f0e9d0a")
    assert application.service_principal_id == "7a1f6c52-6d0e-4a53-8a5e-5b0f2f0e9d0a"
    answer = graph.call("GET", f"/servicePrincipals/{application.service_principal_id}/owners")
    assert answer.status_code == 200


def test_an_application_of_no_gallery_is_made_of_its_template(
    graph: GraphClient, tenant: Tenant, caller: Caller
) -> None:
    path = f"/applicationTemplates/{TEMPLATE}/instantiate"
    made = graph.call("POST", path, {"displayName": "New"})
    assert made.status_code == 201
    application = tenant.applications[made.json()["servicePrincipal"]["id"]]
    assert application.object_id == made.json()["application"]["id"]
    assert application.owners == {caller.service_principal_id()}
    assert application.jobs == []
    assert graph.call("POST", path, {}).status_code == 400
    assert (
        graph.call("POST", f"/applicationTemplates/{application.app_id}/instantiate", {}).status_code == 404
    )

"""What no ``repr`` shows."""

from entra_standin.graph import Caller, MicrosoftCloud
from entra_standin.graph.registrations import Secret
from unit.entra_standin.graph.graph_client import SECRET, GraphClient


def test_no_secret_is_in_a_repr(cloud: MicrosoftCloud, caller: Caller, graph: GraphClient) -> None:
    token = graph.headers["authorization"].removeprefix("Bearer ")
    tenant = cloud.tenants[caller.home]
    application = tenant.add_application(credentials={"SecretToken": SECRET})
    for shown in (
        cloud,
        caller,
        tenant,
        application,
        application.jobs[0],
        cloud.requests.log,
        Secret(SECRET),
    ):
        assert SECRET not in repr(shown)
        assert token not in repr(shown)


def test_ids_are_the_same_in_capitals(cloud: MicrosoftCloud) -> None:
    guid = "5E1F0C7A-2B6D-4C38-9A41-7D3E8F60B9C2"
    tenant = cloud.add_tenant(guid)
    caller = tenant.add_caller(client_id=guid, secret=SECRET, roles={"Synchronization.Read.All"})
    application = tenant.add_application()
    graph = GraphClient(cloud, caller, guid)
    assert graph.token(client_id=guid).status_code == 200
    path = f"/servicePrincipals/{application.service_principal_id.upper()}/synchronization/jobs"
    assert graph.sign_in().call("GET", path).status_code == 200

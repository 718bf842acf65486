"""The provisioning log and its query options."""

import pytest

from entra_standin.graph import Application, Caller, Job, Tenant
from unit.entra_standin.graph.graph_client import SECRET, Clock, GraphClient, error_of


@pytest.fixture
def caller(tenant: Tenant) -> Caller:
    return tenant.add_caller(
        secret=SECRET, roles={"ProvisioningLog.Read.All", "Synchronization.ReadWrite.All"}
    )


@pytest.fixture
def cycled(job: Job, application: Application, clock: Clock) -> Job:
    """A cycle that succeeded, and an hour later one that failed."""
    job.start()
    job.run_cycle()
    clock.advance(seconds=1800)
    application.credentials["SecretToken"] = "wrong"
    job.run_cycle()
    clock.advance(seconds=60)
    return job


def entries(graph: GraphClient, clock: Clock, **options: str) -> list[str]:
    clock.advance(seconds=10)
    answer = graph.call(
        "GET", "/auditLogs/provisioning", **{f"${key}": value for key, value in options.items()}
    )
    assert answer.status_code == 200, answer.text
    return [one["provisioningStatusInfo"]["status"] for one in answer.json()["value"]]


def test_every_cycle_has_an_entry_the_newest_first(graph: GraphClient, cycled: Job, clock: Clock) -> None:
    assert entries(graph, clock) == ["failure", "success"]
    failure, success = graph.call("GET", "/auditLogs/provisioning").json()["value"]
    assert success["jobId"] == cycled.id
    assert success["cycleId"] == cycled.history[0].id
    assert success["provisioningStatusInfo"]["errorInformation"] is None
    information = failure["provisioningStatusInfo"]["errorInformation"]
    assert information["errorCode"] == "SystemForCrossDomainIdentityManagementInvalidCredentials"


def test_filters_compare_and_contain(graph: GraphClient, cycled: Job, clock: Clock) -> None:
    first = cycled.history[0].ended.strftime("%Y-%m-%dT%H:%M:%SZ")
    for text, found in (
        (f"jobId eq '{cycled.id}'", 2),
        ("jobId eq 'other'", 0),
        ("provisioningStatusInfo/status eq 'failure'", 1),
        (f"activityDateTime gt {first[:-1]}.5Z", 1),
        (f"activityDateTime lt {first[:-1]}.5Z", 1),
        (f"contains(jobId, '{cycled.id[5:20]}') and activityDateTime ge {first[:10]}", 2),
        ("activityDateTime le 2000-01-01", 0),
    ):
        assert len(entries(graph, clock, filter=text)) == found, text


def test_pages_are_as_long_as_asked_for_and_lead_to_the_next(
    graph: GraphClient, cycled: Job, clock: Clock
) -> None:
    assert entries(graph, clock, orderby="activityDateTime asc") == ["success", "failure"]
    clock.advance(seconds=10)
    query = {"$top": "1", "$filter": f"jobId eq '{cycled.id}'"}
    page = graph.call("GET", "/auditLogs/provisioning", **query).json()
    assert len(page["value"]) == 1
    rest = graph.http.get(page["@odata.nextLink"], headers=graph.headers).json()
    assert len(rest["value"]) == 1
    assert "@odata.nextLink" not in rest


@pytest.mark.parametrize("option", [{"$filter": "nonsense"}, {"$top": "x"}])
def test_options_that_are_not_understood_are_refused(
    graph: GraphClient, cycled: Job, option: dict[str, str]
) -> None:
    assert error_of(graph.call("GET", "/auditLogs/provisioning", **option))[0] == 400


def test_a_provision_on_demand_has_an_entry(
    graph: GraphClient, application: Application, job: Job, clock: Clock
) -> None:
    subject = {"objectId": "ada", "objectTypeName": "User"}
    body = {"parameters": [{"ruleId": application.rules["User"], "subjects": [subject]}]}
    graph.sync(application, "POST", f"/jobs/{job.id}/provisionOnDemand", body)
    [entry] = graph.call("GET", "/auditLogs/provisioning").json()["value"]
    assert entry["provisioningAction"] == "create"
    assert entry["sourceIdentity"]["id"] == "ada"
    assert entry["targetIdentity"]["id"] == "id-ada"


def test_a_tenant_sees_its_own_entries_alone(graph: GraphClient, cycled: Job, clock: Clock) -> None:
    other = graph.cloud.add_tenant()
    vendor = other.add_caller(secret=SECRET, roles={"ProvisioningLog.Read.All"})
    assert entries(GraphClient(graph.cloud, vendor).sign_in(), clock) == []


def test_six_questions_within_ten_seconds_are_one_too_many(graph: GraphClient) -> None:
    statuses = [graph.call("GET", "/auditLogs/provisioning").status_code for _ in range(6)]
    assert statuses == [200] * 5 + [429]

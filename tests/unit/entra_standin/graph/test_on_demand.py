"""``provisionOnDemand``: what it writes, and its answer."""

import json
from typing import Any

import pytest

from entra_standin.directory import Person
from entra_standin.graph import Application, Job
from unit.entra_standin.faulty_service import error
from unit.entra_standin.graph.graph_client import Clock, GraphClient, error_of
from unit.entra_standin.token_service import World


def ask(graph: GraphClient, application: Application, kind: str, object_id: str, *members: str) -> Any:
    shown = graph.sync(application, "GET", f"/jobs/{application.jobs[0].id}/schema").json()
    rules = {
        rule["objectMappings"][0]["sourceObjectName"]: rule["id"] for rule in shown["synchronizationRules"]
    }
    subject: dict[str, Any] = {"objectId": object_id, "objectTypeName": kind}
    if members:
        subject["links"] = {"members": [{"objectId": one, "objectTypeName": "User"} for one in members]}
    body = {"parameters": [{"ruleId": rules[kind], "subjects": [subject]}]}
    return graph.sync(application, "POST", f"/jobs/{application.jobs[0].id}/provisionOnDemand", body)


def told(answer: Any) -> tuple[str, Any, Any]:
    """Result, error code and the value, which are documents within texts."""
    assert answer.status_code == 200, answer.text
    key, value = json.loads(answer.json()["key"]), json.loads(answer.json()["value"])
    return key["result"], key["details"].get("errorCode"), value


def test_a_person_is_provisioned_for_real_and_is_redundant_the_next_time(
    graph: GraphClient, application: Application, world: World
) -> None:
    result, code, value = told(ask(graph, application, "User", "ada"))
    assert (result, code) == ("Success", None)
    assert value["action"] == "Create"
    assert value["targetIdentity"]["id"] == "id-ada"
    assert set(world.scim.users) == {"id-ada"}
    assert told(ask(graph, application, "User", "ada"))[:2] == ("Skipped", "RedundantExport")
    world.scim.users["id-ada"]["title"] = "Other"
    assert told(ask(graph, application, "User", "ada"))[2]["action"] == "Update"


def test_a_group_is_provisioned_with_the_members_that_are_named(
    graph: GraphClient, application: Application, job: Job, world: World
) -> None:
    application.teams, teams = (), application.teams
    job.start()
    job.run_cycle()
    application.teams = teams
    assert told(ask(graph, application, "Group", "team-all", "ada", "grace"))[0] == "Success"
    [group] = world.scim.groups.values()
    assert group["members"] == {"id-ada", "id-grace"}


def test_who_is_not_assigned_or_lacks_the_matching_attribute_is_skipped(
    graph: GraphClient, application: Application
) -> None:
    assert told(ask(graph, application, "User", "nobody"))[:2] == ("Skipped", "NotEffectivelyEntitled")
    assert told(ask(graph, application, "Group", "none"))[:2] == ("Skipped", "NotEffectivelyEntitled")
    application.people = (Person("ghost", "ghost@contoso.example", None, "Ghost"),)
    assert told(ask(graph, application, "User", "ghost"))[:2] == ("Skipped", "UnprocessableEntry")


def test_what_the_endpoint_refuses_is_a_failure_with_its_cause(
    graph: GraphClient, application: Application, world: World
) -> None:
    world.scim.fault = lambda request, answer: (
        error(500, detail="broken") if request.method == "POST" else answer
    )
    result, _, value = told(ask(graph, application, "User", "ada"))
    assert result == "Failure"
    assert "broken" in value["statusInfo"]["reason"]
    application.credentials["SecretToken"] = "wrong"
    result, code, _ = told(ask(graph, application, "User", "ada"))
    assert (result, code) == ("Failure", "SystemForCrossDomainIdentityManagementInvalidCredentials")


def test_a_job_in_quarantine_refuses_without_a_word(
    graph: GraphClient, application: Application, job: Job
) -> None:
    application.credentials["SecretToken"] = "wrong"
    job.start()
    job.run_cycle()
    assert error_of(ask(graph, application, "User", "ada")) == (401, "UnknownError")


def test_six_within_ten_seconds_are_one_too_many(
    graph: GraphClient, application: Application, clock: Clock
) -> None:
    for _ in range(5):
        assert ask(graph, application, "User", "nobody").status_code == 200
        clock.advance(seconds=1)
    refused = ask(graph, application, "User", "nobody")
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "5"
    clock.advance(seconds=5)
    assert ask(graph, application, "User", "nobody").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        None,
        {"parameters": []},
        {"parameters": [{"ruleId": "x", "subjects": [{"objectId": "ada", "objectTypeName": "User"}]}]},
        {"parameters": [{"ruleId": "x", "subjects": []}]},
    ],
    ids=["nothing", "no-parameter", "another-rule", "no-subject"],
)
def test_what_is_not_understood_is_refused(
    graph: GraphClient, application: Application, job: Job, body: Any
) -> None:
    answer = graph.sync(application, "POST", f"/jobs/{job.id}/provisionOnDemand", body)
    assert answer.status_code == 400


def test_more_than_five_members_are_refused(graph: GraphClient, application: Application) -> None:
    assert ask(graph, application, "Group", "team-all", *"abcdef").status_code == 400

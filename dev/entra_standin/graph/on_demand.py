"""``provisionOnDemand``: one user, or one group with some members, for real; the answer is JSON within strings."""

import dataclasses
import json
from typing import Any, Final

from entra_standin.client import EntraClient
from entra_standin.cycle import CycleReport, initial_cycle
from entra_standin.directory import Person, Team
from entra_standin.errors import EntraError
from entra_standin.graph.applications import Application, Tenant
from entra_standin.graph.connection import failure_of
from entra_standin.graph.errors import bad_request, missing_right
from entra_standin.graph.ids import from_posix, graph_time, new_guid
from entra_standin.graph.jobs import Job
from entra_standin.groups import initial_groups

_MOST_MEMBERS: Final = 5
"""Of a group, with each request (Microsoft Learn: provision on demand)."""
_NOT_ENTITLED: Final = "NotEffectivelyEntitled"
_REDUNDANT: Final = "RedundantExport"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one subject.

    Attributes:
        result: Success, Failure or Skipped.
        action: of the provisioning log.
        error_code: None with success.
        message: what is wrong, or why it was skipped.
        target_id: the service's id.
    """

    result: str
    action: str
    error_code: str | None = None
    message: str = ""
    target_id: str | None = None


@dataclasses.dataclass(frozen=True)
class Subject:
    """What is asked for: ``kind`` is User or Group, ``members`` are object ids."""

    object_id: str
    kind: str
    members: tuple[str, ...] = ()


def provision(tenant: Tenant, application: Application, job: Job, body: Any) -> dict[str, Any]:
    """Answer a request.

    Raises:
        GraphError: 400, what is asked for is not understood; 401, the job is in quarantine.
    """
    subject = _subject(application, body)
    if job.quarantine is not None:
        raise missing_right()
    began = graph_time(from_posix(application.clock()))
    try:
        with application.connector.client(
            job.credentials, application=application.service_principal_id
        ) as client:
            outcome = _group(client, application, job, subject) if subject.kind == "Group" else _user(client, application, subject)  # fmt: skip
    except EntraError as error:
        failure = failure_of(error)
        outcome = Outcome("Failure", "other", failure.code, failure.message)
    entry = tenant.log.add(
        application,
        job,
        at=graph_time(from_posix(application.clock())),
        cycle_id=new_guid(),
        action=outcome.action,
        status=outcome.result.casefold(),
        error=(outcome.error_code, outcome.message) if outcome.error_code else None,
        source={"id": subject.object_id, "identityType": subject.kind},
        target={"id": outcome.target_id, "identityType": subject.kind},
    )
    return _answer(subject, outcome, entry, began)


def _subject(application: Application, body: Any) -> Subject:
    try:
        [parameter] = body["parameters"]
        [subject] = parameter["subjects"]
        rule, object_id, kind = parameter["ruleId"], subject["objectId"], subject["objectTypeName"]
        links = subject.get("links") or {}
        members = tuple(member["objectId"] for member in links.get("members", ()))
    except (KeyError, TypeError, ValueError):
        raise bad_request("One parameter with ruleId and one subject is required.") from None
    kind = str(kind).capitalize()
    if application.rules.get(kind) != rule:
        raise bad_request(f"The synchronization rule '{rule}' does not exist or is not for {kind}.")
    if len(members) > _MOST_MEMBERS:
        raise bad_request(f"At most {_MOST_MEMBERS} members can be provisioned on demand.")
    return Subject(str(object_id), kind, members)


def _user(client: EntraClient, application: Application, subject: Subject) -> Outcome:
    person = _person(application, subject.object_id)
    if person is None:
        return _skipped(_NOT_ENTITLED, "The object is not assigned to the application.")
    report = initial_cycle(client, [dataclasses.replace(person, manager=None)])
    if report.not_connected is not None:
        raise report.not_connected
    return _outcome_of(report, person)


def _outcome_of(report: CycleReport, person: Person) -> Outcome:
    target = report.ids.get(person.key)
    if wrong := (*report.failures, *report.findings):
        return Outcome(
            "Failure", "other", "SystemForCrossDomainIdentityManagementServiceIncompatible", wrong[0], target
        )
    if report.skipped:
        return _skipped("UnprocessableEntry", "The object lacks the matching attribute.")
    if report.created:
        return Outcome("Success", "create", target_id=target)
    if report.updated:
        return Outcome("Success", "update", target_id=target)
    text = "The state of the user in both the source and target systems already match."
    return Outcome("Skipped", "other", _REDUNDANT, text, target)


def _group(client: EntraClient, application: Application, job: Job, subject: Subject) -> Outcome:
    team = next((one for one in application.teams if one.key == subject.object_id), None)
    if team is None:
        return _skipped(_NOT_ENTITLED, "The object is not assigned to the application.")
    report = initial_groups(
        client, [Team(team.key, team.display_name, team.members & set(subject.members))], job.ids
    )
    if wrong := (*report.failures, *report.findings):
        return Outcome(
            "Failure", "other", "SystemForCrossDomainIdentityManagementServiceIncompatible", wrong[0]
        )
    action = "create" if report.created else "update"
    return Outcome("Success", action, target_id=report.ids.get(team.key))


def _skipped(code: str, message: str) -> Outcome:
    return Outcome("Skipped", "other", code, message)


def _person(application: Application, object_id: str) -> Person | None:
    return next((person for person in application.people if person.key == object_id), None)


def _answer(subject: Subject, outcome: Outcome, entry: dict[str, Any], began: str) -> dict[str, Any]:
    details = {"errorCode": outcome.error_code, "errorMessage": outcome.message} if outcome.error_code else {}
    passed = "Success" if outcome.result == "Success" else outcome.result
    value = {
        "action": outcome.action.capitalize(),
        "changeId": entry["changeId"],
        "startTime": began,
        "endTime": entry["activityDateTime"],
        "modifiedProperties": [],
        "provisioningSteps": [
            {"name": "EntryImport", "type": "Import", "status": "Success", "timestamp": began, "details": {}},
            {"name": "EntryExport", "type": "Export", "status": passed, "timestamp": began, "details": {}},
        ],
        "statusInfo": {
            "status": outcome.result,
            "errorCode": outcome.error_code,
            "reason": outcome.message or None,
        },
        "sourceIdentity": {"id": subject.object_id, "type": subject.kind},
        "targetIdentity": {"id": outcome.target_id, "type": subject.kind},
    }
    return {
        "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#microsoft.graph.stringKeyStringValuePair",
        "key": json.dumps({"result": outcome.result, "details": details}),
        "value": json.dumps(value),
    }

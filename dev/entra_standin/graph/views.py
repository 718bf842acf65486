"""Resources as Graph shows them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from entra_standin.graph.applications import Application
from entra_standin.graph.connection import Failure
from entra_standin.graph.credentials import masked
from entra_standin.graph.ids import UNSET, graph_time
from entra_standin.graph.jobs import Execution, Job

CUSTOM_TEMPLATE: Final = "8adf8e6e-67b2-4cf2-a259-e3dc5476c621"
"""The application template of whatever is in no gallery."""
_NEVER: Final = "P10675199DT2H48M5.4775807S"
"""The interval of a job that was not started."""
_MINUTE: Final = 60


def listing(context: str, items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A collection."""
    return {"@odata.context": f"https://graph.microsoft.com/v1.0/$metadata#{context}", "value": list(items)}


def service_principal(application: Application) -> dict[str, Any]:
    """``servicePrincipal``."""
    return {
        "id": application.service_principal_id,
        "appId": application.app_id,
        "displayName": application.display_name,
        "accountEnabled": True,
        "servicePrincipalType": "Application",
        "appOwnerOrganizationId": application.tenant_id,
        "applicationTemplateId": CUSTOM_TEMPLATE,
        "tags": ["WindowsAzureActiveDirectoryIntegratedApp"],
    }


def registration(application: Application) -> dict[str, Any]:
    """``application``."""
    return {
        "id": application.object_id,
        "appId": application.app_id,
        "displayName": application.display_name,
        "applicationTemplateId": CUSTOM_TEMPLATE,
    }


def owners(ids: set[str]) -> list[dict[str, Any]]:
    """``directoryObject`` of each."""
    return [{"@odata.type": "#microsoft.graph.servicePrincipal", "id": one} for one in sorted(ids)]


def template(application: Application) -> dict[str, Any]:
    """``synchronizationTemplate``."""
    return {
        "id": application.template_id,
        "applicationId": CUSTOM_TEMPLATE,
        "default": True,
        "description": "SCIM 2.0",
        "factoryTag": application.template_id,
        "metadata": [],
    }


def job(one: Job, cycle_seconds: float) -> dict[str, Any]:
    """``synchronizationJob``.

    Args:
        one: the job.
        cycle_seconds: between the cycles of a healthy job.
    """
    interval = f"PT{cycle_seconds / _MINUTE:g}M" if cycle_seconds >= _MINUTE else f"PT{cycle_seconds:g}S"
    return {
        "id": one.id,
        "templateId": one.template_id,
        "schedule": {
            "expiration": None,
            "interval": interval if one.was_started else _NEVER,
            "state": one.schedule.value,
        },
        "status": status(one),
        "synchronizationJobSettings": [
            {"name": "AzureIngestionAttributeOptimization", "value": "False"},
            {"name": "LookaheadQueryEnabled", "value": "False"},
        ],
    }


def status(one: Job) -> dict[str, Any]:
    """``synchronizationStatus``."""
    last, success = one.last_execution, one.last_success
    return {
        "code": one.state,
        "countSuccessiveCompleteFailures": one.successive_failures,
        "escrowsPruned": False,
        "lastExecution": execution(last) if last else None,
        "lastSuccessfulExecution": execution(success) if success else None,
        "lastSuccessfulExecutionWithExports": None,
        "progress": [],
        "quarantine": quarantine(one),
        "steadyStateFirstAchievedTime": graph_time(one.steady_since),
        "steadyStateLastAchievedTime": graph_time(success.ended) if success else UNSET,
        "synchronizedEntryCountByType": [{"key": "User to User", "value": len(one.ids)}] if one.ids else [],
        "troubleshootingUrl": "",
    }


def execution(one: Execution) -> dict[str, Any]:
    """``synchronizationTaskExecution``."""
    cycle = one.cycle
    failed, exported = (len(cycle.failures), cycle.exported) if cycle else (0, 0)
    return {
        "activityIdentifier": one.id,
        "countEntitled": one.people,
        "countEntitledForProvisioning": one.people,
        "countEscrowed": failed,
        "countEscrowedRaw": failed,
        "countExported": exported,
        "countExports": exported,
        "countImported": one.people if cycle else 0,
        "countImportedDeltas": exported,
        "countImportedReferenceDeltas": 0,
        "error": error(one.failure),
        "state": one.state.value,
        "timeBegan": graph_time(one.began),
        "timeEnded": graph_time(one.ended),
    }


def quarantine(one: Job) -> dict[str, Any] | None:
    """``synchronizationQuarantine``; None for a healthy job."""
    held, last = one.quarantine, one.last_execution
    if held is None:
        return None
    return {
        "currentBegan": graph_time(held.imposed),
        "error": error(last.failure if last else None),
        "nextAttempt": graph_time(one.next_run),
        "reason": held.reason.value,
        "seriesBegan": graph_time(held.since),
        "seriesCount": held.count,
    }


def error(failure: Failure | None) -> dict[str, Any] | None:
    """``synchronizationError``."""
    if failure is None:
        return None
    return {"code": failure.code, "message": failure.message, "tenantActionable": True}


def schema(application: Application, one: Job) -> dict[str, Any]:
    """``synchronizationSchema``, as far as ``provisionOnDemand`` needs it."""
    return {
        "id": one.id,
        "version": "Date:2026-11-01T00:00:00.0000000Z",
        "directories": [],
        "synchronizationRules": [
            {
                "id": rule_id,
                "name": f"{kind.upper()}_OUTBOUND_{kind.upper()}",
                "editable": True,
                "priority": priority,
                "sourceDirectoryName": "Azure Active Directory",
                "targetDirectoryName": "customappsso",
                "objectMappings": [
                    {
                        "enabled": True,
                        "name": f"Provision Microsoft Entra ID {kind}s",
                        "sourceObjectName": kind,
                        "targetObjectName": kind,
                        "attributeMappings": [],
                    }
                ],
            }
            for priority, (kind, rule_id) in enumerate(application.rules.items(), 1)
        ],
    }


def reads(application: Application, cycle_seconds: float) -> dict[str, dict[str, Any]]:
    """What GET answers of an application, by path below the service principal: kept while reads are stale."""
    shown = [job(one, cycle_seconds) for one in application.jobs]
    return {
        "": service_principal(application),
        "/synchronization/jobs": listing("synchronizationJobs", shown),
        "/synchronization/secrets": listing(
            "synchronizationSecrets", masked(application.credentials, application.behaviour)
        ),
        **{f"/synchronization/jobs/{one['id']}": one for one in shown},
    }

"""The provisioning log: an entry for each cycle and each provision on demand, and its query options."""

import collections
import re
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from entra_standin.graph.errors import bad_request
from entra_standin.graph.ids import graph_time, new_guid

if TYPE_CHECKING:
    from entra_standin.graph.applications import Application
    from entra_standin.graph.jobs import Execution, Job

_KEPT: Final = 10_000
_PAGE: Final = 1000
_COMPARISON: Final = re.compile(r"(?P<path>[\w/]+) (?P<op>eq|gt|lt|ge|le) (?P<value>'.*'|[^' ]+)")
_CONTAINS: Final = re.compile(r"contains\((?P<path>[\w/]+), ?'(?P<value>.*)'\)")


class ProvisioningLog:
    """A tenant's entries, the newest last; the last 10,000 are kept."""

    def __init__(self, tenant_id: str) -> None:
        self._tenant_id = tenant_id
        self._entries: collections.deque[dict[str, Any]] = collections.deque(maxlen=_KEPT)
        self._lock = threading.Lock()

    def cycle(self, application: "Application", job: "Job", execution: "Execution") -> None:
        """Take a cycle down."""
        failure, cycle = execution.failure, execution.cycle
        reasons = [failure.message] if failure else list(cycle.failures if cycle else ())
        self.add(
            application,
            job,
            at=graph_time(execution.ended),
            cycle_id=execution.id,
            action="other",
            status="failure" if reasons else "success",
            error=(failure.code if failure else "EntryLevelErrors", "; ".join(reasons)) if reasons else None,
        )

    def add(
        self,
        application: "Application",
        job: "Job",
        *,
        at: str,
        cycle_id: str,
        action: str,
        status: str,
        error: tuple[str, str] | None = None,
        source: Mapping[str, Any] | None = None,
        target: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Take anything down; the entry."""
        information = error and {
            "errorCode": error[0],
            "reason": error[1],
            "additionalDetails": None,
            "errorCategory": "failure",
            "recommendedAction": None,
        }
        entry: dict[str, Any] = {
            "id": new_guid(),
            "activityDateTime": at,
            "tenantId": self._tenant_id,
            "jobId": job.id,
            "cycleId": cycle_id,
            "changeId": new_guid(),
            "provisioningAction": action,
            "provisioningStatusInfo": {"status": status, "errorInformation": information},
            "provisioningSteps": [],
            "modifiedProperties": [],
            "servicePrincipal": {
                "id": application.service_principal_id,
                "displayName": application.display_name,
            },
            "sourceIdentity": dict(source) if source else None,
            "targetIdentity": dict(target) if target else None,
        }
        with self._lock:
            self._entries.append(entry)
        return entry

    def query(self, options: Mapping[str, str], url: str) -> dict[str, Any]:
        """What ``$filter``, ``$orderby``, ``$top`` and ``$skiptoken`` ask for.

        Args:
            options: by name.
            url: of this resource, for ``@odata.nextLink``.

        Raises:
            GraphError: 400, an option that is not understood.
        """
        with self._lock:
            found = list(self._entries)
        if "$filter" in options:
            found = [entry for entry in found if _meets(entry, options["$filter"])]
        name, _, direction = options.get("$orderby", "activityDateTime desc").partition(" ")
        found.sort(key=lambda entry: str(_value(entry, name)), reverse=direction == "desc")
        top, skip = _number(options, "$top", _PAGE), _number(options, "$skiptoken", 0)
        page: dict[str, Any] = {"value": found[skip : skip + top]}
        if skip + top < len(found):
            kept = {name: value for name, value in options.items() if name != "$skiptoken"}
            page["@odata.nextLink"] = f"{url}?{urlencode({**kept, '$skiptoken': skip + top})}"
        return page


def _meets(entry: Mapping[str, Any], text: str) -> bool:
    return all(_is_met(entry, one.strip()) for one in text.split(" and "))


def _is_met(entry: Mapping[str, Any], text: str) -> bool:
    if contains := _CONTAINS.fullmatch(text):
        return contains["value"] in str(_value(entry, contains["path"]))
    comparison = _COMPARISON.fullmatch(text)
    if comparison is None:
        raise bad_request(f"Invalid filter clause: {text}")
    held, wanted = str(_value(entry, comparison["path"])), comparison["value"].strip("'")
    match comparison["op"]:
        case "eq":
            return held.casefold() == wanted.casefold()
        case "gt":
            return held > wanted
        case "lt":
            return held < wanted
        case "ge":
            return held >= wanted
        case _:
            return held <= wanted


def _value(entry: Mapping[str, Any], path: str) -> Any:
    found: Any = entry
    for part in path.split("/"):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _number(options: Mapping[str, str], name: str, default: int) -> int:
    try:
        return int(options.get(name, default))
    except ValueError:
        raise bad_request(f"Invalid value of {name}") from None

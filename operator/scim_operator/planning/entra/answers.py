"""What Microsoft Graph answers, as this program's own values.

Any field may be missing, null or of a kind that is not documented: then it counts as not set. Nothing here raises.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

from scim_operator.planning.entra.error_text import quoted
from scim_operator.planning.entra.ports import Execution, Job, OnDemandResult, Quarantine

ID_LIMIT: Final = 256
"""Characters; a longer id is not used, for it can't be cut."""
CODE_LIMIT: Final = 128
DETAIL_LIMIT: Final = 500
_NAMED_PROPERTIES: Final = 20
_UNSET_BEFORE: Final = 1900
"""Graph writes ``0001-01-01T00:00:00Z`` where there is no time."""
_LARGEST: Final = 2**63 - 1

_Object = Mapping[str, object]


def parsed(body: bytes | str) -> object:
    """The JSON of an answer; None when it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def jobs(content: object) -> list[Job] | None:
    """The jobs of a list; None when it is no list of Graph's."""
    entries = _object(content).get("value")
    if not isinstance(entries, list):
        return None
    return [found for entry in entries if (found := job(entry)) is not None]


def job(content: object) -> Job | None:
    """A synchronizationJob; None when it is no object with an id."""
    entry = _object(content)
    job_id = entry.get("id")
    if not isinstance(job_id, str) or not 0 < len(job_id) <= ID_LIMIT:
        return None
    status = _object(entry.get("status"))
    code = _text(status.get("code"), CODE_LIMIT)
    return Job(
        id=job_id,
        template_id=_text(entry.get("templateId"), CODE_LIMIT),
        code=code,
        schedule_state=_text(_object(entry.get("schedule")).get("state"), CODE_LIMIT),
        last_execution=_execution(status.get("lastExecution")),
        last_success_at=_time(_object(status.get("lastSuccessfulExecution")).get("timeEnded")),
        quarantine=_quarantine(status.get("quarantine"), in_quarantine=code == "Quarantine"),
        failures=_count(status.get("countSuccessiveCompleteFailures")) or 0,
    )


def saved_secrets(content: object) -> Mapping[str, str]:
    """Keys and values of ``synchronization/secrets``; Graph masks values that are secret with ``*``."""
    entries = _object(content).get("value")
    found: dict[str, str] = {}
    for pair in map(_object, entries if isinstance(entries, list) else []):
        key, value = pair.get("key"), pair.get("value")
        if isinstance(key, str):
            found[key] = value if isinstance(value, str) else ""
    return found


def user_rule(schema: object) -> str | None:
    """Id of the first synchronization rule that provisions users; None when there is none.

    A rule does so when an object mapping of it that is not disabled has Entra's ``User`` as source
    (Microsoft Graph: objectMapping).
    """
    rules = _object(schema).get("synchronizationRules")
    for rule in map(_object, rules if isinstance(rules, list) else []):
        rule_id, mappings = rule.get("id"), rule.get("objectMappings")
        if isinstance(rule_id, str) and rule_id and isinstance(mappings, list):
            for mapping in map(_object, mappings):
                source = _text(mapping.get("sourceObjectName"), CODE_LIMIT)
                if source.lower() == "user" and mapping.get("enabled") is not False:
                    return rule_id
    return None


def on_demand_result(content: object) -> OnDemandResult | None:
    """What provisionOnDemand did: two strings of JSON in ``key`` and ``value``; None when there is no result.

    Of the properties that changed the names alone are told: their values are personal data.
    """
    answer = _object(content)
    outcome, event = _embedded(answer.get("key")), _embedded(answer.get("value"))
    information = _object(event.get("statusInfo"))
    result = _text(outcome.get("result"), CODE_LIMIT) or _text(information.get("status"), CODE_LIMIT)
    if not result:
        return None
    details = _object(outcome.get("details"))
    reason = ": ".join(
        text
        for text in (
            _first(details, information, "errorCode"),
            _first(details, information, "errorMessage", "reason"),
        )
        if text
    )
    names = list(_changed(event))
    changed = f"changed: {', '.join(names)}" if names and not reason else ""
    return OnDemandResult(result, quoted(reason or changed or "no details", limit=DETAIL_LIMIT))


def _changed(event: _Object) -> Iterator[str]:
    properties = event.get("modifiedProperties")
    entries = properties if isinstance(properties, list) else []
    for entry in map(_object, entries[:_NAMED_PROPERTIES]):
        if name := _text(entry.get("displayName"), CODE_LIMIT):
            yield name


def _first(details: _Object, information: _Object, *names: str) -> str:
    found = (source.get(name) for source in (details, information) for name in names)
    return next((value for value in found if isinstance(value, str) and value), "")


def _embedded(text: object) -> _Object:
    return _object(parsed(text) if isinstance(text, str) else text)


def _execution(value: object) -> Execution | None:
    if not isinstance(value, dict) or not value:
        return None
    code, message = _error(value.get("error"))
    return Execution(
        state=_text(value.get("state"), CODE_LIMIT),
        began_at=_time(value.get("timeBegan")),
        ended_at=_time(value.get("timeEnded")),
        exported=_count(value.get("countExported")),
        error_code=code,
        error_message=message,
    )


def _quarantine(value: object, *, in_quarantine: bool) -> Quarantine | None:
    """Null when the job is healthy; one in which nothing is set counts only when the job's code says so too."""
    entry = _object(value)
    code, message = _error(entry.get("error"))
    found = Quarantine(
        reason=_text(entry.get("reason"), CODE_LIMIT) or "Unknown",
        began_at=_time(entry.get("currentBegan")),
        next_attempt_at=_time(entry.get("nextAttempt")),
        error_code=code,
        error_message=message,
    )
    is_set = any((entry.get("reason"), found.began_at, found.next_attempt_at, code, message))
    return found if in_quarantine or is_set else None


def _error(value: object) -> tuple[str | None, str | None]:
    entry = _object(value)
    message = entry.get("message")
    return (
        _text(entry.get("code"), CODE_LIMIT) or None,
        (quoted(message) if isinstance(message, str) else "") or None,
    )


def _object(value: object) -> _Object:
    return value if isinstance(value, dict) else {}


def _text(value: object, limit: int) -> str:
    return quoted(value, limit=limit) if isinstance(value, str) else ""


def _count(value: object) -> int | None:
    """A number of objects; Graph's Int64 may come as a string (OData, IEEE754Compatible)."""
    if isinstance(value, str) and len(value) <= len(str(_LARGEST)) and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST:
        return value
    return None


def _time(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment if moment.year >= _UNSET_BEFORE else None

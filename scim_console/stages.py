"""How far a credential has come on its way to Entra, and what Entra does with it. Pure."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal

from scim_console.model import IN_PROGRESS, ON_PURPOSE, Condition, Token

Kind = Literal["ok", "warning", "unknown"]
_STAGES: Final = (
    ("Registered", "SCIM API"),
    ("Published", "Secret"),
    ("EndpointReachable", "Endpoint"),
    ("HandedOver", "Entra has it"),
    ("Provisioning", "Entra's job"),
)
"""Conditions in the order of the way, and what they are about in a person's words."""
_BAD: Final = frozenset({"SupersededTokenInUse", "SignInRefused", "SecretMetadataDenied"})
"""Conditions that are fine when they are False."""


@dataclasses.dataclass(frozen=True, slots=True)
class Stage:
    """A step of the way."""

    name: str
    kind: Kind
    word: str
    message: str


@dataclasses.dataclass(frozen=True, slots=True)
class Fact:
    """Something that Entra has or does."""

    name: str
    value: str
    at: datetime | None = None
    """Shown in place of the value."""


def kind_of(condition: Condition) -> Kind:
    """Whether it is as it should be."""
    if condition.type == "HandedOver" and condition.reason in ON_PURPOSE:
        return "ok"
    is_to_come = condition.type in {"HandedOver", "Provisioning"} and condition.reason in IN_PROGRESS
    if is_to_come or condition.status not in {"True", "False"}:
        return "unknown"
    return "ok" if (condition.status == "True") != (condition.type in _BAD) else "warning"


def stages(token: Token) -> Sequence[Stage]:
    """Those that it has come to."""
    found = {one.type: one for one in token.conditions}
    return [
        Stage(name, kind_of(found[kind]), found[kind].reason, found[kind].message)
        for kind, name in _STAGES
        if kind in found
    ]


def entra_facts(entra: Mapping[str, Any]) -> Sequence[Fact]:
    """The hand-over and the job. A status of another release may lack fields or have more."""
    return [one for one in _facts(entra) if one.value or one.at]


def _facts(entra: Mapping[str, Any]) -> Iterator[Fact]:
    given, cycle, quarantine = (
        _mapping(entra.get(name)) for name in ("handedOver", "lastCycle", "quarantine")
    )
    yield Fact("Credential handed to Entra", _text(given, "credentialID"))
    yield Fact("Saved", "", _moment(given, "at"))
    yield Fact("In use since", "", _moment(given, "inUseAt"))
    yield Fact("Tenant URL saved with it", _text(given, "endpoint"))
    yield Fact("Enterprise application", _text(given, "servicePrincipalID"))
    yield Fact("Job", _text(entra, "jobID"))
    yield Fact("State of the job", _text(entra, "jobState"))
    yield Fact("Quarantine", _text(quarantine, "reason"))
    yield Fact("In quarantine since", "", _moment(quarantine, "since"))
    yield Fact("Why", _text(quarantine, "error"))
    yield Fact("Entra tries again", "", _moment(quarantine, "nextAttemptAt"))
    yield Fact("Entra disables the job", "", _moment(quarantine, "disabledAt"))
    yield Fact("Last cycle", _text(cycle, "state"))
    yield Fact("Last cycle ended", "", _moment(cycle, "endedAt"))
    yield Fact("Objects sent by it", _text(cycle, "exported"))
    yield Fact("What went wrong in it", _text(cycle, "error"))
    yield Fact("Last success", "", _moment(entra, "lastSuccessAt"))
    yield Fact("Started out of quarantine by the operator", _times(entra.get("recoveries")))
    yield Fact("Last started so", "", _moment(entra, "recoveredAt"))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(values: Mapping[str, Any], name: str) -> str:
    found = values.get(name)
    return "" if found is None else str(found)


def _times(value: object) -> str:
    return "" if not value else "once" if value == 1 else f"{value} times"


def _moment(values: Mapping[str, Any], name: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(values.get(name)))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None

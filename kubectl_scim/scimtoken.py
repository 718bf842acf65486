"""A ScimToken as the API server sends it, read for people: what it says of itself, and what is wrong first. Pure.

A status of another release may lack fields or have more: what is missing is unknown, and never an error.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal

from kubectl_scim.custom_object import CustomObject, items, mapping
from kubectl_scim.text import moment, stamp
from scim_console.model import IN_PROGRESS, ON_PURPOSE

GROUP: Final = "scim-operator.io"
KIND: Final = f"scimtokens.{GROUP}"
PART_OF: Final = "app.kubernetes.io/part-of=scim-operator"
"""Label of all that the chart makes."""
Severity = Literal["error", "warning"]
UNUSED: Final = timedelta(days=3)
"""Entra comes at least every few hours; last uses are told to the day."""


def pods_command(component: Literal["api", "operator", "deliver"]) -> str:
    """What lists an installation's pods, wherever it is."""
    return f"kubectl get pods -A -l {PART_OF},app.kubernetes.io/component={component}"


_NEXT: Final[Mapping[str, str]] = {
    "SecretNotOwned": "kubectl get secret {secret} -n {namespace} --show-labels",
    "SecretDeleting": "kubectl get secret {secret} -n {namespace} -o yaml",
    "ScimApiUnreachable": pods_command("api"),
    "Unavailable": pods_command("api"),
    "KubernetesRejected": pods_command("operator"),
}
"""What shows more, by the reason of Ready."""


@dataclasses.dataclass(frozen=True, slots=True)
class Condition:
    """One of its conditions."""

    type: str
    status: str
    reason: str
    message: str


@dataclasses.dataclass(frozen=True, slots=True)
class Credential:
    """A token, client secret or trust in its time: which, never what."""

    id: str
    kind: str
    state: str
    issued_at: datetime | None
    expires_at: datetime | None
    last_used_at: datetime | None
    last_inspected_at: datetime | None = None
    """By a person, with this plugin or its console."""


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """Something that needs attention."""

    severity: Severity
    subject: str
    """The condition, or what it is about."""
    message: str
    command: str | None
    """To type next."""


@dataclasses.dataclass(frozen=True, slots=True)
class ScimToken(CustomObject):
    """What there is to say of one."""

    @property
    def generation(self) -> int:
        """Of the spec."""
        return int(self.body["metadata"].get("generation", 0))

    @property
    def observed_generation(self) -> int:
        """That the status describes; -1: none yet."""
        return int(self.status.get("observedGeneration", -1))

    @property
    def secret_name(self) -> str:
        """Of its Secret."""
        wanted = mapping(self.spec.get("secret")).get("name")
        return str(self.status.get("secretName") or wanted or f"{self.name}-scim-token")

    @property
    def tenant(self) -> str:
        """Whose directory it opens."""
        return str(self.status.get("tenant") or self.spec.get("tenant") or self.name)

    @property
    def auth_type(self) -> str:
        """How its client signs in."""
        return str(mapping(self.spec.get("auth")).get("type", "BearerToken"))

    @property
    def is_read_only(self) -> bool:
        """Whether it is for an application that reads."""
        return self.spec.get("access") == "ReadOnly"

    @property
    def is_suspended(self) -> bool:
        """Whether rotation is frozen."""
        return self.spec.get("suspend") is True

    @property
    def conditions(self) -> Sequence[Condition]:
        """All of them."""
        return [
            Condition(*(str(item.get(name, "")) for name in ("type", "status", "reason", "message")))
            for item in items(self.status.get("conditions"))
        ]

    def condition(self, kind: str) -> Condition | None:
        """One of them, if it was ever set."""
        return next((one for one in self.conditions if one.type == kind), None)

    @property
    def credentials(self) -> Sequence[Credential]:
        """Those whose time is not over, the active one first."""
        found = [
            Credential(
                str(item.get("id", "")),
                str(item.get("kind", "BearerToken")),
                str(item.get("state", "")),
                moment(item.get("issuedAt")),
                moment(item.get("expiresAt")),
                moment(item.get("lastUsedAt")),
                moment(item.get("lastInspectedAt")),
            )
            for item in items(self.status.get("tokens"))
        ]
        return sorted(found, key=lambda one: one.state != "Active")

    @property
    def active(self) -> Credential | None:
        """The one in the Secret."""
        return next((one for one in self.credentials if one.state == "Active"), None)

    @property
    def is_settled(self) -> bool:
        """Whether the status is of this spec, and says that all is done."""
        ready = self.condition("Ready")
        return self.observed_generation >= self.generation and ready is not None and ready.status == "True"

    @property
    def is_in_progress(self) -> bool:
        """Whether something on Entra's side is to come yet."""
        return any(found.reason in IN_PROGRESS for found in self._of_entra())

    def problems(self, now: datetime) -> Sequence[Problem]:
        """What is wrong, the worst first, each with what to type next."""
        found = list(self._problems(now))
        return sorted(found, key=lambda one: one.severity != "error")

    @property
    def missing_secret(self) -> Problem:
        """What is wrong when its Secret is not there, which the status need not say yet."""
        message = f"{self.secret_name} does not exist; the operator recreates it"
        return Problem("error", "Secret", message, self._describe)

    @property
    def _describe(self) -> str:
        return f"kubectl describe sct {self.name} -n {self.namespace}"

    def _problems(self, now: datetime) -> Iterator[Problem]:
        describe = self._describe
        if self.observed_generation < 0:
            yield Problem(
                "error",
                "Operator",
                "no operator has seen it yet: does one run, and does it watch this namespace?",
                pods_command("operator"),
            )
            return
        if self.observed_generation < self.generation:
            yield Problem(
                "warning", "Operator", "the operator has not processed the latest spec yet", describe
            )
        yield from self._of_ready(describe)
        yield from self._of_use(now)
        yield from self._of_surroundings(describe)

    def _of_ready(self, describe: str) -> Iterator[Problem]:
        ready = self.condition("Ready")
        if ready is None or ready.status == "True":
            return
        command = _NEXT.get(ready.reason, describe)
        names = {"secret": self.secret_name, "namespace": self.namespace}
        yield Problem("error", f"Ready: {ready.reason}", ready.message, command.format(**names))

    def _of_use(self, now: datetime) -> Iterator[Problem]:
        mine = f"{self.name} -n {self.namespace}"
        in_use = self.condition("SupersededTokenInUse")
        if in_use is not None and in_use.status == "True":
            yield Problem("warning", in_use.type, in_use.message, f"kubectl scim credentials {mine}")
        rotation = moment(self.status.get("nextRotation")) or _rotation_of(self)
        if self.is_suspended and rotation is not None and rotation <= now:
            ends = self.active.expires_at if self.active is not None else None
            until = "" if ends is None else f"; it ends at {stamp(ends)}"
            message = f"suspended, so the token is not replaced{until}"
            yield Problem("warning", "Suspended", message, f"kubectl scim resume {mine}")
        active = self.active
        if active is None or self.is_read_only or active.issued_at is None:
            return
        last = max((one.last_used_at for one in self.credentials if one.last_used_at), default=None)
        if now - (last or active.issued_at) > UNUSED:
            message = (
                "this credential has never been used" if last is None else f"not used since {stamp(last)}"
            )
            hint = f"{message}: Entra comes at least every few hours. Is provisioning started there, with this credential?"
            yield Problem("warning", "Use", hint, f"kubectl scim credentials {mine}")

    def _of_surroundings(self, describe: str) -> Iterator[Problem]:
        for kind, wrong in (
            ("SignInRefused", "True"),
            ("EndpointReachable", "False"),
            ("SecretMetadataDenied", "True"),
        ):
            found = self.condition(kind)
            if found is not None and found.status == wrong:
                yield Problem("warning", f"{kind}: {found.reason}", found.message, describe)
        for found in self._of_entra():
            if found.reason not in ON_PURPOSE | IN_PROGRESS:
                yield Problem("warning", f"{found.type}: {found.reason}", found.message, describe)

    def _of_entra(self) -> Iterator[Condition]:
        """What is not so, or not known, of Entra's side."""
        for kind in ("HandedOver", "Provisioning"):
            found = self.condition(kind)
            if found is not None and found.status != "True":
                yield found


def _rotation_of(token: ScimToken) -> datetime | None:
    """When a suspended one was to be replaced by default: a third of its life before its end."""
    active = token.active
    if active is None or active.issued_at is None or active.expires_at is None:
        return None
    return active.expires_at - (active.expires_at - active.issued_at) / 3

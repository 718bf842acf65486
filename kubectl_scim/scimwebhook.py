"""A ScimWebhook as the API server sends it, read for people: what it says of itself, and what is wrong first. Pure."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from kubectl_scim.custom_object import CustomObject, mapping
from kubectl_scim.scimtoken import GROUP, Condition, Problem, pods_command
from kubectl_scim.text import moment

WEBHOOK_KIND: Final = f"scimwebhooks.{GROUP}"
_NEXT: Final[Mapping[str, str]] = {
    "NotDispatched": pods_command("deliver"),
    "TenantNotFound": "kubectl get sct -n {namespace}",
    "ScimApiUnreachable": pods_command("api"),
}
"""What shows more, by the reason."""


@dataclasses.dataclass(frozen=True, slots=True)
class ScimWebhook(CustomObject):
    """What there is to say of one."""

    @property
    def tenant(self) -> str:
        """Whose changes it sends."""
        return str(self.status.get("tenant") or self.spec.get("tenant") or self.name)

    @property
    def is_suspended(self) -> bool:
        """Whether nothing is sent, by its spec."""
        return self.spec.get("suspend") is True

    @property
    def is_observed(self) -> bool:
        """Whether the status is of this spec."""
        observed = self.status.get("observedGeneration", -1)
        return isinstance(observed, int) and observed >= int(self.body["metadata"].get("generation", 0))

    @property
    def waiting(self) -> int | None:
        """How many changes are to be sent; None: not known."""
        found = mapping(self.status.get("backlog")).get("events")
        return found if isinstance(found, int) else None

    @property
    def failing_since(self) -> datetime | None:
        """Since when the receiver has not taken everything."""
        return moment(self.status.get("failingSince"))

    @property
    def last_delivered_at(self) -> datetime | None:
        """When the receiver took something last, to the minute."""
        return moment(self.status.get("lastDeliveredAt"))

    def condition(self, kind: str) -> Condition | None:
        """One of its conditions, if it was ever set."""
        conditions = self.status.get("conditions")
        for item in conditions if isinstance(conditions, list) else ():
            if isinstance(item, Mapping) and item.get("type") == kind:
                return Condition(
                    *(str(item.get(field, "")) for field in ("type", "status", "reason", "message"))
                )
        return None

    @property
    def problems(self) -> Sequence[Problem]:
        """What is wrong, the worst first, each with what to type next."""
        return list(self._problems())

    def _problems(self) -> Iterator[Problem]:
        if not self.is_observed:
            yield Problem(
                "error" if "observedGeneration" not in self.status else "warning",
                f"ScimWebhook {self.name}",
                "the operator has not seen it as it is now",
                pods_command("operator"),
            )
            return
        for kind in ("Ready", "Delivering"):
            found = self.condition(kind)
            if found is None or found.status == "True" or found.reason == "Pending":
                continue
            if kind == "Delivering" and (self.is_suspended or found.reason == "NotRegistered"):
                continue
            describe = f"kubectl describe scimwebhook {self.name} -n {self.namespace}"
            yield Problem(
                "error",
                f"ScimWebhook {self.name}: {found.reason}",
                found.message,
                _NEXT.get(found.reason, describe).format(namespace=self.namespace),
            )

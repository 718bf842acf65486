"""What ``kubectl get`` shows of each kind. Times ahead are strings: type ``date`` prints ``<invalid>`` for them."""

from typing import Final

from scim_operator.api.status import HANDED_OVER, PROVISIONING
from scim_operator.api.structural_schema import JsonSchema
from scim_operator.api.webhook_status import DELIVERING


def _column(
    name: str, path: str, kind: str = "string", *, wide: bool = False, description: str
) -> JsonSchema:
    column: JsonSchema = {"name": name, "type": kind, "jsonPath": path, "description": description}
    return {**column, "priority": 1} if wide else column


def _condition(kind: str) -> str:
    return f'.status.conditions[?(@.type=="{kind}")]'


_READY: Final = _condition("Ready")

SCIM_TOKEN: Final = (
    _column("Ready", f"{_READY}.status", description="Whether the Secret has a token that works"),
    _column("Expires", ".status.expiresAt", description="When the active token expires"),
    _column("Next rotation", ".status.nextRotation", description="When it will be replaced"),
    _column(
        "Last used",
        ".status.lastUsedAt",
        "date",
        description="When somebody came with one of its tokens last",
    ),
    _column("Age", ".metadata.creationTimestamp", "date", description="Since when the ScimToken exists"),
    _column("Reason", f"{_READY}.reason", wide=True, description="Why it is ready or not"),
    _column("Tenant", ".status.tenant", wide=True, description="Whose directory it opens"),
    _column("Matching", ".spec.matching", wide=True, description="What identifies a user"),
    _column("Users", ".status.users", "integer", wide=True, description="How many the tenant has"),
    _column("Secret", ".status.secretName", wide=True, description="Where the token is"),
    _column(
        "Entra",
        f"{_condition(HANDED_OVER)}.reason",
        wide=True,
        description="Whether Entra has the active token",
    ),
    _column(
        "Job", f"{_condition(PROVISIONING)}.reason", wide=True, description="How its provisioning job is"
    ),
    _column("Access", ".spec.access", wide=True, description="Whether the token may change anything"),
    _column("Auth", ".spec.auth.type", wide=True, description="How its client signs in"),
    _column("Endpoint", ".status.endpoint", wide=True, description="What to paste as Tenant URL"),
)
"""``kubectl get sct``."""

SCIM_WEBHOOK: Final = (
    _column(
        "Delivering",
        f"{_condition(DELIVERING)}.status",
        description="Whether the receiver takes what is sent",
    ),
    _column("Backlog", ".status.backlog.events", "integer", description="How many changes are to be sent"),
    _column(
        "Last delivery",
        ".status.lastDeliveredAt",
        "date",
        description="When the receiver took something last",
    ),
    _column(
        "Failing since",
        ".status.failingSince",
        "date",
        description="Since when the receiver has not taken everything",
    ),
    _column("Age", ".metadata.creationTimestamp", "date", description="Since when the ScimWebhook exists"),
    _column(
        "Ready",
        f"{_READY}.status",
        wide=True,
        description="Whether the SCIM API has it and the Secret holds what it signs with",
    ),
    _column(
        "Reason",
        '.status.conditions[?(@.status!="True")].reason',
        wide=True,
        description="Of the first condition that is not as it should be",
    ),
    _column("Tenant", ".spec.tenant", wide=True, description="Whose changes are sent"),
    _column("URL", ".spec.url", wide=True, description="Where they are sent"),
    _column("Secret", ".status.secretName", wide=True, description="Where the signing secret is"),
    _column(
        "Next rotation", ".status.nextRotation", wide=True, description="When the signing secret is replaced"
    ),
)
"""``kubectl get scw``."""

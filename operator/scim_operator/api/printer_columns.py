"""What ``kubectl get sct`` shows."""

from typing import Any

from scim_operator.api.status import HANDED_OVER, PROVISIONING

JsonSchema = dict[str, Any]


def _column(
    name: str, path: str, kind: str = "string", *, wide: bool = False, description: str
) -> JsonSchema:
    column: JsonSchema = {"name": name, "type": kind, "jsonPath": path, "description": description}
    return {**column, "priority": 1} if wide else column


def printer_columns() -> list[JsonSchema]:
    """What ``kubectl get sct`` shows. Times ahead are strings: type ``date`` prints ``<invalid>`` for them."""
    ready = '.status.conditions[?(@.type=="Ready")]'
    handed_over = f'.status.conditions[?(@.type=="{HANDED_OVER}")]'
    provisioning = f'.status.conditions[?(@.type=="{PROVISIONING}")]'
    return [
        _column("Ready", f"{ready}.status", description="Whether the Secret has a token that works"),
        _column("Expires", ".status.expiresAt", description="When the active token expires"),
        _column("Next rotation", ".status.nextRotation", description="When it will be replaced"),
        _column(
            "Last used",
            ".status.lastUsedAt",
            "date",
            description="When somebody came with one of its tokens last",
        ),
        _column("Age", ".metadata.creationTimestamp", "date", description="Since when the ScimToken exists"),
        _column("Reason", f"{ready}.reason", wide=True, description="Why it is ready or not"),
        _column("Tenant", ".status.tenant", wide=True, description="Whose directory it opens"),
        _column("Matching", ".spec.matching", wide=True, description="What identifies a user"),
        _column("Users", ".status.users", "integer", wide=True, description="How many the tenant has"),
        _column("Secret", ".status.secretName", wide=True, description="Where the token is"),
        _column(
            "Entra", f"{handed_over}.reason", wide=True, description="Whether Entra has the active token"
        ),
        _column("Job", f"{provisioning}.reason", wide=True, description="How its provisioning job is"),
        _column("Access", ".spec.access", wide=True, description="Whether the token may change anything"),
        _column("Auth", ".spec.auth.type", wide=True, description="How its client signs in"),
        _column("Endpoint", ".status.endpoint", wide=True, description="What to paste as Tenant URL"),
    ]

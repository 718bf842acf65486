"""ScimTokens as the API server sends them, for those who look at them."""

import base64
from datetime import UTC, datetime
from typing import Any

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


def condition(
    kind: str, status: str = "True", reason: str = "Fine", message: str = "it is so"
) -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def credential(name: str = "t1", state: str = "Active", **fields: Any) -> dict[str, Any]:
    return {
        "id": name,
        "kind": "BearerToken",
        "state": state,
        "issuedAt": "2026-11-20T12:00:00Z",
        "expiresAt": "2027-02-18T12:00:00Z",
        "lastUsedAt": "2026-11-30T00:00:00Z",
        **fields,
    }


def scimtoken(
    *conditions: dict[str, str],
    credentials: tuple[dict[str, Any], ...] = (credential(),),
    spec: dict[str, Any] | None = None,
    generation: int = 2,
    **status: Any,
) -> dict[str, Any]:
    """One that is Ready unless a condition says otherwise."""
    kinds = {one["type"] for one in conditions}
    usual = [condition(kind) for kind in ("Ready", "Registered", "Published") if kind not in kinds]
    return {
        "apiVersion": "scim-operator.io/v1alpha1",
        "kind": "ScimToken",
        "metadata": {"name": "entra", "namespace": "team", "generation": generation},
        "spec": spec or {},
        "status": {
            "observedGeneration": 2,
            "secretName": "entra-scim-token",
            "tenant": "entra",
            "endpoint": "https://scim.example.com/scim/v2",
            "nextRotation": "2027-01-19T12:00:00Z",
            "conditions": [*conditions, *usual],
            "tokens": list(credentials),
            **status,
        },
    }


def secret(**entries: str) -> dict[str, Any]:
    """A Secret with these entries, ``_`` for ``-``."""
    return {
        "data": {
            key.replace("_", "-"): base64.b64encode(value.encode()).decode() for key, value in entries.items()
        }
    }

"""Specs of each ``auth.type`` for a ``token_life.Life``, and what they came to."""

from datetime import timedelta
from typing import Any

from scim_api.contract.oauth import token_endpoint
from support.operator_world import CLIENT_ID, ENDPOINT
from support.token_life import Life

TENANT = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
HOUR = timedelta(hours=1)
BEARER: dict[str, Any] = {}
OAUTH: dict[str, Any] = {"auth": {"type": "OAuthClientCredentials"}}
PUBLIC_OF_OAUTH = {"endpoint": ENDPOINT, "token-endpoint": token_endpoint(ENDPOINT), "client-id": CLIENT_ID}


def identity(*subjects: str, **more: Any) -> dict[str, Any]:
    """A spec of type WorkloadIdentity."""
    wanted = {"tenantID": TENANT, "subjects": list(subjects), "audiences": ["api://app/.default"], **more}
    return {"auth": {"type": "WorkloadIdentity", "workloadIdentity": wanted}}


async def ready(life: Life, **spec: Any) -> dict[str, str]:
    """Apply, reconcile, and see it Ready; the Secret's data."""
    life.world.apply(**spec)
    await life.reconcile()
    assert life.world.condition()["status"] == "True", life.world.condition()
    return life.world.secret()


def listed(life: Life) -> list[tuple[str, str]]:
    """Kind and state of each credential in the status."""
    assert life.world.object is not None
    return [(item["kind"], item["state"]) for item in life.world.object["status"]["tokens"]]


def events(life: Life) -> list[str]:
    return [reason for _, reason, _ in life.world.events]

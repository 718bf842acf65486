"""What an installation consists of, as the API server sends it, for those who look at it."""

from datetime import timedelta
from typing import Any, Final

from kubectl_scim.doctor.facts import Unread
from support.scimtoken_objects import NOW, condition

DENIED: Final = Unread("denied", 'leases is forbidden: User "looker" cannot list resource "leases"')
MISSING: Final = Unread("missing", "the server could not find the requested resource")


def labels(component: str, version: str | None = "0.1.0") -> dict[str, str]:
    told = {} if version is None else {"app.kubernetes.io/version": version}
    return {"app.kubernetes.io/part-of": "scim-operator", "app.kubernetes.io/component": component, **told}


def deployment(
    component: str, replicas: int = 1, ready: int = 1, version: str | None = "0.1.0", **environment: str
) -> dict[str, Any]:
    env = [{"name": name, "value": value} for name, value in environment.items()]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": component, "namespace": "scim-system", "labels": labels(component, version)},
        "spec": {
            "replicas": replicas,
            "template": {"spec": {"containers": [{"name": component, "image": "x", "env": env}]}},
        },
        "status": {"readyReplicas": ready} if ready else {},
    }


def pod(
    component: str,
    name: str,
    *,
    ready: str = "False",
    waiting: str | None = None,
    restarts: int = 0,
    unscheduled: str | None = None,
) -> dict[str, Any]:
    states = [{"type": "Ready", "status": ready}]
    if unscheduled is not None:
        states.append({"type": "PodScheduled", "status": "False", "message": unscheduled})
    state = {"waiting": {"reason": waiting}} if waiting else {"running": {}}
    return {
        "metadata": {"name": name, "namespace": "scim-system", "labels": labels(component)},
        "spec": {"containers": [{"name": "main"}]},
        "status": {
            "phase": "Pending" if unscheduled else "Running",
            "conditions": states,
            "containerStatuses": [{"name": "main", "state": state, "restartCount": restarts}],
        },
    }


def lease(holder: str, seconds_ago: float) -> dict[str, Any]:
    renewed = (NOW - timedelta(seconds=seconds_ago)).isoformat()
    return {"spec": {"holderIdentity": holder, "renewTime": renewed, "leaseDurationSeconds": 15}}


def scimwebhook(
    *conditions: dict[str, str], name: str = "app", spec: dict[str, Any] | None = None, **status: Any
) -> dict[str, Any]:
    """One that delivers unless a condition says otherwise."""
    kinds = {one["type"] for one in conditions}
    usual = [condition(kind) for kind in ("Ready", "Delivering") if kind not in kinds]
    return {
        "apiVersion": "scim-operator.io/v1alpha1",
        "kind": "ScimWebhook",
        "metadata": {"name": name, "namespace": "team", "generation": 1},
        "spec": {"url": "https://app.example.com/", "tenant": "entra", **(spec or {})},
        "status": {
            "observedGeneration": 1,
            "tenant": "entra",
            "conditions": [*conditions, *usual],
            "backlog": {"events": 0, "seconds": 0, "retrying": 0},
            **status,
        },
    }

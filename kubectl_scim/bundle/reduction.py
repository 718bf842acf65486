"""What of an object of Kubernetes goes into a support archive: what tells how it is, and nothing that people wrote at will. Pure."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from kubectl_scim.scimtoken import GROUP
from kubectl_scim.text import length, moment

LEFT_OUT: Final = "[left out]"
_METADATA: Final = (
    "name", "namespace", "uid", "generation", "resourceVersion", "creationTimestamp", "deletionTimestamp", "finalizers",
)  # fmt: skip
_ANNOTATIONS: Final = frozenset(
    {f"{GROUP}/{name}" for name in ("rotate", "revoke", "full-cycle", "force-delete", "confirm-deletion", "test", "redeliver-from")}
    | {"deployment.kubernetes.io/revision"}
)  # fmt: skip
"""Whose values say something; ``provision-on-demand`` names a person."""
_LABELS: Final = ("app.kubernetes.io/", "helm.sh/", f"{GROUP}/", "pod-template-hash")
_PERSONAL: Final = frozenset({"answeredProvisionOnDemand"})
_SETTINGS: Final = ("SCIM_API_", "SCIM_OPERATOR_")
Object = Mapping[str, Any]


def reduced(body: Object) -> dict[str, Any]:
    """A ScimToken, ScimWebhook, Deployment, pod or Lease without managed fields, foreign annotations and values of variables
    that are not this project's.
    """
    kept = {key: body[key] for key in ("apiVersion", "kind", "spec", "status") if key in body}
    return {
        "metadata": _metadata(body.get("metadata") or {}),
        **{key: _inner(value) for key, value in kept.items()},
    }


def _metadata(metadata: Object) -> dict[str, Any]:
    kept: dict[str, Any] = {key: metadata[key] for key in _METADATA if key in metadata}
    for key, is_kept in (
        ("labels", lambda name: name.startswith(_LABELS)),
        ("annotations", lambda name: name in _ANNOTATIONS),
    ):
        if metadata.get(key):
            kept[key] = {name: value if is_kept(name) else LEFT_OUT for name, value in metadata[key].items()}
    return kept


def _inner(value: Any) -> Any:
    if isinstance(value, list):
        return [_inner(item) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) <= {"name", "value"} and isinstance(value.get("value"), str):
        known = str(value.get("name", "")).startswith(_SETTINGS)
        return {**value, "value": value["value"] if known else LEFT_OUT}
    return {key: _part(key, item) for key, item in value.items() if key not in _PERSONAL}


def _part(key: str, value: Any) -> Any:
    """``spec.secret`` and pod templates have labels and annotations of their own."""
    if key == "metadata" and isinstance(value, dict):
        return _metadata(value)
    if key in {"labels", "annotations"} and isinstance(value, dict):
        return _metadata({key: value}).get(key, {})
    return _inner(value)


def secret(body: Object, now: datetime) -> dict[str, Any]:
    """Of a Secret its name, type, keys and age."""
    metadata = body.get("metadata") or {}
    made = moment(metadata.get("creationTimestamp"))
    return {
        "namespace": metadata.get("namespace"),
        "name": metadata.get("name"),
        "type": body.get("type"),
        "keys": sorted(body.get("data") or ()),
        "age": None if made is None else length(now - made),
    }


def event(body: Object) -> dict[str, Any]:
    """What an Event says."""
    about = body.get("involvedObject") or {}
    return {
        "at": body.get("lastTimestamp")
        or body.get("eventTime")
        or (body.get("metadata") or {}).get("creationTimestamp"),
        "object": f"{about.get('kind')} {about.get('namespace')}/{about.get('name')}",
        **{key: body.get(key) for key in ("type", "reason", "message", "count")},
    }


def containers(pod: Object) -> Iterator[tuple[str, bool]]:
    """The names of its containers, and whether one ran before that has ended."""
    for group in ("initContainerStatuses", "containerStatuses"):
        for one in (pod.get("status") or {}).get(group) or ():
            yield str(one["name"]), bool(one.get("restartCount"))

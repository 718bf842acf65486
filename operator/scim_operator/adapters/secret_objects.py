"""Secrets as Kubernetes has them, and what of them a reconcile sees. Pure; ``kubernetes`` sends and receives."""

import base64
import binascii
import contextlib
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Literal

from kubernetes.aio import client

from scim_operator.api.custom_object import API_VERSION, FIELD_MANAGER, GROUP, CustomObject
from scim_operator.planning.ports import SecretSnapshot


def owner_reference(owner: CustomObject) -> client.V1OwnerReference:
    """Controller, so that nobody else adopts it; no blockOwnerDeletion, which needs rights we don't want."""
    return client.V1OwnerReference(
        api_version=API_VERSION,
        kind=owner.kind,
        name=owner.metadata.name,
        uid=owner.metadata.uid,
        controller=True,
    )


def metadata_of(item: client.V1Secret | client.V1Namespace) -> client.V1ObjectMeta:
    """Present in whatever the API server sends, although the generated model says it may be missing."""
    return item.metadata or client.V1ObjectMeta()


def is_owned(owner: CustomObject, secret: client.V1Secret) -> bool:
    """Whether this object, by uid, is its controller owner."""
    return any(bool(ref.controller) and ref.uid == owner.metadata.uid for ref in _references(secret))


def _references(secret: client.V1Secret) -> Sequence[client.V1OwnerReference]:
    return metadata_of(secret).owner_references or []


def _other_controller(owner: CustomObject, secret: client.V1Secret) -> str | None:
    """Kind and name of the controller owner that is not this object."""
    others = [ref for ref in _references(secret) if ref.controller and ref.uid != owner.metadata.uid]
    return f"{others[0].kind} {others[0].name}" if others else None


def _has_former_owner(owner: CustomObject, secret: client.V1Secret) -> bool:
    """Whether it names one of this kind and name and another uid: an earlier one, which is gone."""
    return any(
        ref.kind == owner.kind
        and str(ref.api_version).startswith(f"{GROUP}/")
        and ref.name == owner.metadata.name
        and ref.uid != owner.metadata.uid
        for ref in _references(secret)
    )


def adoption(owner: CustomObject, secret: SecretSnapshot) -> dict[str, Any]:
    """What to apply to a Secret, server-side and at its version, to adopt it: our ownerReference, and of its labels
    and annotations those that are as we want them.
    """
    annotations = {
        **owner.secret_annotations(),
        owner.kept_annotation: secret.annotations.get(owner.kept_annotation),
    }
    reference = owner_reference(owner)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": secret.name,
            "namespace": owner.metadata.namespace,
            "uid": secret.uid,  # without it, a Secret that was deleted meanwhile would be created
            "resourceVersion": secret.resource_version,
            "ownerReferences": [
                {
                    "apiVersion": reference.api_version,
                    "kind": reference.kind,
                    "name": reference.name,
                    "uid": reference.uid,
                    "controller": True,
                }
            ],
            "labels": dict(owner.secret_labels().items() & secret.labels.items()),
            "annotations": dict(annotations.items() & secret.annotations.items()),
        },
    }


def snapshot(owner: CustomObject, secret: client.V1Secret) -> SecretSnapshot:
    """What a reconcile sees of it."""
    metadata, data = metadata_of(secret), _decoded(secret.data or {})
    return SecretSnapshot(
        name=metadata.name or "",
        resource_version=metadata.resource_version or "",
        owned=is_owned(owner, secret),
        data=data,
        labels=dict(metadata.labels or {}),
        annotations=dict(metadata.annotations or {}),
        deleting=metadata.deletion_timestamp is not None,
        uid=metadata.uid or "",
        controller=_other_controller(owner, secret),
        former_owner=_has_former_owner(owner, secret),
        managed_labels=managed_keys(secret, "labels"),
        managed_annotations=managed_keys(secret, "annotations"),
        undecoded=frozenset((secret.data or {}).keys() - data.keys()),
    )


def encoded(data: Mapping[str, str]) -> dict[str, str]:
    """As the API server takes ``data``."""
    return {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}


def _decoded(data: Mapping[str, str | bytes]) -> dict[str, str]:
    decoded = {}
    for key, value in data.items():
        with contextlib.suppress(binascii.Error, UnicodeDecodeError):
            decoded[key] = base64.b64decode(value, validate=True).decode()
    return decoded


def managed_keys(secret: client.V1Secret, part: Literal["labels", "annotations"]) -> frozenset[str]:
    """Keys that our field manager owns, by the API server's own record of who wrote what (``managedFields``)."""
    keys: set[str] = set()
    for entry in metadata_of(secret).managed_fields or []:
        if entry.manager == FIELD_MANAGER:
            fields: Any = entry.fields_v1 or {}
            owned = fields.get("f:metadata", {}).get(f"f:{part}", {})
            keys.update(name.removeprefix("f:") for name in owned if name.startswith("f:"))
    return frozenset(keys)


def merge_patch(desired: Mapping[str, str], *, stale: AbstractSet[str]) -> dict[str, str | None]:
    """A merge patch (RFC 7396) that sets ``desired`` and removes the rest of ``stale``."""
    return {**dict.fromkeys(stale - desired.keys()), **desired}

"""What the watches tell: each object reduced to what decides when to reconcile it."""

import dataclasses
import hashlib
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import orjson
from pydantic import ValidationError

from scim_operator.api.custom_object import ROTATE_ANNOTATION
from scim_operator.api.scimtoken import REVOKE_ANNOTATION, TOKEN_LABEL
from scim_operator.api.scimwebhook import WEBHOOK_LABEL
from scim_operator.api.status import RefusedSignIn
from scim_operator.planning.conditions import ENDPOINT_REACHABLE, SUPERSEDED_TOKEN_IN_USE
from scim_operator.planning.ports import Key
from scim_operator.planning.sign_in_refusals import SIGN_IN_REFUSED, content_of


@dataclasses.dataclass(frozen=True, slots=True)
class CachedScimToken:
    """A ScimToken as a watch event or a list showed it, reduced to what decides when to reconcile it."""

    key: Key
    uid: str
    fingerprint: bytes
    """Of all that users and other controllers change; our own status writes leave it as it is."""
    is_ready: bool
    """Ready, for this generation, and not being deleted."""
    has_request: bool
    """It carries an annotation that asks for a rotation or a revocation, granted already or not."""
    active_token: str | None
    """Id of the token in the Secret, as the status has it."""
    next_rotation: datetime | None
    expires_at: datetime | None = None
    """When the token in the Secret ends."""
    in_use: bool = False
    """Its status warns of a superseded token in use."""
    endpoint_summary: str | None = None
    """Reason and message of EndpointReachable, as the status has them."""
    refused_at: datetime | None = None
    """When the sign-in was that its status shows as refused."""
    refused: bytes | None = None
    """A fingerprint of what the status shows of it."""
    sign_in_refused: bool = False
    """Its condition SignInRefused is true."""
    has_entra: bool = False
    """Its spec names an application in Entra, or its status does still."""
    application: str | None = None
    """Object id of the application that it has handed a credential to, and is to hand the next one to."""
    created: str = ""
    """``metadata.creationTimestamp``."""


@dataclasses.dataclass(frozen=True, slots=True)
class CachedScimWebhook:
    """A ScimWebhook as a watch event showed it, reduced to what decides when to reconcile it."""

    key: Key
    uid: str
    fingerprint: bytes
    """Of all that users and other controllers change; our own status writes leave it as it is."""
    is_deleting: bool
    """Somebody deleted it, and only finalizers, which are not ours, keep it."""


@dataclasses.dataclass(frozen=True, slots=True)
class CachedSecret:
    """A Secret that the watch selected, reduced to whose it is and which version."""

    scimtoken: Key | None
    """The ScimToken that its label names; None when the label is missing."""
    scimwebhook: Key | None
    """The ScimWebhook that its label names; None when the label is missing."""
    namespace: str
    name: str
    uid: str
    resource_version: str


@dataclasses.dataclass(frozen=True, slots=True)
class WatchEvent:
    """One event of the watch."""

    object: CachedScimToken | CachedScimWebhook | CachedSecret
    listed: bool = False
    """True when it came with a list: it may have been there, unchanged, for long."""
    deleted: bool = False


def cached_scimtoken(body: Mapping[str, Any]) -> CachedScimToken:
    """Reduce a ScimToken as the API server sent it; fields of a newer version are of no concern."""
    meta, status = body["metadata"], body.get("status")
    if not isinstance(status, Mapping):
        status = {}
    annotations: Mapping[str, str] = meta.get("annotations") or {}
    changing = (
        meta.get("generation"), annotations, meta.get("labels"), meta.get("finalizers"),
        meta.get("deletionTimestamp"),
    )  # fmt: skip
    refusal = _refusal(status)
    return CachedScimToken(
        key=Key(meta["namespace"], meta["name"]),
        uid=meta["uid"],
        fingerprint=_fingerprint(changing),
        is_ready=(
            _is_ready(status)
            and status.get("observedGeneration") == meta.get("generation")
            and "deletionTimestamp" not in meta
        ),
        has_request=not annotations.keys().isdisjoint((ROTATE_ANNOTATION, REVOKE_ANNOTATION)),
        active_token=next(
            (item.get("id") for item in _items(status, "tokens") if item.get("state") == "Active"), None
        ),
        next_rotation=_parse_time(status.get("nextRotation")),
        expires_at=_parse_time(status.get("expiresAt")),
        in_use=_condition(status, SUPERSEDED_TOKEN_IN_USE).get("status") == "True",
        endpoint_summary=_summary(_condition(status, ENDPOINT_REACHABLE)),
        refused_at=None if refusal is None else refusal.at,
        refused=None if refusal is None else content_of(refusal),
        sign_in_refused=_condition(status, SIGN_IN_REFUSED).get("status") == "True",
        has_entra="entra" in status or "entra" in (body.get("spec") or {}),
        application=_application(body.get("spec"), status),
        created=meta.get("creationTimestamp") or "",
    )


def _application(spec: object, status: Mapping[str, Any]) -> str | None:
    wanted = spec.get("entra") if isinstance(spec, Mapping) else None
    known = status.get("entra")
    if not isinstance(wanted, Mapping) or not isinstance(known, Mapping):
        return None
    given = known.get("handedOver")
    if not isinstance(given, Mapping) or wanted.get("handOver", "Automatic") != "Automatic":
        return None
    named = wanted.get("servicePrincipalID")
    return named if isinstance(named, str) and named == given.get("servicePrincipalID") else None


def _refusal(status: Mapping[str, Any]) -> RefusedSignIn | None:
    try:
        return RefusedSignIn.model_validate(status["lastRefusedSignIn"])
    except (KeyError, ValidationError):
        return None


def cached_scimwebhook(body: Mapping[str, Any]) -> CachedScimWebhook:
    """Reduce a ScimWebhook as the API server sent it."""
    meta = body["metadata"]
    changing = (
        meta.get("generation"), meta.get("annotations") or {}, meta.get("labels"), meta.get("deletionTimestamp")
    )  # fmt: skip
    return CachedScimWebhook(
        key=Key(meta["namespace"], meta["name"]),
        uid=meta["uid"],
        fingerprint=_fingerprint(changing),
        is_deleting="deletionTimestamp" in meta,
    )


def cached_secret(body: Mapping[str, Any]) -> CachedSecret:
    """Reduce a Secret; nothing of its data is kept.

    Its label says whose it is, not its ownerReference: who loses that one must be seen all the same.
    """
    meta = body["metadata"]
    labels: Mapping[str, str] = meta.get("labels") or {}

    def named(label: str) -> Key | None:
        name = labels.get(label)
        return Key(meta["namespace"], name) if name else None

    return CachedSecret(
        scimtoken=named(TOKEN_LABEL),
        scimwebhook=named(WEBHOOK_LABEL),
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        resource_version=meta["resourceVersion"],
    )


def _fingerprint(changing: tuple[object, ...]) -> bytes:
    return hashlib.blake2b(orjson.dumps(changing, option=orjson.OPT_SORT_KEYS), digest_size=8).digest()


def _condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    return next((item for item in _items(status, "conditions") if item.get("type") == kind), {})


def _items(status: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    """The objects of a list in a status; none of what a newer version may have made of it."""
    listed = status.get(name)
    yield from (item for item in listed if isinstance(item, Mapping)) if isinstance(listed, list) else ()


def _is_ready(status: Mapping[str, Any]) -> bool:
    return _condition(status, "Ready").get("status") == "True"


def _summary(condition: Mapping[str, Any]) -> str | None:
    """One string for all: ten thousand of them say the same."""
    return None if not condition else sys.intern(f"{condition.get('reason')} {condition.get('message')}")


def _parse_time(text: object) -> datetime | None:
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None

"""The informer cache: of each ScimToken what decides when to reconcile it, so that a standby is warm.

Pure: informer and resync feed it, controller and orphan check read it. It only says which ScimToken to reconcile;
the reconcile reads everything live.
"""

import dataclasses
import hashlib
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import orjson
from pydantic import ValidationError

from scim_operator.api.custom_object import ROTATE_ANNOTATION
from scim_operator.api.scimtoken import REVOKE_ANNOTATION, TOKEN_LABEL
from scim_operator.api.status import RefusedSignIn
from scim_operator.planning.conditions import ENDPOINT_REACHABLE, SUPERSEDED_TOKEN_IN_USE
from scim_operator.planning.ports import Key
from scim_operator.planning.sign_in_refusals import SIGN_IN_REFUSED, content_of

_OWN_WRITES: Final = 4
"""A rotation writes its Secret twice, and may be started again on the way."""


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
class CachedSecret:
    """A Secret that the watch selected, reduced to whose it is and which version."""

    key: Key | None
    """The ScimToken that its label names; None when the label is missing."""
    namespace: str
    name: str
    uid: str
    resource_version: str


@dataclasses.dataclass(frozen=True, slots=True)
class WatchEvent:
    """One event of the watch."""

    object: CachedScimToken | CachedSecret
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
    fingerprint = hashlib.blake2b(orjson.dumps(changing, option=orjson.OPT_SORT_KEYS), digest_size=8).digest()
    return CachedScimToken(
        key=Key(meta["namespace"], meta["name"]),
        uid=meta["uid"],
        fingerprint=fingerprint,
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


def cached_secret(body: Mapping[str, Any]) -> CachedSecret:
    """Reduce a Secret; nothing of its data is kept.

    Its label says whose it is, not its ownerReference: who loses that one must be seen all the same.
    """
    meta = body["metadata"]
    name = (meta.get("labels") or {}).get(TOKEN_LABEL)
    return CachedSecret(
        Key(meta["namespace"], name) if name else None,
        meta["namespace"],
        meta["name"],
        meta["uid"],
        meta["resourceVersion"],
    )


def _age(token: CachedScimToken) -> tuple[str, Key]:
    return token.created, token.key


class InformerCache:
    """The ScimTokens and Secrets that the watch has shown. Not thread-safe: one event loop feeds and reads it."""

    def __init__(self) -> None:
        self._tokens: dict[Key, CachedScimToken] = {}
        self._applications: dict[str, set[Key]] = {}
        """Who hands over to each; mostly one."""
        self._secrets: dict[tuple[str, str], CachedSecret] = {}
        """By namespace and name: a repeated list causes no reconcile, and a label that is lost still names one."""
        self._secret_names: dict[Key, set[str]] = {}
        """Names of the Secrets whose label names the ScimToken."""
        self._own_writes: dict[str, tuple[str, ...]] = {}
        """The versions of each Secret that this process wrote last: their events are no news."""
        self._changed_since_list: set[Key] = set()
        """ScimTokens with a watch event since ``begin_list``."""

    def __contains__(self, key: Key) -> bool:
        return key in self._tokens

    def has_entra(self, key: Key) -> bool:
        """Whether there is something to hand over to Entra, or to take off its status."""
        token = self._tokens.get(key)
        return token is not None and token.has_entra

    def application_owner(self, key: Key, application: str) -> Key | None:
        """The other ScimToken that hands its credentials to the same application; None where ``key`` may.

        Whoever has handed one over has shown its right to. Of two that have, the older one goes on.

        Args:
            key: of the ScimToken that is about to.
            application: object id.
        """
        first = min(
            (self._tokens[one] for one in self._applications.get(application, ())), key=_age, default=None
        )
        return None if first is None or first.key == key else first.key

    def __len__(self) -> int:
        return len(self._tokens)

    def __iter__(self) -> Iterator[CachedScimToken]:
        return iter(self._tokens.values())

    def with_other_endpoint_summary(self, summary: str) -> frozenset[Key]:
        """ScimTokens whose EndpointReachable has another reason or message, or none yet."""
        return frozenset(token.key for token in self._tokens.values() if token.endpoint_summary != summary)

    def token_expiries(self) -> Iterator[tuple[Key, datetime]]:
        """ScimTokens that have a token, and when the one in the Secret ends."""
        for token in self._tokens.values():
            if token.expires_at is not None:
                yield token.key, token.expires_at

    def rotation_overdue(self, now: datetime) -> Iterator[tuple[Key, datetime]]:
        """ScimTokens whose token should have been replaced by now, and when it ends: suspended, or failing."""
        for token in self._tokens.values():
            if (
                token.next_rotation is not None
                and token.expires_at is not None
                and token.next_rotation <= now
            ):
                yield token.key, token.expires_at

    def secret_names(self, key: Key) -> frozenset[str]:
        """The Secrets that the watch has shown for a ScimToken; several while its Secret gets another name."""
        return frozenset(self._secret_names.get(key, ()))

    def apply(self, event: WatchEvent) -> frozenset[Key]:
        """Apply a watch event; returns which ScimTokens are to be reconciled now."""
        if isinstance(event.object, CachedSecret):
            return self._apply_secret(event.object, deleted=event.deleted, listed=event.listed)
        is_news = self._apply_token(event.object, deleted=event.deleted)
        return frozenset({event.object.key}) if is_news else frozenset()

    def _apply_token(self, token: CachedScimToken, *, deleted: bool) -> bool:
        self._changed_since_list.add(token.key)
        before = self._tokens.get(token.key)
        if deleted:
            if before is None or before.uid != token.uid:
                return before is None
            self._forget_token(token.key)
            return True
        if before is not None:
            self._forget_token(token.key)
        self._tokens[token.key] = token
        if token.application is not None:
            self._applications.setdefault(token.application, set()).add(token.key)
        return before is None or (before.uid, before.fingerprint) != (token.uid, token.fingerprint)

    def _forget_token(self, key: Key) -> None:
        application = self._tokens.pop(key).application
        if application is not None:
            self._applications[application].discard(key)
            if not self._applications[application]:
                del self._applications[application]

    def _apply_secret(self, secret: CachedSecret, *, deleted: bool, listed: bool) -> frozenset[Key]:
        """A Secret concerns whom its label names and whom it named before, if the ScimToken is there.

        A Secret alone is no reason to reconcile: a restore brings it back before its ScimToken, and a reconcile
        without a ScimToken ends the connection.
        """
        place = (secret.namespace, secret.name)
        before = self._secrets.get(place)
        keys = frozenset(
            item.key for item in (before, secret) if item is not None and item.key is not None
        ) & self._tokens.keys()  # fmt: skip
        if deleted:
            if before is not None and before.uid == secret.uid:
                self._forget_secret(before)
            self._own_writes.pop(secret.uid, None)
            return keys
        if before is not None:
            self._forget_secret(before)
        self._secrets[place] = secret
        if secret.key is not None:
            self._secret_names.setdefault(secret.key, set()).add(secret.name)
        if before != secret and any(len(self._secret_names.get(key, ())) > 1 for key in keys):
            return keys  # one of them is to be deleted
        is_news = not listed if before is None else before != secret
        own = secret.resource_version in self._own_writes.get(secret.uid, ())
        return keys if is_news and not own else frozenset()

    def _forget_secret(self, secret: CachedSecret) -> None:
        del self._secrets[secret.namespace, secret.name]
        names = self._secret_names.get(secret.key, set()) if secret.key is not None else set()
        names.discard(secret.name)
        if secret.key is not None and not names:
            self._secret_names.pop(secret.key, None)

    def record_own_write(self, uid: str, resource_version: str) -> None:
        """This process wrote this version of a Secret: its event calls for no reconcile."""
        self._own_writes[uid] = (*self._own_writes.get(uid, ()), resource_version)[-_OWN_WRITES:]

    def begin_list(self) -> None:
        """A complete list is about to be read: watch events from now on may be newer than it."""
        self._changed_since_list.clear()

    def replace(self, listed: Iterable[CachedScimToken], unlisted: Collection[str] = ()) -> frozenset[Key]:
        """Take a complete list as the truth about all that had no watch event since ``begin_list``, except for what
        is in the ``unlisted`` namespaces, which could not be read.

        Returns which changed without a watch event. What vanished is only dropped here: the orphan check finds
        what is left of it, within the deletion limit.
        """
        changed = frozenset(self._changed_since_list)
        listed_now = {token.key: token for token in listed if token.key not in changed}
        for key in self._tokens.keys() - listed_now.keys() - changed:
            if key.namespace not in unlisted:
                self._forget_token(key)
        return frozenset(
            token.key for token in listed_now.values() if self._apply_token(token, deleted=False)
        )


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

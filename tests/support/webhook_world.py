"""A ScimWebhook's world in memory: API, Kubernetes and the dispatcher's keys, with compare-and-swap as the real ones
have it. Each call first passes ``point``, where a model test may switch to another actor.
"""

import copy
import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from scim_api.contract.sealing import DispatcherKeys, key_id, new_private_key, read_public_key
from scim_api.contract.signing_secret import secret_id
from scim_api.contract.webhooks import Backlog, PutWebhook, SigningSecretStatus, Webhook, WebhookPage
from scim_operator.api.custom_object import MANAGED_BY, MANAGED_BY_LABEL, CustomObject, Key
from scim_operator.api.scimwebhook import WEBHOOK_LABEL, ScimWebhook
from scim_operator.planning.ports import (
    Conflict,
    Gone,
    KubernetesRejected,
    ScimApiRejected,
    ScimApiUnreachable,
    SecretDraft,
    SecretSnapshot,
)
from support.operator_ports import Point, straight_on

KEY = Key("team", "app")
NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
NAME = "app-scim-webhook"
NAMESPACE_UID = "namespace-1"
SPEC: Mapping[str, Any] = {"tenant": "contoso", "url": "https://app.example/hook"}
PEM = (new_private_key(), new_private_key())
"""Of two keys that a dispatcher may have."""
SEALING = tuple(read_public_key(pem) for pem in PEM)


@dataclasses.dataclass
class Stored:
    """A Secret."""

    owner: str | None
    data: dict[str, str]
    labels: dict[str, str]
    annotations: dict[str, str]
    version: int


@dataclasses.dataclass
class Registered:
    """A webhook as the API has it."""

    number: int
    """Of its row."""
    put: PutWebhook
    revision: int = 1
    secrets: dict[str, SigningSecretStatus] = dataclasses.field(default_factory=dict)
    ping: str | None = None
    redelivery: str | None = None
    told: dict[str, Any] = dataclasses.field(default_factory=lambda: {"is_dispatched": True})
    """Of its deliveries: fields of ``Webhook``."""


class WebhookWorld:
    """Everything that there is."""

    entra = None

    def __init__(self) -> None:
        self.now, self.version, self.number, self.uid = NOW, 0, 0, 0
        self.object: dict[str, Any] | None = None
        self.secrets: dict[str, Stored] = {}
        self.registered: Registered | None = None
        self.published: dict[str, int] = {}
        """Signing secrets that the Secret has ever shown."""
        self.former: set[str] = set()
        self.key = 0
        """Which of ``PEM`` the dispatcher has."""
        self.sealed: dict[str, str] = {}
        """By id, what came for the dispatcher."""
        self.events: list[tuple[str, str, str]] = []
        self.status_writes = 0
        self.pings: list[str] = []
        self.redeliveries: list[str] = []
        self.refuse: ScimApiRejected | ScimApiUnreachable | KubernetesRejected | None = None
        self.tenants = {"contoso"}

    def apply(self, **spec: Any) -> None:
        """Create the ScimWebhook, or change its spec."""
        if self.object is None:
            self.uid += 1
            self.object = {
                "metadata": {
                    "name": KEY.name,
                    "namespace": KEY.namespace,
                    "uid": f"webhook-{self.uid}",
                    "generation": 0,
                    "annotations": {},
                },
                "spec": {**SPEC},
            }
        self.object["spec"] = {**self.object["spec"], **spec}
        self.object["metadata"]["generation"] += 1

    def annotate(self, key: str, value: str) -> None:
        """Set an annotation of the ScimWebhook."""
        assert self.object is not None
        self.object["metadata"]["annotations"] = {**self.object["metadata"]["annotations"], key: value}

    def delete(self) -> None:
        """Delete the ScimWebhook; its Secret goes with it."""
        self.object = None
        self.secrets = {name: one for name, one in self.secrets.items() if one.owner is None}

    @property
    def webhook(self) -> ScimWebhook:
        """The ScimWebhook."""
        assert self.object is not None
        return ScimWebhook.from_object(copy.deepcopy(self.object))

    @property
    def shown(self) -> str | None:
        """The signing secret that the Secret shows."""
        secret = self.secrets.get(NAME)
        return None if secret is None else secret.data.get("signing-secret")

    def signs_with(self, secret: str) -> bool:
        """Whether messages have a signature of this secret now."""
        one = None if self.registered is None else self.registered.secrets.get(secret_id(secret))
        return one is not None and (one.until is None or one.until > self.now)

    def opened(self, secret: str) -> str:
        """What the dispatcher reads of a secret that came sealed for it."""
        return DispatcherKeys(PEM[self.key]).open(self.sealed[secret_id(secret)], str(KEY))

    def answer(self) -> Webhook:
        """What the API says of it."""
        one = self.registered
        if one is None:
            return Webhook(namespace=KEY.namespace, name=KEY.name, exists=False, revision="0", now=self.now)
        put = one.put
        return Webhook(
            namespace=KEY.namespace,
            name=KEY.name,
            exists=True,
            revision=f"{one.number}.{one.revision}",
            now=self.now,
            tenant=put.tenant,
            url=put.url,
            types=put.types,
            content=put.content,
            timeout_seconds=put.timeout_seconds,
            suspended=put.suspended,
            secrets=tuple(
                item for item in one.secrets.values() if item.until is None or item.until > self.now
            ),
            ping=one.ping,
            redelivery=one.redelivery,
            owner_uid=put.owner_uid,
            **{"backlog": Backlog(), **one.told},
        )

    def fingerprint(self, label: str | None = None) -> object:
        """The part that the answer to a call tells, all of it without a call; of the status nothing, since no decision
        rests on it.
        """
        one = self.registered
        api = None if one is None else (
            one.number, one.revision, one.put.owner_uid, one.put.url, one.ping, one.redelivery,
            tuple((item.id, item.key_id, str(item.until)) for item in one.secrets.values()),
        )  # fmt: skip
        secrets = tuple(
            (name, item.owner, item.version, tuple(sorted(item.data.items())), tuple(sorted(item.annotations.items())))
            for name, item in sorted(self.secrets.items())
        )  # fmt: skip
        item = None if self.object is None else (
            self.uid, tuple(sorted(self.object["metadata"]["annotations"].items())), self.object["spec"]["url"],
        )  # fmt: skip
        match label:
            case "GET" | "PUT" | "DELETE":
                return api, self.key
            case "secret" | "create" | "replace" | "adopt" | "delete":
                return secrets, item is None, self.uid, self.key
            case "begin" | "interfere" | "token":
                return item
            case "namespace":
                return None
            case "status":
                return item is None
            case _:
                return api, secrets, item, self.key, len(self.pings), len(self.redeliveries)


class FakeWebhookApi:
    """``webhooks.ports.WebhookApi``."""

    def __init__(self, world: WebhookWorld, point: Point = straight_on) -> None:
        self._world, self._point = world, point

    async def get(self, key: Key) -> Webhook:
        await self._enter("GET")
        assert key == KEY
        return self._world.answer()

    async def put(self, key: Key, desired: PutWebhook, *, revision: str) -> Webhook:
        await self._enter("PUT")
        assert key == KEY
        world = self._world
        if revision != world.answer().revision:
            raise Conflict("412")
        if desired.tenant not in world.tenants:
            raise ScimApiRejected("TenantNotFound", f"there is no tenant {desired.tenant} in team")
        if desired.namespace_uid != NAMESPACE_UID:
            raise ScimApiRejected("NamespaceMismatch", "the tenant belongs to another namespace")
        one = world.registered
        if one is None:
            world.number += 1
            one = world.registered = Registered(world.number, desired, revision=0)
        if one.put.tenant != desired.tenant:
            raise ScimApiRejected("TenantImmutable", "the webhook is of another tenant")
        held = {}
        for secret in desired.secrets:
            before = one.secrets.get(secret.id)
            if secret.sealed is None:
                assert before is not None, "no plaintext came, and there is none"
                key_name = before.key_id
            else:
                key_name = secret.sealed.split(".")[1]
                world.sealed[secret.id] = secret.sealed
            held[secret.id] = SigningSecretStatus(
                id=secret.id, key_id=key_name, issued_at=secret.issued_at, until=secret.until
            )
        one.secrets, one.put = held, desired
        if desired.ping is not None and desired.ping != one.ping:
            one.ping = desired.ping
            world.pings.append(desired.ping)
        if desired.redelivery is not None and desired.redelivery.request != one.redelivery:
            one.redelivery = desired.redelivery.request
            world.redeliveries.append(desired.redelivery.since.isoformat())
        one.revision += 1
        return world.answer()

    async def delete(self, key: Key, *, revision: str) -> Webhook:
        await self._enter("DELETE")
        assert key == KEY
        if revision != self._world.answer().revision:
            raise Conflict("412")
        self._world.registered = None
        return self._world.answer()

    async def page(self, *, after: str | None, limit: int) -> WebhookPage:
        await self._enter("page")
        assert (after, limit > 0) == (None, True)
        items = (self._world.answer(),) if self._world.registered is not None else ()
        return WebhookPage(now=self._world.now, items=items)

    async def _enter(self, label: str) -> None:
        await self._point(label)
        if isinstance(self._world.refuse, ScimApiRejected | ScimApiUnreachable):
            raise self._world.refuse


class FakeWebhookCluster:
    """``webhooks.ports.WebhookCluster``."""

    def __init__(self, world: WebhookWorld, point: Point = straight_on) -> None:
        self._world, self._point = world, point

    async def webhook(self, key: Key) -> ScimWebhook | None:
        await self._point("token")
        assert key == KEY
        return None if self._world.object is None else self._world.webhook

    async def namespace_uid(self, owner: CustomObject) -> str:
        await self._point("namespace")
        assert owner.key == KEY
        return NAMESPACE_UID

    async def secret(self, owner: CustomObject, name: str) -> SecretSnapshot | None:
        await self._point("secret")
        stored = self._world.secrets.get(name)
        return None if stored is None else self._view(owner, name, stored)

    async def create_secret(self, owner: CustomObject, draft: SecretDraft) -> SecretSnapshot:
        await self._point("create")
        if draft.name in self._world.secrets:
            raise Conflict("409")
        if self._world.object is None or self._world.object["metadata"]["uid"] != owner.metadata.uid:
            raise Conflict("404")  # the garbage collector deletes it at once
        stored = Stored(owner.metadata.uid, {}, {}, {}, 0)
        return self._store(owner, draft, stored)

    async def replace_secret(
        self, owner: CustomObject, draft: SecretDraft, present: SecretSnapshot
    ) -> SecretSnapshot:
        await self._point("replace")
        assert present.name == draft.name
        return self._store(owner, draft, self._at(draft.name, present.resource_version))

    async def adopt_secret(self, owner: CustomObject, secret: SecretSnapshot) -> SecretSnapshot:
        await self._point("adopt")
        stored = self._at(secret.name, secret.resource_version)
        stored.owner = owner.metadata.uid
        self._world.version += 1
        stored.version = self._world.version
        return self._view(owner, secret.name, stored)

    async def delete_secret(self, owner: CustomObject, name: str, *, resource_version: str) -> None:
        await self._point("delete")
        assert owner.key == KEY
        self._at(name, resource_version)
        del self._world.secrets[name]

    async def apply_status(self, owner: CustomObject, status: Mapping[str, object]) -> None:
        await self._point("status")
        if isinstance(self._world.refuse, KubernetesRejected):
            raise self._world.refuse
        if self._world.object is None or self._world.object["metadata"]["uid"] != owner.metadata.uid:
            raise Gone("404")
        self._world.object["status"] = dict(status)
        self._world.status_writes += 1

    async def event(
        self, owner: CustomObject, kind: Literal["Normal", "Warning"], reason: str, message: str
    ) -> None:
        assert owner.key == KEY
        self._world.events.append((kind, reason, message))

    def _at(self, name: str, version: str) -> Stored:
        stored = self._world.secrets.get(name)
        if stored is None or str(stored.version) != version:
            raise Conflict("409")
        return stored

    def _store(self, owner: CustomObject, draft: SecretDraft, stored: Stored) -> SecretSnapshot:
        world = self._world
        world.version += 1
        stored.data, stored.version = dict(draft.data), world.version
        stored.labels, stored.annotations = dict(draft.labels), dict(draft.annotations)
        world.secrets[draft.name] = stored
        if world.shown is not None:
            world.published.setdefault(world.shown, world.version)
        return self._view(owner, draft.name, stored)

    @staticmethod
    def _view(owner: CustomObject, name: str, stored: Stored) -> SecretSnapshot:
        return SecretSnapshot(
            name=name,
            resource_version=str(stored.version),
            owned=stored.owner == owner.metadata.uid,
            data=dict(stored.data),
            labels=dict(stored.labels),
            annotations=dict(stored.annotations),
            controller=None if stored.owner in (None, owner.metadata.uid) else "ConfigMap other",
            former_owner=(stored.owner or "").startswith("webhook-") and stored.owner != owner.metadata.uid,
            managed_labels=frozenset(stored.labels),
            managed_annotations=frozenset(stored.annotations),
        )


def stored_secret(data: Mapping[str, str], owner: str | None = None, *, ours: bool = True) -> Stored:
    """A Secret that is there before the operator comes."""
    labels = {MANAGED_BY_LABEL: MANAGED_BY, WEBHOOK_LABEL: KEY.name} if ours else {}
    return Stored(owner, dict(data), labels, {}, 1_000)


def key_name(number: int) -> str:
    """Of one of the dispatcher's keys."""
    return key_id(SEALING[number])

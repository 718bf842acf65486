"""The operator's outside in memory: API, cluster and verifier over one state, with compare-and-swap as the
real ones have it. Each port call first passes ``point``, where a model test may switch to another actor.
"""

import copy
import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from scim_api.contract.admin import (
    UNKNOWN_REVISION,
    Connection,
    ConnectionPage,
    CredentialStatus,
    PutConnection,
    TenantSettings,
)
from scim_api.contract.tokens import digest
from scim_operator.api.scimtoken import FINALIZER, Key, ScimToken
from scim_operator.planning.ledger_signature import LedgerSigner
from scim_operator.planning.ports import (
    Conflict,
    KubernetesRejected,
    ScimApiRejected,
    ScimApiUnreachable,
    SecretDraft,
    SecretSnapshot,
    VerificationFailed,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
LEDGER_KEY = b"of the tests alone; 32 bytes long"
SIGNER = LedgerSigner(LEDGER_KEY)
KEY = Key("team", "entra")
ENDPOINT = "https://scim.example.com/scim/v2"


@dataclasses.dataclass
class StoredSecret:
    """A Secret of the world."""

    data: dict[str, str]
    labels: dict[str, str]
    annotations: dict[str, str]
    version: int
    owner: str | None
    """A ScimToken's uid, or the name of another object that controls it."""
    managed_labels: frozenset[str] = frozenset()
    managed_annotations: frozenset[str] = frozenset()


@dataclasses.dataclass
class World:
    """All that is outside of the operator."""

    now: datetime = START
    object: dict[str, Any] | None = None
    secrets: dict[str, StoredSecret] = dataclasses.field(default_factory=dict)
    credentials: dict[str, CredentialStatus] = dataclasses.field(default_factory=dict)
    revoked: dict[str, datetime] = dataclasses.field(default_factory=dict)
    revoked_before: datetime | None = None
    """The API's low-water mark."""
    exists: bool = False
    owner_uid: str = ""
    """The ScimToken that the connection belongs to."""
    uid: str = "uid-1"
    """Of the ScimToken that is applied next."""
    namespace_uid: str = "namespace-1"
    tenant_namespace: str | None = None
    """The namespace, by uid, that the tenant belongs to."""
    revision: int = 0
    databases: int = 1
    """How many databases there were: revisions of a lost one never come back."""
    tenant: str | None = None
    settings: TenantSettings | None = None
    purging: bool = False
    people: int = 0
    version: int = 1
    api_down: bool = False
    refuse: ScimApiRejected | None = None
    """How a PUT of other settings than those held is answered."""
    secret_forbidden: bool = False
    status_forbidden: bool = False
    proof_fails: bool = False
    statuses: int = 0
    events: list[tuple[str, str, str]] = dataclasses.field(default_factory=list)
    former: set[str] = dataclasses.field(default_factory=set)
    """Every plaintext of an earlier ScimToken of this name."""
    published: dict[str, datetime] = dataclasses.field(default_factory=dict)
    """Every plaintext that was ever under ``token`` in a Secret, with the end it was given."""

    def apply(self, *, annotations: Mapping[str, str] | None = None, **spec: Any) -> None:
        """``kubectl apply``."""
        before = self.object or {"metadata": {"generation": 0}}
        changed = before.get("spec") != spec
        self.version += 1
        self.object = {
            "metadata": {
                "name": KEY.name,
                "namespace": KEY.namespace,
                "uid": self.uid,
                "resourceVersion": str(self.version),
                "generation": before["metadata"]["generation"] + (1 if changed else 0),
                "annotations": {**before["metadata"].get("annotations", {}), **(annotations or {})},
                "finalizers": before["metadata"].get("finalizers", []),
            },
            "spec": spec,
            "status": before.get("status", {}),
        }

    def annotate(self, name: str, value: str) -> None:
        """``kubectl annotate --overwrite``."""
        assert self.object is not None
        self.object["metadata"]["annotations"][name] = value

    def delete(self) -> None:
        """``kubectl delete``."""
        assert self.object is not None
        if self.object["metadata"]["finalizers"]:
            self.object["metadata"]["deletionTimestamp"] = self.now.isoformat()
        else:
            self.object = None
            self.secrets.clear()

    def recreate(self, *, uid: str = "uid-2", collected: bool = True) -> None:
        """``kubectl replace --force``: deleted and made anew before anybody looked; ``collected`` also its Secret."""
        assert self.object is not None
        spec, self.object, self.uid = self.object["spec"], None, uid
        self.former |= {*self.published, *(s.data.get("next-token", "") for s in self.secrets.values())}
        self.published.clear()
        if collected:
            self.secrets.clear()
        self.apply(**spec)

    def disown(self, name: str = "entra-scim-token") -> None:
        """Somebody writes a Secret without its ownerReferences, as a restore does."""
        if name in self.secrets:
            self.version += 1
            self.secrets[name].owner, self.secrets[name].version = None, self.version

    def restore(self, uid: str = "uid-2") -> None:
        """The ScimToken comes back from a backup: with another uid and without status and finalizers."""
        assert self.object is not None
        self.uid = uid
        self.object["metadata"].update(uid=uid, finalizers=[])
        self.object["status"] = {}

    def accepts(self, plaintext: str) -> bool:
        """Whether a request with this token would be let in now."""
        wanted = digest(plaintext).hex()
        return any(
            item.digest == wanted and self.now < min(item.expires_at, item.retires_at or item.expires_at)
            for item in self.credentials.values()
        )

    def use(self, plaintext: str, agent: str = "Azure-AD-SCIM") -> None:
        """A client comes with this token now."""
        wanted = digest(plaintext).hex()
        for name, item in self.credentials.items():
            if item.digest == wanted:
                used = {"last_used_at": self.now, "user_agent": agent}
                self.credentials[name] = item.model_copy(update=used)

    def live(self) -> int:
        """How many tokens are accepted now."""
        return sum(
            self.now < min(item.expires_at, item.retires_at or item.expires_at)
            for item in self.credentials.values()
        )

    def secret(self, name: str = "entra-scim-token") -> dict[str, str]:
        """A Secret's data; empty when there is none."""
        found = self.secrets.get(name)
        return dict(found.data) if found else {}

    def condition(self, kind: str = "Ready") -> dict[str, Any]:
        """A condition as it was written last."""
        assert self.object is not None
        found: dict[str, Any] = next(
            item for item in self.object["status"]["conditions"] if item["type"] == kind
        )
        return found

    def lose_database(self) -> None:
        """The API's database is thrown away."""
        self.credentials.clear()
        self.revoked.clear()
        self.revoked_before = None
        self.exists, self.revision, self.tenant, self.settings = False, 0, None, None
        self.owner_uid, self.tenant_namespace = "", None
        self.databases += 1

    def connection(self) -> Connection:
        """What the API answers."""
        return Connection(
            namespace=KEY.namespace,
            name=KEY.name,
            exists=self.exists,
            revision=f"{self.databases}-{self.revision}" if self.revision else UNKNOWN_REVISION,
            now=self.now,
            tenant=self.tenant,
            settings=self.settings,
            purging=self.purging,
            resources=self.people,
            owner_uid=self.owner_uid,
            namespace_uid=self.tenant_namespace or "",
            credentials=tuple(item for item in self.credentials.values() if item.expires_at > self.now),
            revoked=tuple(name for name, end in self.revoked.items() if end > self.now),
            revoked_before=self.revoked_before,
        )


Point = Callable[[str], Awaitable[None]]


async def straight_on(_label: str) -> None:
    """No switch."""


class FakeApi:
    """``ports.AdminApi``."""

    def __init__(self, world: World, point: Point = straight_on) -> None:
        self._world, self._point = world, point

    async def get(self, key: Key) -> Connection:
        await self._enter("GET")
        assert key == KEY
        return self._world.connection()

    async def put(self, key: Key, wanted: PutConnection, *, revision: str) -> Connection:
        await self._enter("PUT")
        world = self._world
        if revision != world.connection().revision:
            raise Conflict("412")
        if world.refuse is not None and wanted.settings != world.settings:
            raise world.refuse
        listed = {item.id: item for item in wanted.credentials}
        if set(listed) & {name for name, end in world.revoked.items() if end > world.now}:
            raise ScimApiRejected("CredentialRevoked", "revoked before")
        if (
            wanted.namespace_uid is not None
            and world.tenant_namespace not in (None, wanted.namespace_uid)
            and not (world.exists and set(listed) & set(world.credentials))
        ):
            raise ScimApiRejected("NamespaceMismatch", "the tenant belongs to another namespace")
        unknown = [item for name, item in listed.items() if name not in world.credentials]
        if world.revoked_before and any(item.issued_at <= world.revoked_before for item in unknown):
            raise ScimApiRejected("CredentialRevoked", "revoked before")
        for name in set(world.credentials) - set(listed):
            gone = world.credentials.pop(name)
            if gone.expires_at > world.now:
                world.revoked[name] = gone.expires_at
        for name, item in listed.items():
            held = world.credentials.get(name)
            if held is not None and min(held.expires_at, held.retires_at or held.expires_at) <= world.now:
                continue  # what has ended stays ended
            uses = {} if held is None else {"last_used_at": held.last_used_at, "user_agent": held.user_agent}
            world.credentials[name] = CredentialStatus.model_validate({**item.model_dump(), **uses})
        world.exists, world.tenant, world.settings = True, wanted.tenant, wanted.settings
        world.owner_uid = wanted.owner_uid or world.owner_uid
        world.tenant_namespace = wanted.namespace_uid or world.tenant_namespace
        world.revision += 1
        return world.connection()

    async def delete(self, key: Key, *, revision: str) -> Connection:
        await self._enter("DELETE")
        world = self._world
        if revision != world.connection().revision:
            raise Conflict("412")
        if world.settings is not None and world.settings.deletion_policy == "Delete":
            world.purging = True
        world.revoked.update({name: item.expires_at for name, item in world.credentials.items()})
        world.credentials.clear()
        world.exists, world.owner_uid, world.revision = False, "", world.revision + 1
        return world.connection()

    async def page(self, *, after: str | None, limit: int) -> ConnectionPage:
        raise NotImplementedError

    async def _enter(self, label: str) -> None:
        await self._point(label)
        if self._world.api_down:
            raise ScimApiUnreachable("the SCIM API does not answer")


class FakeCluster:
    """``ports.Cluster``."""

    def __init__(self, world: World, point: Point = straight_on) -> None:
        self._world, self._point = world, point

    async def token(self, key: Key) -> ScimToken | None:
        await self._point("token")
        assert key == KEY
        return (
            None if self._world.object is None else ScimToken.from_object(copy.deepcopy(self._world.object))
        )

    async def namespace_uid(self, owner: ScimToken) -> str:
        await self._point("namespace")
        return self._world.namespace_uid

    async def secret(self, owner: ScimToken, name: str) -> SecretSnapshot | None:
        await self._point("secret")
        if self._world.secret_forbidden:
            raise KubernetesRejected(f"reading Secret {name}: forbidden")
        return self._view(owner, name)

    async def create_secret(self, owner: ScimToken, draft: SecretDraft) -> SecretSnapshot:
        await self._point("create")
        if draft.name in self._world.secrets:
            raise Conflict("409")
        return self._store(owner, draft)

    async def replace_secret(
        self, owner: ScimToken, draft: SecretDraft, *, resource_version: str
    ) -> SecretSnapshot:
        await self._point("replace")
        held = self._world.secrets.get(draft.name)
        if held is None or str(held.version) != resource_version:
            raise Conflict("409")
        return self._store(owner, draft)

    async def adopt_secret(self, owner: ScimToken, secret: SecretSnapshot) -> SecretSnapshot:
        await self._point("adopt")
        held = self._world.secrets.get(secret.name)
        if held is None or str(held.version) != secret.resource_version:
            raise Conflict("409")
        self._world.version += 1
        held.owner, held.version = owner.metadata.uid, self._world.version
        view = self._view(owner, secret.name)
        assert view is not None
        return view

    async def delete_secret(self, owner: ScimToken, name: str, *, resource_version: str) -> None:
        await self._point("delete")
        held = self._world.secrets.get(name)
        if held is None or str(held.version) != resource_version:
            raise Conflict("409")
        del self._world.secrets[name]

    async def other_secrets(self, owner: ScimToken, wanted: str) -> list[SecretSnapshot]:
        await self._point("list")
        views = [self._view(owner, name) for name in self._world.secrets if name != wanted]
        return [view for view in views if view is not None]

    async def apply_status(self, owner: ScimToken, status: Mapping[str, object]) -> None:
        await self._point("status")
        if self._world.status_forbidden:
            raise KubernetesRejected("writing the status: forbidden")
        if self._world.object is None:
            raise Conflict("404")
        self._world.object["status"] = dict(status)
        self._world.statuses += 1

    async def set_finalizer(self, owner: ScimToken, *, present: bool) -> None:
        await self._point("finalizer")
        item = self._world.object
        assert item is not None
        item["metadata"]["finalizers"] = [FINALIZER] if present else []
        if not present and "deletionTimestamp" in item["metadata"]:
            self._world.object = None

    async def event(
        self, owner: ScimToken, kind: Literal["Normal", "Warning"], reason: str, message: str
    ) -> None:
        self._world.events.append((kind, reason, message))

    def _view(self, owner: ScimToken, name: str) -> SecretSnapshot | None:
        held = self._world.secrets.get(name)
        if held is None:
            return None
        is_uid = held.owner is not None and held.owner.startswith("uid-")
        return SecretSnapshot(
            name,
            str(held.version),
            held.owner == owner.metadata.uid,
            dict(held.data),
            dict(held.labels),
            dict(held.annotations),
            controller=None if held.owner is None or is_uid else held.owner,
            former_owner=held.owner != owner.metadata.uid and is_uid,
            managed_labels=held.managed_labels,
            managed_annotations=held.managed_annotations,
        )

    def _store(self, owner: ScimToken, draft: SecretDraft) -> SecretSnapshot:
        world = self._world
        world.version += 1
        world.secrets[draft.name] = StoredSecret(
            dict(draft.data), dict(draft.labels), dict(draft.annotations), world.version, owner.metadata.uid,
            frozenset(draft.labels), frozenset(draft.annotations),
        )  # fmt: skip
        if "token" in draft.data:
            ends = {digest_of(item): item.expires_at for item in world.credentials.values()}
            end = ends.get(digest(draft.data["token"]).hex())
            if end is not None:
                world.published[draft.data["token"]] = end
        view = self._view(owner, draft.name)
        assert view is not None
        return view


def digest_of(item: CredentialStatus) -> str:
    """Its digest, in hexadecimal digits."""
    return item.digest


class FakeVerifier:
    """``ports.Prover``: asks the world."""

    def __init__(self, world: World, point: Point = straight_on) -> None:
        self._world, self._point = world, point

    async def verify(self, token: str) -> None:
        await self._point("verify")
        if self._world.api_down:
            raise ScimApiUnreachable("the SCIM API does not answer")
        if self._world.proof_fails or not self._world.accepts(token):
            raise VerificationFailed("401 to Test Connection")


def days(number: float) -> timedelta:
    """A number of days."""
    return timedelta(days=number)

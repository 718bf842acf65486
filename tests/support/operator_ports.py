"""The operator's ports over a ``World``, with compare-and-swap as the real ones have it. Each call first passes
``point``, where a model test may switch to another actor.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal

from scim_api.contract.admin import (
    Connection,
    ConnectionPage,
    CredentialStatus,
    PutConnection,
    TenantSettings,
)
from scim_api.contract.tokens import PREFIXES, digest
from scim_operator.api.custom_object import Key
from scim_operator.api.scimtoken import FINALIZER, ScimToken
from scim_operator.api.status import ENTRA_CONDITIONS
from scim_operator.planning.ports import (
    Conflict,
    Gone,
    KubernetesRejected,
    ScimApiRejected,
    ScimApiUnreachable,
    SecretDraft,
    SecretSnapshot,
    VerificationFailed,
)
from support.operator_world import CLIENT_ID, KEY, PLAINTEXTS, StoredSecret, World

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
        if wanted.settings is None and not world.knows_access:
            raise ScimApiRejected("Invalid", "body.settings: Input should be an object")
        if (world.access, wanted.access) == ("ReadOnly", "ReadWrite") and world.exists:
            raise ScimApiRejected("AccessImmutable", "team/entra is ReadOnly, which can't be changed")
        if world.refuse is not None and wanted.settings != world.settings:
            raise world.refuse
        listed = {item.id: item for item in wanted.credentials}
        if not world.knows_oauth and any(item.kind != "BearerToken" for item in wanted.credentials):
            raise ScimApiRejected("Invalid", "body.credentials.0.kind: Input should be 'BearerToken'")
        for item in wanted.credentials:
            held = world.credentials.get(item.id)
            assert held is None or (held.digest, held.kind, held.trust) == (
                item.digest,
                item.kind,
                item.trust,
            )
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
            if min(gone.expires_at, gone.retires_at or gone.expires_at) > world.now:
                world.cut_off[name] = gone
        for name, item in listed.items():
            held = world.credentials.get(name)
            if held is not None and min(held.expires_at, held.retires_at or held.expires_at) <= world.now:
                continue  # what has ended stays ended
            uses = {} if held is None else {"last_used_at": held.last_used_at, "user_agent": held.user_agent}
            world.credentials[name] = CredentialStatus.model_validate({**item.model_dump(), **uses})
        if world.knows_oauth:
            world.oauth_client = wanted.oauth_client or world.oauth_client
        if world.knows_access:
            world.access = wanted.access or (world.access if world.exists else "ReadWrite")
        if world.access == "ReadWrite" or not world.knows_access:
            world.settings = wanted.settings
        world.settings = world.settings or TenantSettings()
        world.exists, world.tenant = True, wanted.tenant
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
        return None if self._world.object is None else ScimToken.from_object(self._world.object)

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
        self, owner: ScimToken, draft: SecretDraft, present: SecretSnapshot
    ) -> SecretSnapshot:
        await self._point("replace")
        assert present.name == draft.name
        held = self._world.secrets.get(draft.name)
        if held is None or str(held.version) != present.resource_version:
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
            raise Gone("404")
        self._world.object["status"] = _merged(status, self._world.object["status"], others=True)
        self._world.statuses += 1

    async def apply_entra_status(self, owner: ScimToken, status: Mapping[str, object]) -> None:
        await self._point("entra-status")
        if self._world.object is None:
            raise Gone("404")
        self._world.object["status"] = _merged(status, self._world.object["status"], others=False)
        self._world.entra_statuses += 1

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
        ends = {digest_of(item): item.expires_at for item in world.credentials.values()}
        for plaintext in (draft.data[part] for part in ("token", "client-secret") if part in draft.data):
            end = ends.get(digest(plaintext).hex())
            if end is not None:
                world.published[plaintext] = end
        view = self._view(owner, draft.name)
        assert view is not None
        return view


def _merged(applied: Mapping[str, Any], present: Mapping[str, Any], *, others: bool) -> dict[str, Any]:
    """Server-side apply of a part of the status, with what another field manager has written.

    Args:
        applied: the whole part of one manager.
        present: the status before.
        others: whether the part that stays is Entra's; else it is all but that.
    """
    stays = {
        key: value for key, value in present.items() if (key == "entra") is others and key != "conditions"
    }
    kept = [item for item in present.get("conditions", []) if (item["type"] in ENTRA_CONDITIONS) is others]
    return stays | dict(applied) | {"conditions": [*applied.get("conditions", []), *kept]}


def digest_of(item: CredentialStatus) -> str:
    """Its digest, in hexadecimal digits."""
    return item.digest


class FakeVerifier:
    """``ports.Prover``: asks the world."""

    def __init__(self, world: World, point: Point = straight_on) -> None:
        self._world, self._point = world, point

    async def verify(self, token: str, client_id: str | None = None) -> None:
        await self._point("verify")
        is_secret = token.startswith((PLAINTEXTS["ClientSecret"], PREFIXES["ClientSecret"]))
        assert client_id == (CLIENT_ID if is_secret else None)
        if self._world.api_down:
            raise ScimApiUnreachable("the SCIM API does not answer")
        if self._world.proof_fails or not self._world.accepts(token):
            raise VerificationFailed("401 to Test Connection")

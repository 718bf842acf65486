"""The operator's outside in memory: API, cluster and verifier over one state, with compare-and-swap as the
real ones have it. Each port call first passes ``point``, where a model test may switch to another actor.
"""

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from scim_api.contract.admin import (
    UNKNOWN_REVISION,
    AccessMode,
    Connection,
    CredentialStatus,
    OAuthClient,
    TenantSettings,
    TokenRefusal,
)
from scim_api.contract.oauth import client_id_of
from scim_api.contract.tokens import digest
from scim_operator.api.custom_object import Key
from scim_operator.planning.ledger_signature import LedgerSigner
from scim_operator.planning.ports import (
    ScimApiRejected,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
LEDGER_KEY = b"of the tests alone; 32 bytes long"
SIGNER = LedgerSigner(LEDGER_KEY)
KEY = Key("team", "entra")
ENDPOINT = "https://scim.example.com/scim/v2"
INSTALLATION = "installation-1"
CLIENT_ID = client_id_of(INSTALLATION, *KEY)
PLAINTEXTS = {"BearerToken": "token", "ClientSecret": "secret"}
"""How a plaintext of each kind begins in the tests."""


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
    oauth_client: OAuthClient | None = None
    last_refusal: TokenRefusal | None = None
    knows_oauth: bool = True
    """Whether the API is of a release that takes other kinds than bearer tokens."""
    access: AccessMode = "ReadWrite"
    knows_access: bool = True
    """Whether the API is of a release that knows of it."""
    cut_off: dict[str, CredentialStatus] = dataclasses.field(default_factory=dict)
    """The credentials whose access tokens the API has ended, by id: they were left out before their time was over."""
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
    entra: Any = None
    """Microsoft's side, where a test has one (``entra_world.Entra``)."""
    statuses: int = 0
    entra_statuses: int = 0
    """How often Entra's part of it was written."""
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
        for name in [name for name, item in self.credentials.items() if item.digest == wanted]:
            self.use_credential(name, agent)

    def use_credential(self, name: str, agent: str = "Azure-AD-SCIM") -> None:
        """A client comes with what has this id; a last use never becomes earlier, as in the API."""
        item = self.credentials[name]
        if item.last_used_at is None or item.last_used_at < self.now:
            used = {"last_used_at": self.now, "user_agent": agent}
            self.credentials[name] = item.model_copy(update=used)

    def accepted(self) -> list[CredentialStatus]:
        """The credentials that are accepted now."""
        return [
            item
            for item in self.credentials.values()
            if self.now < min(item.expires_at, item.retires_at or item.expires_at)
        ]

    def live(self) -> int:
        """How many credentials are accepted now."""
        return len(self.accepted())

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
        self.oauth_client, self.last_refusal = None, None
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
            access=self.access if self.exists and self.knows_access else None,
            purging=self.purging,
            resources=self.people,
            owner_uid=self.owner_uid,
            namespace_uid=self.tenant_namespace or "",
            credentials=tuple(item for item in self.credentials.values() if item.expires_at > self.now),
            revoked=tuple(name for name, end in self.revoked.items() if end > self.now),
            revoked_before=self.revoked_before,
            oauth_client=self.oauth_client,
            last_refusal=self.last_refusal,
        )


def days(number: float) -> timedelta:
    """A number of days."""
    return timedelta(days=number)

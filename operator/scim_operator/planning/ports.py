"""The ports: what a reconcile asks of the outside. Adapters implement them.

``kube.KubeCluster`` and ``admin_client`` implement them for real; the model test implements them in memory
and runs the real reconcile over every interleaving.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Literal, Protocol

from scim_api.contract.admin import Connection, ConnectionPage, PutConnection
from scim_api.contract.tokens import TokenKind
from scim_operator.api.custom_object import Key as Key  # noqa: PLC0414  (re-exported: it names what every port is asked for)
from scim_operator.api.scimtoken import ScimToken


class Conflict(Exception):
    """An optimistic write lost (409 or 412): observe again and decide anew."""


class Gone(Conflict):
    """What was to be written to is not there any more (404)."""


class NotLeading(Exception):
    """This process may not write (any more); the new leader finishes the job."""


class ScimApiUnreachable(Exception):
    """The SCIM API did not answer, or answered 5xx; the message says which, without secrets."""


class ScimApiRejected(Exception):
    """The admin API refused for a reason that trying again does not cure; see ``AdminError``."""

    def __init__(self, code: str, message: str, fields: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.code, self.message, self.fields = code, message, fields


class KubernetesRejected(Exception):
    """The Kubernetes API refused for a reason that somebody has to cure (403, 422); the message says it."""


class KubernetesUnreachable(Exception):
    """The Kubernetes API did not answer in time, or answered 429 or 5xx: the same may work a little later."""


class VerificationFailed(Exception):
    """Entra's Test Connection did not pass with the new token; the message says what came instead."""


@dataclasses.dataclass(frozen=True, slots=True)
class SecretSnapshot:
    """A Secret as it is now. ``repr`` never shows its data."""

    name: str
    resource_version: str
    owned: bool
    """True when our ScimToken (by uid) is its controller owner."""
    data: Mapping[str, str] = dataclasses.field(repr=False)
    """Decoded ``data``; values that are not UTF-8 are left out."""
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    deleting: bool = False
    uid: str = ""
    controller: str | None = None
    """Kind and name of another object that is its controller owner."""
    former_owner: bool = False
    """True when an ownerReference names an earlier ScimToken of this name: the garbage collector deletes it."""
    managed_labels: frozenset[str] = frozenset()
    """Labels that we set, as the API server's record of field managers has it."""
    managed_annotations: frozenset[str] = frozenset()
    """Annotations likewise."""
    undecoded: frozenset[str] = frozenset()
    """Keys of ``data`` whose values are not UTF-8."""

    def has_drifted(
        self,
        labels: Mapping[str, str],
        annotations: Mapping[str, str],
        *,
        besides: frozenset[str] = frozenset(),
    ) -> bool:
        """Whether something of ours is missing, other, or no longer wanted; what others put there is not ours.

        Args:
            labels: as they should be.
            annotations: likewise.
            besides: annotations that the operator sets apart.
        """
        return _differ(labels, self.labels, self.managed_labels) or _differ(
            annotations, self.annotations, self.managed_annotations - besides
        )


def _differ(desired: Mapping[str, str], present: Mapping[str, str], managed: frozenset[str]) -> bool:
    return not desired.items() <= present.items() or not managed <= desired.keys()


@dataclasses.dataclass(frozen=True, slots=True)
class SecretDraft:
    """A whole Secret to write: labels and annotations are ours plus the user's from ``spec.secret``."""

    name: str
    data: Mapping[str, str] = dataclasses.field(repr=False)
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


class AdminApi(Protocol):
    """The API's admin port. Raises ``ScimApiUnreachable``, ``ScimApiRejected``; a 412 is ``Retry``."""

    async def get(self, key: Key) -> Connection:
        """What the API holds of it now; also for a name it never heard of."""

    async def put(self, key: Key, desired: PutConnection, *, revision: str) -> Connection:
        """Set its whole desired state, at this revision only."""

    async def delete(self, key: Key, *, revision: str) -> Connection:
        """Revoke its credentials and forget it, at this revision only."""

    async def page(self, *, after: str | None, limit: int) -> ConnectionPage:
        """Everything the API holds, a page at a time."""


class Cluster(Protocol):
    """Kubernetes, for one ScimToken at a time. A 409 on a write is ``Conflict``, a 404 ``Gone``; other failures are
    ``KubernetesRejected`` or the client's own exception, which the controller retries with backoff.

    Every write first asks whether this process still leads and raises ``NotLeading`` when it does not.
    """

    async def token(self, key: Key) -> ScimToken | None:
        """Read the ScimToken live, never from a cache; None when it is gone."""

    async def namespace_uid(self, owner: ScimToken) -> str:
        """``metadata.uid`` of the ScimToken's namespace: one that is made anew has another."""

    async def secret(self, owner: ScimToken, name: str) -> SecretSnapshot | None:
        """Read a Secret live, never from a cache."""

    async def create_secret(self, owner: ScimToken, draft: SecretDraft) -> SecretSnapshot:
        """Create it with an ownerReference (controller, no blockOwnerDeletion). 409: ``Retry``."""

    async def replace_secret(
        self, owner: ScimToken, draft: SecretDraft, present: SecretSnapshot
    ) -> SecretSnapshot:
        """Replace its data, and our labels and annotations (others' stay), at the version of ``present`` only."""

    async def adopt_secret(self, owner: ScimToken, secret: SecretSnapshot) -> SecretSnapshot:
        """Make our ScimToken its controller owner, at this version only; its content stays as it is."""

    async def delete_secret(self, owner: ScimToken, name: str, *, resource_version: str) -> None:
        """Delete one of ours that is no longer wanted (``spec.secret.name`` changed)."""

    async def other_secrets(self, owner: ScimToken, desired_name: str) -> list[SecretSnapshot]:
        """Secrets whose label names this ScimToken, under another name than the wanted one; whose they are is told."""

    async def apply_status(self, owner: ScimToken, status: Mapping[str, object]) -> None:
        """Server-side apply of the whole status, field manager ``scim-operator``, forced."""

    async def apply_entra_status(self, owner: ScimToken, status: Mapping[str, object]) -> None:
        """Server-side apply of ``status.entra`` and its conditions, by a field manager of its own; empty takes them off."""

    async def set_finalizer(self, owner: ScimToken, *, present: bool) -> None:
        """Add or remove our finalizer, at the object's resourceVersion; no write when it is so already."""

    async def event(
        self, owner: ScimToken, kind: Literal["Normal", "Warning"], reason: str, message: str
    ) -> None:
        """Record an Event; repetitions are counted on one Event. Never raises: an Event is a courtesy."""


class CredentialVerifier(Protocol):
    """Entra's Test Connection, played with a credential before it is published."""

    async def verify(self, token: str, client_id: str | None = None) -> None:
        """Sign in with a bearer token, or with a client secret as Entra does: first an access token, then with that.

        Args:
            token: the plaintext.
            client_id: whose client secret it is; None for a bearer token.

        Raises:
            VerificationFailed, ScimApiUnreachable
        """


TokenFactory = Callable[[TokenKind], str]
"""Makes a plaintext of a kind; ``scim_api.contract.tokens.new_token`` outside of tests."""

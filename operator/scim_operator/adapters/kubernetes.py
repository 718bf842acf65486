"""Kubernetes for one reconcile: the ``Cluster`` port over ``kubernetes.aio``.

Secrets are written by merge patch at a resourceVersion: what is ours is set, what we set once and no longer
want is removed, what others put there stays. No exception that leaves here carries a Secret's data.
"""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Literal, NoReturn, cast

import aiohttp
from kubernetes.aio import client

from scim_api.contract import tokens
from scim_operator.adapters.core_v1 import CoreV1
from scim_operator.adapters.events import EventRecorder
from scim_operator.adapters.secret_objects import (
    adoption,
    encoded,
    merge_patch,
    metadata_of,
    owner_reference,
    snapshot,
)
from scim_operator.api.custom_object import API_VERSION, FIELD_MANAGER, GROUP, VERSION, CustomObject, Key
from scim_operator.api.scimtoken import ENTRA_FIELD_MANAGER, FINALIZER, PLURAL, ScimToken
from scim_operator.api.scimwebhook import ScimWebhook
from scim_operator.planning.ports import (
    Conflict,
    Gone,
    KubernetesRejected,
    KubernetesUnreachable,
    NotLeading,
    SecretDraft,
    SecretSnapshot,
)

CALL_TIMEOUT: Final = 10.0
"""Seconds that any single call may take; a hung API server must not hold a worker."""
APPLY: Final = "application/apply-patch+yaml"
MERGE: Final = "application/merge-patch+json"
_MESSAGE_LIMIT: Final = 1000
_SHORTEST_SECRET: Final = 8
"""Characters; hiding shorter values would only make messages unreadable."""


class KubernetesCluster:
    """Implements ``ports.Cluster`` and ``webhooks.ports.WebhookCluster``."""

    def __init__(
        self,
        api_client: client.ApiClient,
        guard: Callable[[], None],
        recorder: EventRecorder,
        wrote: Callable[[str, str], None] = lambda _uid, _version: None,
    ) -> None:
        """Work through ``api_client``.

        Args:
            api_client: with the credentials to use; the caller closes it.
            guard: called right before every write; raises ``NotLeading`` when this process may not write.
            recorder: takes the Events.
            wrote: called with uid and resourceVersion of each Secret that was written.
        """
        self._wrote = wrote
        self._core = CoreV1(api_client)
        self._custom = client.CustomObjectsApi(api_client)
        self._guard = guard
        self._recorder = recorder

    async def token(self, key: Key) -> ScimToken | None:
        """Read the ScimToken live; None when it is gone."""
        body = await self._read(ScimToken, key)
        return None if body is None else ScimToken.from_object(body)

    async def webhook(self, key: Key) -> ScimWebhook | None:
        """Read the ScimWebhook live; None when it is gone."""
        body = await self._read(ScimWebhook, key)
        return None if body is None else ScimWebhook.from_object(body)

    async def _read(self, model: type[CustomObject], key: Key) -> dict[str, Any] | None:
        with _translated_errors(f"reading {model.kind} {key}"):
            try:
                body = await self._custom.get_namespaced_custom_object(
                    GROUP, VERSION, key.namespace, model.plural, key.name, _request_timeout=CALL_TIMEOUT
                )
            except client.ApiException as error:
                if error.status == 404:
                    return None
                raise
        return cast("dict[str, Any]", body)

    async def namespace_uid(self, owner: CustomObject) -> str:
        """The uid of its namespace."""
        with _translated_errors(f"reading Namespace {owner.metadata.namespace}"):
            namespace = await self._core.read_namespace(
                owner.metadata.namespace, _request_timeout=CALL_TIMEOUT
            )
        return metadata_of(namespace).uid or ""

    async def secret(self, owner: CustomObject, name: str) -> SecretSnapshot | None:
        """Read a Secret live; None when there is none of this name."""
        secret = await self._read_secret(owner, name)
        return None if secret is None else snapshot(owner, secret)

    async def create_secret(self, owner: CustomObject, draft: SecretDraft) -> SecretSnapshot:
        """Create it, with its owner.

        Raises:
            Retry: there is one of this name by now.
            KubernetesRejected: also when the owner is being deleted; its Secret must not come back.
        """
        if owner.deleting:
            raise KubernetesRejected(
                f"{owner.kind} {owner.key} is being deleted: its Secret is not created again"
            )
        body = client.V1Secret(
            metadata=client.V1ObjectMeta(
                name=draft.name,
                namespace=owner.metadata.namespace,
                labels=dict(draft.labels),
                annotations=dict(draft.annotations),
                owner_references=[owner_reference(owner)],
            ),
            type="Opaque",
            data=encoded(draft.data),
        )
        with _translated_errors(f"creating Secret {draft.name}", draft.data):
            self._guard()
            created = await self._core.create_namespaced_secret(
                owner.metadata.namespace, body, field_manager=FIELD_MANAGER, _request_timeout=CALL_TIMEOUT
            )
        return self._written(owner, created)

    async def replace_secret(
        self, owner: CustomObject, draft: SecretDraft, present: SecretSnapshot
    ) -> SecretSnapshot:
        """Replace data, and the labels and annotations that are ours; others' stay.

        Not read again: the write names the version of ``present`` and the API server refuses it at any other, so what
        is removed is what stands there.

        Raises:
            Conflict: the Secret is not at this version any more.
            KubernetesRejected: also when it is not ours.
        """
        if not present.owned:
            raise KubernetesRejected(f"Secret {draft.name} does not belong to {owner.kind} {owner.key}")
        metadata = {
            "resourceVersion": present.resource_version,
            "labels": merge_patch(draft.labels, stale=present.managed_labels),
            "annotations": merge_patch(draft.annotations, stale=present.managed_annotations),
        }
        data = merge_patch(encoded(draft.data), stale=present.data.keys() | present.undecoded)
        with _translated_errors(f"writing Secret {draft.name}", draft.data):
            self._guard()
            written = await self._core.patch_namespaced_secret(
                draft.name,
                owner.metadata.namespace,
                {"metadata": metadata, "data": data},
                field_manager=FIELD_MANAGER,
                _content_type=MERGE,
                _request_timeout=CALL_TIMEOUT,
            )
        return self._written(owner, written)

    async def adopt_secret(self, owner: CustomObject, secret: SecretSnapshot) -> SecretSnapshot:
        """Make an object of ours its controller owner, at this version; its content stays as it is.

        By server-side apply: the labels and annotations that ``spec.secret`` wants and that stand there become our
        field manager's, so that they go again when ``spec.secret`` no longer has them.

        Raises:
            Conflict: the Secret is not at this version any more.
        """
        with _translated_errors(f"adopting Secret {secret.name}", secret.data):
            self._guard()
            written = await self._core.patch_namespaced_secret(
                secret.name,
                owner.metadata.namespace,
                adoption(owner, secret),
                field_manager=FIELD_MANAGER,
                force=True,
                _content_type=APPLY,
                _request_timeout=CALL_TIMEOUT,
            )
        return self._written(owner, written)

    def _written(self, owner: CustomObject, written: client.V1Secret) -> SecretSnapshot:
        metadata = metadata_of(written)
        self._wrote(metadata.uid or "", metadata.resource_version or "")
        return snapshot(owner, written)

    async def delete_secret(self, owner: CustomObject, name: str, *, resource_version: str) -> None:
        """Delete it at this version; it is well if it is gone already.

        Raises:
            Retry: it was changed meanwhile.
        """
        options = client.V1DeleteOptions(
            preconditions=client.V1Preconditions(resource_version=resource_version)
        )
        with _translated_errors(f"deleting Secret {name}"):
            self._guard()
            try:
                await self._core.delete_namespaced_secret(
                    name, owner.metadata.namespace, body=options, _request_timeout=CALL_TIMEOUT
                )
            except client.ApiException as error:
                if error.status != 404:
                    raise

    async def other_secrets(self, owner: CustomObject, desired_name: str) -> list[SecretSnapshot]:
        """Secrets whose label names this ScimToken, under another name than ``desired_name``."""
        with _translated_errors(f"listing the Secrets of {owner.kind} {owner.key}"):
            secrets = await self._core.list_namespaced_secret(
                owner.metadata.namespace,
                label_selector=f"{owner.secret_label}={owner.metadata.name}",
                _request_timeout=CALL_TIMEOUT,
            )
        views = [snapshot(owner, secret) for secret in secrets.items]
        return [view for view in views if view.name != desired_name]

    async def apply_status(self, owner: CustomObject, status: Mapping[str, object]) -> None:
        """Set the whole status but for Entra's part by server-side apply; the same again writes nothing.

        Raises:
            Gone: this object is not there any more.
            Conflict: others wrote it at the same moment, again and again.
        """
        await self._apply_status(owner, status, FIELD_MANAGER)

    async def apply_entra_status(self, owner: ScimToken, status: Mapping[str, object]) -> None:
        """Set Entra's part of the status likewise.

        Raises:
            Gone: this ScimToken is not there any more.
            Conflict: others wrote it at the same moment, again and again.
        """
        await self._apply_status(owner, status, ENTRA_FIELD_MANAGER)

    async def _apply_status(self, owner: CustomObject, status: Mapping[str, object], manager: str) -> None:
        body = {
            "apiVersion": API_VERSION,
            "kind": owner.kind,
            "metadata": {"name": owner.metadata.name, "namespace": owner.metadata.namespace},
            "status": dict(status),
        }
        with _translated_errors(f"writing the status of {owner.kind} {owner.key}"):
            self._guard()
            await self._custom.patch_namespaced_custom_object_status(
                GROUP,
                VERSION,
                owner.metadata.namespace,
                owner.plural,
                owner.metadata.name,
                body,
                field_manager=manager,
                force=True,
                _content_type=APPLY,
                _request_timeout=CALL_TIMEOUT,
            )

    async def set_finalizer(self, owner: ScimToken, *, present: bool) -> None:
        """Add or remove our finalizer at the object's resourceVersion; others' finalizers stay.

        Raises:
            Retry: the ScimToken was changed meanwhile.
        """
        finalizers = [name for name in owner.metadata.finalizers if name != FINALIZER]
        if present:
            finalizers.append(FINALIZER)
        if set(finalizers) == set(owner.metadata.finalizers):
            return
        metadata = {"resourceVersion": owner.metadata.resource_version, "finalizers": finalizers}
        with _translated_errors(f"setting the finalizer of ScimToken {owner.key}"):
            self._guard()
            await self._custom.patch_namespaced_custom_object(
                GROUP,
                VERSION,
                owner.metadata.namespace,
                PLURAL,
                owner.metadata.name,
                {"metadata": metadata},
                field_manager=FIELD_MANAGER,
                _content_type=MERGE,
                _request_timeout=CALL_TIMEOUT,
            )

    async def event(
        self, owner: CustomObject, kind: Literal["Normal", "Warning"], reason: str, message: str
    ) -> None:
        """Record an Event, unless this process no longer leads. Never raises."""
        try:
            self._guard()
        except NotLeading:
            return
        self._recorder.record(owner, kind, reason, message)

    async def _read_secret(self, owner: CustomObject, name: str) -> client.V1Secret | None:
        with _translated_errors(f"reading Secret {name}"):
            try:
                return await self._core.read_namespaced_secret(
                    name, owner.metadata.namespace, _request_timeout=CALL_TIMEOUT
                )
            except client.ApiException as error:
                if error.status == 404:
                    return None
                raise


@contextlib.contextmanager
def _translated_errors(action: str, confidential: Mapping[str, str] | None = None) -> Iterator[None]:
    """Turn the client's exceptions into the port's, without a trace of ``confidential`` values.

    The cause is cut off: the client's exception carries bodies, and a traceback would print them.
    """
    try:
        yield
    except client.ApiException as error:
        _raise_for(error, action, confidential or {})
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise KubernetesUnreachable(f"{action}: no answer ({type(error).__name__})") from None


def _raise_for(error: client.ApiException, action: str, confidential: Mapping[str, str]) -> NoReturn:
    status = error.status or 0
    message = f"{action}: {_redacted(confidential, server_message(error))}"
    if status == 404:
        raise Gone(message) from None
    if status in (409, 412):
        raise Conflict(message) from None
    if 400 <= status < 500 and status != 429:
        raise KubernetesRejected(message) from None
    raise KubernetesUnreachable(message) from None


def server_message(error: client.ApiException) -> str:
    """The ``message`` of the API server's Status object, or the bare HTTP status."""
    try:
        message = json.loads(error.body or "")["message"]
    except (TypeError, ValueError, KeyError):
        message = None
    if not isinstance(message, str):
        return f"HTTP {error.status} {error.reason}"
    return message[:_MESSAGE_LIMIT]


def _redacted(confidential: Mapping[str, str], message: str) -> str:
    """The message with every confidential value, plain or in base64, and everything like a token cut out."""
    for value in (*confidential.values(), *encoded(confidential).values()):
        if len(value) >= _SHORTEST_SECRET:
            message = message.replace(value, "[hidden]")
    return tokens.PATTERN.sub("[hidden]", message)

"""Kubernetes for one reconcile: the ``Cluster`` port over ``kubernetes.aio``.

Secrets are written by merge patch at a resourceVersion: what is ours is set, what we set once and no longer
want is removed, what others put there stays. No exception that leaves here carries a Secret's data.
"""

import base64
import binascii
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from typing import Any, Final, Literal, NoReturn, cast

import aiohttp
from kubernetes.aio import client

from scim_api.contract import tokens
from scim_operator.adapters.events import EventRecorder
from scim_operator.api.scimtoken import (
    API_VERSION,
    FIELD_MANAGER,
    FINALIZER,
    GROUP,
    KIND,
    PLURAL,
    TOKEN_LABEL,
    VERSION,
    Key,
    ScimToken,
)
from scim_operator.planning.ports import (
    Conflict,
    KubernetesRejected,
    KubernetesUnreachable,
    NotLeading,
    SecretDraft,
    SecretSnapshot,
)

CALL_TIMEOUT: Final = 10.0
"""Seconds that any single call may take; a hung API server must not hold a worker."""
LIST_PAGE: Final = 500
"""ScimTokens in one page of a list."""
LIST_TIMEOUT: Final = 30.0
"""Seconds that one page may take."""
APPLY: Final = "application/apply-patch+yaml"
MERGE: Final = "application/merge-patch+json"
_MESSAGE_LIMIT: Final = 1000
_SHORTEST_SECRET: Final = 8
"""Characters; hiding shorter values would only make messages unreadable."""


class KubernetesCluster:
    """Implements ``ports.Cluster``."""

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
        self._core = client.CoreV1Api(api_client)
        self._custom = client.CustomObjectsApi(api_client)
        self._guard = guard
        self._recorder = recorder

    async def token(self, key: Key) -> ScimToken | None:
        """Read the ScimToken live; None when it is gone."""
        with _translated_errors(f"reading ScimToken {key}"):
            try:
                body = await self._custom.get_namespaced_custom_object(
                    GROUP, VERSION, key.namespace, PLURAL, key.name, _request_timeout=CALL_TIMEOUT
                )
            except client.ApiException as error:
                if error.status == 404:
                    return None
                raise
        return ScimToken.from_object(cast("dict[str, Any]", body))

    async def namespace_uid(self, owner: ScimToken) -> str:
        """The uid of its namespace."""
        with _translated_errors(f"reading Namespace {owner.metadata.namespace}"):
            namespace = await self._core.read_namespace(
                owner.metadata.namespace, _request_timeout=CALL_TIMEOUT
            )
        return _metadata(namespace).uid or ""

    async def secret(self, owner: ScimToken, name: str) -> SecretSnapshot | None:
        """Read a Secret live; None when there is none of this name."""
        secret = await self._read_secret(owner, name)
        return None if secret is None else _view(owner, secret)

    async def create_secret(self, owner: ScimToken, draft: SecretDraft) -> SecretSnapshot:
        """Create it, owned by the ScimToken.

        Raises:
            Retry: there is one of this name by now.
            KubernetesRejected: also when the ScimToken is being deleted; its Secret must not come back.
        """
        if owner.deleting:
            raise KubernetesRejected(
                f"ScimToken {owner.key} is being deleted: its Secret is not created again"
            )
        body = client.V1Secret(
            metadata=client.V1ObjectMeta(
                name=draft.name,
                namespace=owner.metadata.namespace,
                labels=dict(draft.labels),
                annotations=dict(draft.annotations),
                owner_references=[_owner_reference(owner)],
            ),
            type="Opaque",
            data=_encoded(draft.data),
        )
        with _translated_errors(f"creating Secret {draft.name}", draft.data):
            self._guard()
            created = await self._core.create_namespaced_secret(
                owner.metadata.namespace, body, field_manager=FIELD_MANAGER, _request_timeout=CALL_TIMEOUT
            )
        return self._written(owner, created)

    async def replace_secret(
        self, owner: ScimToken, draft: SecretDraft, *, resource_version: str
    ) -> SecretSnapshot:
        """Replace data, and the labels and annotations that are ours; others' stay.

        Raises:
            Retry: the Secret is not at this version any more.
            KubernetesRejected: also when it is not ours.
        """
        present = await self._read_secret(owner, draft.name)
        if present is None or _metadata(present).resource_version != resource_version:
            raise Conflict(f"Secret {draft.name} was changed or deleted meanwhile")
        if not _owned(owner, present):
            raise KubernetesRejected(f"Secret {draft.name} does not belong to ScimToken {owner.key}")
        metadata = {
            "resourceVersion": resource_version,
            "labels": _merge_patch(draft.labels, stale=_managed_keys(present, "labels")),
            "annotations": _merge_patch(draft.annotations, stale=_managed_keys(present, "annotations")),
        }
        data = _merge_patch(_encoded(draft.data), stale=set(present.data or {}))
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

    def _written(self, owner: ScimToken, written: client.V1Secret) -> SecretSnapshot:
        metadata = _metadata(written)
        self._wrote(metadata.uid or "", metadata.resource_version or "")
        return _view(owner, written)

    async def delete_secret(self, owner: ScimToken, name: str, *, resource_version: str) -> None:
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

    async def other_secrets(self, owner: ScimToken, desired_name: str) -> list[SecretSnapshot]:
        """Secrets that belong to this ScimToken under another name than ``wanted``."""
        with _translated_errors(f"listing the Secrets of ScimToken {owner.key}"):
            secrets = await self._core.list_namespaced_secret(
                owner.metadata.namespace,
                label_selector=f"{TOKEN_LABEL}={owner.metadata.name}",
                _request_timeout=CALL_TIMEOUT,
            )
        views = [_view(owner, secret) for secret in secrets.items]
        return [view for view in views if view.owned and view.name != desired_name]

    async def apply_status(self, owner: ScimToken, status: Mapping[str, object]) -> None:
        """Set the whole status by server-side apply; the same again writes nothing.

        Raises:
            Retry: this ScimToken is gone.
        """
        body = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": owner.metadata.name, "namespace": owner.metadata.namespace},
            "status": dict(status),
        }
        with _translated_errors(f"writing the status of ScimToken {owner.key}"):
            self._guard()
            await self._custom.patch_namespaced_custom_object_status(
                GROUP,
                VERSION,
                owner.metadata.namespace,
                PLURAL,
                owner.metadata.name,
                body,
                field_manager=FIELD_MANAGER,
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
        self, owner: ScimToken, kind: Literal["Normal", "Warning"], reason: str, message: str
    ) -> None:
        """Record an Event, unless this process no longer leads. Never raises."""
        try:
            self._guard()
        except NotLeading:
            return
        await self._recorder.record(owner, kind, reason, message)

    async def _read_secret(self, owner: ScimToken, name: str) -> client.V1Secret | None:
        with _translated_errors(f"reading Secret {name}"):
            try:
                return await self._core.read_namespaced_secret(
                    name, owner.metadata.namespace, _request_timeout=CALL_TIMEOUT
                )
            except client.ApiException as error:
                if error.status == 404:
                    return None
                raise


def _owner_reference(owner: ScimToken) -> client.V1OwnerReference:
    """Controller, so that nobody else adopts it; no blockOwnerDeletion, which needs rights we don't want."""
    return client.V1OwnerReference(
        api_version=API_VERSION, kind=KIND, name=owner.metadata.name, uid=owner.metadata.uid, controller=True
    )


def _metadata(secret: client.V1Secret | client.V1Namespace) -> client.V1ObjectMeta:
    """Present in whatever the API server sends, although the generated model says it may be missing."""
    return secret.metadata or client.V1ObjectMeta()


def _owned(owner: ScimToken, secret: client.V1Secret) -> bool:
    references = _metadata(secret).owner_references or []
    return any(bool(ref.controller) and ref.uid == owner.metadata.uid for ref in references)


def _view(owner: ScimToken, secret: client.V1Secret) -> SecretSnapshot:
    metadata = _metadata(secret)
    return SecretSnapshot(
        name=metadata.name or "",
        resource_version=metadata.resource_version or "",
        owned=_owned(owner, secret),
        data=_decoded(secret.data or {}),
        labels=dict(metadata.labels or {}),
        annotations=dict(metadata.annotations or {}),
        deleting=metadata.deletion_timestamp is not None,
    )


def _encoded(data: Mapping[str, str]) -> dict[str, str]:
    return {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}


def _decoded(data: Mapping[str, str | bytes]) -> dict[str, str]:
    decoded = {}
    for key, value in data.items():
        with contextlib.suppress(binascii.Error, UnicodeDecodeError):
            decoded[key] = base64.b64decode(value, validate=True).decode()
    return decoded


def _managed_keys(secret: client.V1Secret, part: Literal["labels", "annotations"]) -> set[str]:
    """Keys that we wrote last, by the API server's own record of who wrote what (``managedFields``)."""
    keys: set[str] = set()
    for entry in _metadata(secret).managed_fields or []:
        if entry.manager == FIELD_MANAGER:
            fields: Any = entry.fields_v1 or {}
            owned = fields.get("f:metadata", {}).get(f"f:{part}", {})
            keys.update(name.removeprefix("f:") for name in owned if name.startswith("f:"))
    return keys


def _merge_patch(desired: Mapping[str, str], *, stale: set[str]) -> dict[str, str | None]:
    """A merge patch (RFC 7396) that sets ``wanted`` and removes the rest of ``stale``."""
    return {**dict.fromkeys(stale - desired.keys()), **desired}


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
    message = f"{action}: {_redacted(confidential, _server_message(error))}"
    if status in (404, 409, 412):
        raise Conflict(message) from None
    if 400 <= status < 500 and status != 429:
        raise KubernetesRejected(message) from None
    raise KubernetesUnreachable(message) from None


def _server_message(error: client.ApiException) -> str:
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
    for value in (*confidential.values(), *_encoded(confidential).values()):
        if len(value) >= _SHORTEST_SECRET:
            message = message.replace(value, "[hidden]")
    return tokens.PATTERN.sub("[hidden]", message)


async def list_scimtokens(
    api_client: client.ApiClient, namespaces: Collection[str]
) -> AsyncIterator[dict[str, Any]]:
    """Every ScimToken as the API server has it, page by page.

    Args:
        api_client: with the right to list them.
        namespaces: where; empty for all.

    Raises:
        ApiException: as the Kubernetes client does; 404 when the CRD is gone.
    """
    custom = client.CustomObjectsApi(api_client)
    for namespace in namespaces or (None,):
        resume: str | None = None
        while True:
            options: dict[str, Any] = {"limit": LIST_PAGE, "_request_timeout": LIST_TIMEOUT}
            if resume:
                options["_continue"] = resume
            page: Any = await (
                custom.list_cluster_custom_object(GROUP, VERSION, PLURAL, **options)
                if namespace is None
                else custom.list_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, **options)
            )
            for item in page["items"]:
                yield item
            resume = page["metadata"].get("continue")
            if not resume:
                break

"""Before the operator is uninstalled: take its finalizer off every ScimToken, so that none is held for ever.

Operators that still run would put it back. So the Lease is taken first, for longer than an uninstallation
takes: the leader stops when it next reads the Lease, and the others wait.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from kubernetes.aio import client
from kubernetes.aio.client import ApiException

from scim_operator.adapters.object_list import list_objects
from scim_operator.api.custom_object import FIELD_MANAGER, GROUP, VERSION, Key
from scim_operator.api.scimtoken import FINALIZER, PLURAL, ScimToken
from scim_operator.settings import OperatorSettings

log = structlog.get_logger(__name__)

HELD_SECONDS: Final = 300
"""How long nobody leads afterwards, unless an operator is restarted by then."""
_ATTEMPTS: Final = 20
_CALL_SECONDS: Final = 30.0
_RELEASED: Final = "released-"
_MERGE: Final = "application/merge-patch+json"
_CONFLICT, _NOT_FOUND = 409, 404


class NotReleased(Exception):
    """Somebody wrote each time we did; the message says what to do."""


async def release_finalizers(
    kube: client.ApiClient,
    settings: OperatorSettings,
    pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    *,
    hold: int = HELD_SECONDS,
) -> int:
    """Take the Lease, then the finalizers; returns from how many ScimTokens.

    Args:
        kube: with the operator's own permissions.
        settings: name of the Lease, and the namespaces.
        pause: waits some seconds.
        hold: seconds for which nobody leads once finalizers are being taken off; the operators have to be gone
            by then.

    Raises:
        NotReleased: a write lost again and again.
        ApiException: as the Kubernetes client does.
    """
    patience = await _take_lease(client.CoordinationV1Api(kube), settings, hold)
    if patience:
        log.info("waiting until the leader has stopped", seconds=patience)
        await pause(patience)
    custom = client.CustomObjectsApi(kube)
    released = 0
    try:
        async for item in list_objects(kube, ScimToken, settings.watch_namespaces, _report_forbidden):
            if FINALIZER in item["metadata"].get("finalizers", ()):
                released += await _remove_finalizer(
                    custom, Key(item["metadata"]["namespace"], item["metadata"]["name"])
                )
    except ApiException as error:
        if error.status != _NOT_FOUND:  # the CRD is gone, and all ScimTokens with it
            raise
    log.info("finalizers taken off", scimtokens=released, nobody_leads_for_seconds=hold)
    return released


def _report_forbidden(namespace: str) -> None:
    log.warning("not permitted to list ScimTokens; is the namespace gone?", namespace=namespace)


def _patience(spec: client.V1LeaseSpec, now: datetime, longest: int) -> int:
    """For how many seconds whoever led last may still act.

    A release that was tried before does not act itself, but the leader before it may, for ``longest`` seconds from
    when it lost the Lease.
    """
    holder = spec.holder_identity or ""
    if not holder.startswith(_RELEASED):
        return int(spec.lease_duration_seconds or 0) if holder else 0
    since = (now - spec.acquire_time).total_seconds() if spec.acquire_time else 0.0
    return max(0, min(longest, math.ceil(longest - since)))


async def _take_lease(leases: client.CoordinationV1Api, settings: OperatorSettings, hold: int) -> int:
    """Make it ours, whoever has it; returns for how many seconds that one may still act."""
    name, namespace = settings.lease_name, settings.namespace
    for _ in range(_ATTEMPTS):
        try:
            lease = await leases.read_namespaced_lease(name, namespace, _request_timeout=_CALL_SECONDS)
        except ApiException as error:
            if error.status == _NOT_FOUND:  # no operator has ever run here
                return 0
            raise
        spec = lease.spec or client.V1LeaseSpec()
        now = datetime.now(UTC)
        patience = _patience(spec, now, settings.lease_duration_seconds)
        spec.holder_identity = f"{_RELEASED}{settings.identity}"[:253]
        # What is waited for first counts in addition, or a standby leads again when the finalizers are off.
        spec.lease_duration_seconds = patience + hold
        spec.acquire_time = spec.renew_time = now
        spec.lease_transitions = (spec.lease_transitions or 0) + 1
        lease.spec = spec
        try:
            await leases.replace_namespaced_lease(name, namespace, lease, _request_timeout=_CALL_SECONDS)
        except ApiException as error:
            if error.status != _CONFLICT:
                raise
        else:
            return patience
    raise NotReleased(f"the Lease {namespace}/{name} was written by somebody each time; run it again")


async def _remove_finalizer(custom: client.CustomObjectsApi, key: Key) -> bool:
    """Take our finalizer off one; others' stay. False when it is gone already."""
    for _ in range(_ATTEMPTS):
        try:
            item: Any = await custom.get_namespaced_custom_object(
                GROUP, VERSION, key.namespace, PLURAL, key.name, _request_timeout=_CALL_SECONDS
            )
            metadata = item["metadata"]
            others = [name for name in metadata.get("finalizers", ()) if name != FINALIZER]
            await custom.patch_namespaced_custom_object(
                GROUP,
                VERSION,
                key.namespace,
                PLURAL,
                key.name,
                {"metadata": {"resourceVersion": metadata["resourceVersion"], "finalizers": others}},
                field_manager=FIELD_MANAGER,
                _content_type=_MERGE,
                _request_timeout=_CALL_SECONDS,
            )
        except ApiException as error:
            if error.status == _NOT_FOUND:
                return False
            if error.status != _CONFLICT:
                raise
        else:
            return True
    raise NotReleased(f"ScimToken {key} was written by somebody each time; run it again")

"""An informer of a test's own: what it has told, and what there is to see."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest
from kubernetes.aio import client

from scim_operator.adapters.watch_access import Obstacle, WatchTarget
from scim_operator.api.custom_object import GROUP, VERSION
from scim_operator.api.scimtoken import PLURAL, TOKEN_LABEL
from scim_operator.controller.informer import Informer
from scim_operator.controller.watch_events import CachedScimToken, CachedScimWebhook, CachedSecret, WatchEvent
from scim_operator.planning.ports import Key
from scim_operator.settings import load


async def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for a condition, polling; fails the test when the time is over."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


class Notebook:
    """Takes what the watcher delivers."""

    informer: Informer

    def __init__(self) -> None:
        self.seen: list[WatchEvent] = []
        self.restarts = 0

    def __call__(self, batch: Sequence[WatchEvent]) -> None:
        self.seen.extend(batch)

    def count_restart(self) -> None:
        self.restarts += 1

    def tokens(self, key: Key, *, gone: bool = False) -> list[CachedScimToken]:
        found = [item.object for item in self.seen if item.deleted is gone]
        return [item for item in found if isinstance(item, CachedScimToken) and item.key == key]

    def webhooks(self, key: Key, *, gone: bool = False) -> list[CachedScimWebhook]:
        found = [item.object for item in self.seen if item.deleted is gone]
        return [item for item in found if isinstance(item, CachedScimWebhook) and item.key == key]

    def secrets(self, key: Key, *, gone: bool = False) -> list[CachedSecret]:
        found = [item.object for item in self.seen if item.deleted is gone]
        return [item for item in found if isinstance(item, CachedSecret) and item.scimtoken == key]

    def webhook_secrets(self, key: Key, *, gone: bool = False) -> list[CachedSecret]:
        found = [item.object for item in self.seen if item.deleted is gone]
        return [item for item in found if isinstance(item, CachedSecret) and item.scimwebhook == key]


class Objects:
    """Makes and changes the objects a test needs, in one namespace."""

    def __init__(self, api: client.ApiClient, namespace: str) -> None:
        self.core, self.custom, self.namespace = (
            client.CoreV1Api(api),
            client.CustomObjectsApi(api),
            namespace,
        )

    async def token(self, name: str) -> Any:
        body = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "ScimToken",
            "metadata": {"name": name},
            "spec": {},
        }
        return await self.custom.create_namespaced_custom_object(GROUP, VERSION, self.namespace, PLURAL, body)

    async def read(self, name: str) -> Any:
        return await self.custom.get_namespaced_custom_object(GROUP, VERSION, self.namespace, PLURAL, name)

    async def patch(self, name: str, patch: dict[str, Any]) -> None:
        await self.custom.patch_namespaced_custom_object(
            GROUP, VERSION, self.namespace, PLURAL, name, patch, _content_type="application/merge-patch+json"
        )

    async def delete(self, name: str) -> None:
        await self.custom.delete_namespaced_custom_object(GROUP, VERSION, self.namespace, PLURAL, name)

    async def secret(self, name: str, owner: dict[str, Any] | None, **labels: str) -> None:
        references = owner and [
            client.V1OwnerReference(
                api_version=f"{GROUP}/{VERSION}",
                kind="ScimToken",
                name=owner["metadata"]["name"],
                uid=owner["metadata"]["uid"],
            )
        ]
        meta = client.V1ObjectMeta(name=name, labels=labels, owner_references=references)
        await self.core.create_namespaced_secret(
            self.namespace, client.V1Secret(metadata=meta, string_data={"a": "b"})
        )


OURS = {"app.kubernetes.io/managed-by": "scim-operator", "scim-operator.io/token": "contoso"}


def labels_of(scimtoken: str) -> dict[str, str]:
    """Labels of a Secret of this ScimToken."""
    return {**OURS, TOKEN_LABEL: scimtoken}


async def nothing_in_the_way(_target: WatchTarget) -> None:
    return


@contextlib.asynccontextmanager
async def watching(
    kubeconfig: Path,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
    find_obstacle: Callable[[WatchTarget], Coroutine[Any, Any, Obstacle | None]] = nothing_in_the_way,
) -> AsyncIterator[Notebook]:
    """A notebook that a running watcher of ``namespace`` fills."""
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    settings = load(
        endpoint_url="https://scim.example.com/scim/v2",
        admin_url="http://unused:1",
        watch_namespaces=namespace,
    )
    notes = Notebook()
    watcher = Informer(settings, deliver=notes, find_obstacle=find_obstacle, restarted=notes.count_restart)
    notes.informer = watcher
    watcher.start()
    try:
        await until(lambda: watcher.problem is None)
        yield notes
    finally:
        assert await watcher.stop(10), "kopf's thread did not end"

"""The watch on a real API server: what others do is told, nothing is written, and it outlives the server."""

import asyncio
import base64
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from kubernetes.aio import client, config

from scim_operator.known import SecretSighting, Seen, TokenSighting
from scim_operator.models import GROUP, PLURAL, VERSION
from scim_operator.ports import Key
from scim_operator.settings import load
from scim_operator.watcher import Watcher


async def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for a condition, polling; fails the test when the time is over."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


class Notebook:
    """Takes what the watcher delivers."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.restarts = 0

    def __call__(self, batch: Sequence[Seen]) -> None:
        self.seen.extend(batch)

    def count_restart(self) -> None:
        self.restarts += 1

    def tokens(self, key: Key, *, gone: bool = False) -> list[TokenSighting]:
        found = [item for item in self.seen if item.what.key == key and item.gone is gone]
        return [item.what for item in found if isinstance(item.what, TokenSighting)]

    def secrets(self, key: Key, *, gone: bool = False) -> list[SecretSighting]:
        found = [item for item in self.seen if item.what.key == key and item.gone is gone]
        return [item.what for item in found if isinstance(item.what, SecretSighting)]


class Objects:
    """Makes and changes the objects a test needs, in one namespace."""

    def __init__(self, api: client.ApiClient, namespace: str) -> None:
        self.core, self.custom, self.namespace = (
            client.CoreV1Api(api),
            client.CustomObjectsApi(api),
            namespace,
        )

    async def token(self, name: str) -> dict[str, Any]:
        body = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "ScimToken",
            "metadata": {"name": name},
            "spec": {},
        }
        return await self.custom.create_namespaced_custom_object(GROUP, VERSION, self.namespace, PLURAL, body)

    async def read(self, name: str) -> dict[str, Any]:
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


OURS = {"app.kubernetes.io/managed-by": "scim-operator"}


@pytest.fixture
async def objects(kubeconfig: Path, namespace: str) -> AsyncIterator[Objects]:
    async with await config.new_client_from_config(str(kubeconfig)) as api:
        yield Objects(api, namespace)


Watch = Callable[[], contextlib.AbstractAsyncContextManager[Notebook]]


@pytest.fixture
def watch(kubeconfig: Path, namespace: str, monkeypatch: pytest.MonkeyPatch) -> Watch:
    """Makes a notebook that a running watcher of ``namespace`` fills."""
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    for name in [name for name in os.environ if name.startswith("KUBERNETES_SERVICE_")]:
        monkeypatch.delenv(name)
    settings = load(
        endpoint_url="https://scim.example.com/scim/v2",
        admin_url="http://unused:1",
        watch_namespaces=namespace,
    )

    async def served() -> None:
        return

    @contextlib.asynccontextmanager
    async def watching() -> AsyncIterator[Notebook]:
        notes = Notebook()
        watcher = Watcher(settings, deliver=notes, served=served, restarted=notes.count_restart)
        watcher.start()
        try:
            await until(lambda: watcher.watching)
            yield notes
        finally:
            assert await watcher.stop(10), "kopf's thread did not end"

    return watching


@pytest.fixture
async def notebook(watch: Watch) -> AsyncIterator[Notebook]:
    async with watch() as notes:
        yield notes


async def test_a_scim_token_is_seen_when_it_is_made_changed_and_deleted(
    notebook: Notebook, objects: Objects
) -> None:
    key = Key(objects.namespace, "contoso")
    await objects.token("contoso")
    await until(lambda: bool(notebook.tokens(key)))
    before = notebook.tokens(key)[-1].fingerprint
    await objects.patch("contoso", {"spec": {"lifetime": "30d"}})
    await until(lambda: notebook.tokens(key)[-1].fingerprint != before)
    await objects.delete("contoso")
    await until(lambda: bool(notebook.tokens(key, gone=True)))


async def test_an_object_that_was_there_before_is_seen_as_listed(objects: Objects, watch: Watch) -> None:
    owner = await objects.token("contoso")
    await objects.secret("ours", owner, **OURS)
    key = Key(objects.namespace, "contoso")
    async with watch() as notebook:
        await until(lambda: bool(notebook.tokens(key)) and bool(notebook.secrets(key)))
        assert all(item.listed for item in notebook.seen)


async def test_our_secret_is_seen_under_its_owner_when_it_is_made_changed_and_deleted(
    notebook: Notebook, objects: Objects
) -> None:
    key = Key(objects.namespace, "contoso")
    owner = await objects.token("contoso")
    await objects.secret("contoso-scim-token", owner, **OURS)
    await until(lambda: bool(notebook.secrets(key)))
    version = notebook.secrets(key)[-1].resource_version
    other = {"data": {"a": base64.b64encode(b"edited").decode()}}
    await objects.core.patch_namespaced_secret("contoso-scim-token", objects.namespace, other)
    await until(lambda: notebook.secrets(key)[-1].resource_version != version)
    await objects.core.delete_namespaced_secret("contoso-scim-token", objects.namespace)
    await until(lambda: bool(notebook.secrets(key, gone=True)))


async def test_secrets_of_others_never_come_here(notebook: Notebook, objects: Objects) -> None:
    owner = await objects.token("contoso")
    await objects.secret("unlabelled", owner)
    await objects.secret("unowned", None, **OURS)
    await objects.secret("ours", owner, **OURS)
    key = Key(objects.namespace, "contoso")
    await until(lambda: bool(notebook.secrets(key)))
    assert {item.what.uid for item in notebook.seen if isinstance(item.what, SecretSighting)} == {
        notebook.secrets(key)[0].uid
    }


async def test_watching_writes_nothing_to_an_object(notebook: Notebook, objects: Objects) -> None:
    made = await objects.token("contoso")
    await until(lambda: bool(notebook.tokens(Key(objects.namespace, "contoso"))))
    await objects.token("later")
    await until(lambda: bool(notebook.tokens(Key(objects.namespace, "later"))))
    assert (await objects.read("contoso"))["metadata"] == made["metadata"]


async def test_a_status_write_keeps_the_fingerprint(notebook: Notebook, objects: Objects) -> None:
    key = Key(objects.namespace, "contoso")
    await objects.token("contoso")
    await until(lambda: bool(notebook.tokens(key)))
    await objects.custom.patch_namespaced_custom_object_status(
        GROUP, VERSION, objects.namespace, PLURAL, "contoso", {"status": {"observedGeneration": 1}},
        _content_type="application/merge-patch+json",
    )  # fmt: skip
    await until(lambda: len(notebook.tokens(key)) == 2)
    assert len({item.fingerprint for item in notebook.tokens(key)}) == 1

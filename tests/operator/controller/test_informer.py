"""The watch on a real API server: what others do is told, nothing is written, and it outlives the server."""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from kubernetes.aio import client, config

from localcluster import ControlPlane, Tools
from scim_operator.api.scimtoken import GROUP, PLURAL, VERSION
from scim_operator.controller.cache import CachedScimToken, CachedSecret, WatchEvent
from scim_operator.controller.informer import Informer
from scim_operator.planning.ports import Key
from scim_operator.settings import load
from support.installed import ROOT


async def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for a condition, polling; fails the test when the time is over."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


class Notebook:
    """Takes what the watcher delivers."""

    def __init__(self) -> None:
        self.seen: list[WatchEvent] = []
        self.restarts = 0

    def __call__(self, batch: Sequence[WatchEvent]) -> None:
        self.seen.extend(batch)

    def count_restart(self) -> None:
        self.restarts += 1

    def tokens(self, key: Key, *, gone: bool = False) -> list[CachedScimToken]:
        found = [item for item in self.seen if item.object.key == key and item.deleted is gone]
        return [item.object for item in found if isinstance(item.object, CachedScimToken)]

    def secrets(self, key: Key, *, gone: bool = False) -> list[CachedSecret]:
        found = [item for item in self.seen if item.object.key == key and item.deleted is gone]
        return [item.object for item in found if isinstance(item.object, CachedSecret)]


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


@pytest.fixture
def namespace(quiet_namespace: str) -> str:
    """One where no other test's operator is at work."""
    return quiet_namespace


@pytest.fixture
async def objects(installed: ControlPlane, namespace: str) -> AsyncIterator[Objects]:
    async with await config.new_client_from_config(str(installed.kubeconfig)) as api:  # type: ignore[no-untyped-call]
        yield Objects(api, namespace)


@contextlib.asynccontextmanager
async def watching(
    kubeconfig: Path, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Notebook]:
    """A notebook that a running watcher of ``namespace`` fills."""
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    settings = load(
        endpoint_url="https://scim.example.com/scim/v2",
        admin_url="http://unused:1",
        watch_namespaces=namespace,
    )

    async def served() -> None:
        return

    notes = Notebook()
    watcher = Informer(settings, deliver=notes, wait_until_served=served, restarted=notes.count_restart)
    watcher.start()
    try:
        await until(lambda: watcher.watching)
        yield notes
    finally:
        assert await watcher.stop(10), "kopf's thread did not end"


@pytest.fixture
async def notebook(
    operator_kubeconfig: Path, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Notebook]:
    """Filled with exactly the operator's permissions."""
    async with watching(operator_kubeconfig, namespace, monkeypatch) as notes:
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


async def test_an_object_that_was_there_before_is_seen_as_listed(
    objects: Objects, operator_kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = await objects.token("contoso")
    await objects.secret("ours", owner, **OURS)
    key = Key(objects.namespace, "contoso")
    async with watching(operator_kubeconfig, objects.namespace, monkeypatch) as notebook:
        await until(lambda: bool(notebook.tokens(key)) and bool(notebook.secrets(key)))
        assert all(item.listed for item in notebook.seen)


async def test_our_secret_is_seen_under_its_scim_token_when_it_is_made_changed_and_deleted(
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


async def test_a_secret_without_an_owner_reference_is_seen_by_its_label(
    notebook: Notebook, objects: Objects
) -> None:
    key = Key(objects.namespace, "contoso")
    await objects.secret("contoso-scim-token", None, **OURS)
    await until(lambda: bool(notebook.secrets(key)))
    version = notebook.secrets(key)[-1].resource_version
    other = {"data": {"a": base64.b64encode(b"edited").decode()}}
    await objects.core.patch_namespaced_secret("contoso-scim-token", objects.namespace, other)
    await until(lambda: notebook.secrets(key)[-1].resource_version != version)


@pytest.mark.parametrize("lost", OURS)
async def test_a_secret_that_loses_a_label_of_ours_is_seen_once_more(
    notebook: Notebook, objects: Objects, lost: str
) -> None:
    """Without the label that the watch selects by it comes as deleted, with the labels that it had."""
    key = Key(objects.namespace, "contoso")
    await objects.secret("contoso-scim-token", None, **OURS)
    await until(lambda: bool(notebook.secrets(key)))
    count = len(notebook.seen)
    await objects.core.patch_namespaced_secret(
        "contoso-scim-token", objects.namespace, {"metadata": {"labels": {lost: None}}}
    )
    await until(lambda: len(notebook.seen) > count)
    seen = notebook.seen[-1]
    assert isinstance(seen.object, CachedSecret)
    assert seen.object.name == "contoso-scim-token"
    assert (seen.deleted, seen.object.key) == ((True, key) if "managed-by" in lost else (False, None))


async def test_secrets_of_others_never_come_here(notebook: Notebook, objects: Objects) -> None:
    owner = await objects.token("contoso")
    await objects.secret("unlabelled", owner)
    await objects.secret("others", owner, **{"app.kubernetes.io/managed-by": "Helm"})
    await objects.secret("ours", owner, **OURS)
    key = Key(objects.namespace, "contoso")
    await until(lambda: bool(notebook.secrets(key)))
    assert {item.object.uid for item in notebook.seen if isinstance(item.object, CachedSecret)} == {
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


async def test_the_watch_outlives_a_restart_of_the_api_server(
    tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ControlPlane.start(tools) as plane:
        plane.kubectl("apply", "--server-side", "-f", str(ROOT / "crds/scimtoken.yaml"))
        plane.wait_established("scimtokens.scim-operator.io")
        async with (
            watching(plane.kubeconfig, "default", monkeypatch) as notebook,
            await config.new_client_from_config(str(plane.kubeconfig)) as api,  # type: ignore[no-untyped-call]
        ):
            objects = Objects(api, "default")
            await objects.token("before")
            await until(lambda: bool(notebook.tokens(Key("default", "before"))))
            await asyncio.to_thread(plane.restart_api_server)
            await _made_sooner_or_later(objects, "after")
            await until(lambda: bool(notebook.tokens(Key("default", "after"))), 60)
            await objects.delete("before")
            await until(lambda: bool(notebook.tokens(Key("default", "before"), gone=True)), 60)


async def _made_sooner_or_later(objects: Objects, name: str) -> None:
    """Right after its start the API server may refuse for a moment."""
    async with asyncio.timeout(30):
        while True:
            try:
                await objects.token(name)
            except (client.ApiException, aiohttp.ClientError, OSError):
                await asyncio.sleep(0.2)
            else:
                return

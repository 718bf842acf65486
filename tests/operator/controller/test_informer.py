"""The watch on a real API server: what others do is told, nothing is written, and it outlives the server."""

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
from kubernetes.aio import client, config

from localcluster import ControlPlane, Tools
from scim_operator.adapters.watch_access import Obstacle, WatchAccess, WatchTarget
from scim_operator.api.custom_object import GROUP, MANAGED_BY, MANAGED_BY_LABEL, VERSION
from scim_operator.api.scimtoken import PLURAL
from scim_operator.api.scimwebhook import WEBHOOK_LABEL
from scim_operator.controller.informer import Informer
from scim_operator.controller.watch_events import CachedSecret
from scim_operator.planning.ports import Key
from scim_operator.settings import load
from support.informing import OURS, Notebook, Objects, labels_of, until, watching
from support.installed import ROOT, applied, client_of, webhook_manifest


@pytest.fixture
def namespace(quiet_namespace: str) -> str:
    """One where no other test's operator is at work."""
    return quiet_namespace


@pytest.fixture
async def objects(installed: ControlPlane, namespace: str) -> AsyncIterator[Objects]:
    async with await config.new_client_from_config(str(installed.kubeconfig)) as api:  # type: ignore[no-untyped-call]
        yield Objects(api, namespace)


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
    assert (seen.deleted, seen.object.scimtoken) == ((True, key) if "managed-by" in lost else (False, None))


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


ROLE_BINDING = """
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: scim-operator-secrets, namespace: {namespace}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: scim-operator-secrets}}
subjects: [{{kind: ServiceAccount, name: scim-operator, namespace: scim-system}}]
"""


@pytest.fixture(scope="module")
def by_namespace(tools: Tools) -> Iterator[ControlPlane]:
    """A control plane on which the operator may touch Secrets by RoleBindings alone."""
    with ControlPlane.start(tools) as plane:
        plane.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
        plane.kubectl("apply", "-f", str(ROOT / "dev/manifests/rbac.yaml"))
        plane.kubectl("delete", "clusterrolebinding", "scim-operator-secrets")
        plane.wait_established("scimtokens.scim-operator.io")
        plane.wait_established("scimwebhooks.scim-operator.io")
        yield plane


def permit(plane: ControlPlane, namespace: str) -> None:
    """Make the namespace, and the RoleBinding in it, as the chart does."""
    plane.kubectl("create", "namespace", namespace)
    plane.kubectl("apply", "-f", "-", input=ROLE_BINDING.format(namespace=namespace))


async def test_a_namespace_that_is_missing_is_reported_and_found_and_the_others_are_watched_all_the_time(
    by_namespace: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, missing = (f"{name}-{secrets.token_hex(4)}" for name in ("there", "missing"))
    await asyncio.to_thread(permit, by_namespace, there)
    kubeconfig = Path(by_namespace.service_account_kubeconfig("scim-system", "scim-operator"))
    async with (
        await client_of(kubeconfig) as ours,
        await client_of(by_namespace.kubeconfig) as admin,
        watching(kubeconfig, f"{there},{missing}", monkeypatch, WatchAccess(ours).obstacle) as notebook,
    ):
        assert notebook.informer.unwatched_namespaces() == {missing}
        served = Objects(admin, there)
        await served.secret("early", await served.token("early"), **labels_of("early"))
        await until(lambda: bool(notebook.secrets(Key(there, "early"))), 5)
        await asyncio.to_thread(permit, by_namespace, missing)
        await until(lambda: not notebook.informer.unwatched_namespaces(), 10)
        await served.secret("other", await served.token("other"), **labels_of("other"))
        await until(lambda: bool(notebook.secrets(Key(there, "other"))), 5)
        late = Objects(admin, missing)
        owner = await late.token("late")
        await late.secret("late", owner, **labels_of("late"))
        await until(lambda: bool(notebook.secrets(Key(missing, "late"))), 5)
        assert notebook.informer.problem is None
        assert notebook.restarts == 0


async def test_a_namespace_that_is_deleted_and_comes_back_is_watched_again(
    by_namespace: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    stays, goes = (f"{name}-{secrets.token_hex(4)}" for name in ("stays", "goes"))
    for name in (stays, goes):
        await asyncio.to_thread(permit, by_namespace, name)
    kubeconfig = Path(by_namespace.service_account_kubeconfig("scim-system", "scim-operator"))
    async with (
        await client_of(kubeconfig) as ours,
        await client_of(by_namespace.kubeconfig) as admin,
        watching(kubeconfig, f"{stays},{goes}", monkeypatch, WatchAccess(ours).obstacle) as notebook,
    ):
        objects = Objects(admin, goes)
        await objects.token("first")
        await until(lambda: bool(notebook.tokens(Key(goes, "first"))))
        await asyncio.to_thread(by_namespace.kubectl, "delete", "namespace", goes)
        await until(lambda: bool(notebook.tokens(Key(goes, "first"), gone=True)))
        await asyncio.to_thread(permit, by_namespace, goes)
        owner = await objects.token("second")
        await objects.secret("second", owner, **labels_of("second"))
        await until(lambda: bool(notebook.secrets(Key(goes, "second"))), 10)
        await Objects(admin, stays).token("other")
        await until(lambda: bool(notebook.tokens(Key(stays, "other"))), 5)
        assert notebook.informer.problem is None


async def test_without_the_rolebinding_its_scimtokens_are_watched_and_its_secrets_as_soon_as_it_comes(
    by_namespace: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound, unbound = (f"{name}-{secrets.token_hex(4)}" for name in ("bound", "unbound"))
    await asyncio.to_thread(permit, by_namespace, bound)
    await asyncio.to_thread(by_namespace.kubectl, "create", "namespace", unbound)
    kubeconfig = Path(by_namespace.service_account_kubeconfig("scim-system", "scim-operator"))
    async with (
        await client_of(kubeconfig) as ours,
        await client_of(by_namespace.kubeconfig) as admin,
        watching(kubeconfig, f"{bound},{unbound}", monkeypatch, WatchAccess(ours).obstacle) as notebook,
    ):
        objects = Objects(admin, unbound)
        owner = await objects.token("entra")
        await until(lambda: bool(notebook.tokens(Key(unbound, "entra"))), 5)
        assert notebook.informer.unwatched_namespaces() == {unbound}
        binding = ROLE_BINDING.format(namespace=unbound)
        await asyncio.to_thread(by_namespace.kubectl, "apply", "-f", "-", input=binding)
        await objects.secret("entra", owner, **labels_of("entra"))
        await until(lambda: bool(notebook.secrets(Key(unbound, "entra"))), 10)


async def test_a_watch_that_is_refused_ends_no_other(
    by_namespace: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a right is taken away after it was asked for. One that ended would list its objects again."""
    there, missing = (f"{name}-{secrets.token_hex(4)}" for name in ("there", "missing"))
    await asyncio.to_thread(permit, by_namespace, there)
    kubeconfig = Path(by_namespace.service_account_kubeconfig("scim-system", "scim-operator"))
    async with await client_of(by_namespace.kubeconfig) as admin:
        objects, key = Objects(admin, there), Key(there, "entra")
        owner = await objects.token("entra")
        await objects.secret("entra", owner, **labels_of("entra"))
        async with watching(kubeconfig, f"{missing},{there}", monkeypatch) as notebook:
            await until(lambda: notebook.restarts > 1, 60)
            assert notebook.informer.problem is None
            assert len(notebook.secrets(key)) == len(notebook.tokens(key)) == 1
            await objects.delete("entra")
            await until(lambda: bool(notebook.tokens(key, gone=True)), 5)


async def test_when_nothing_can_be_watched_that_is_a_problem_with_its_reason(
    by_namespace: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(_target: WatchTarget) -> Obstacle:
        return Obstacle("not permitted", in_namespace_only=True)

    monkeypatch.setenv("KUBECONFIG", str(by_namespace.kubeconfig))
    settings = load(
        endpoint_url="https://scim.example.com/scim/v2", admin_url="http://unused:1", watch_namespaces="a,b"
    )
    informer = Informer(settings, deliver=Notebook(), find_obstacle=refused, restarted=lambda: None)
    informer.start()
    await until(lambda: informer.unwatched_namespaces() == {"a", "b"})
    assert informer.problem == "not watching yet: not permitted"
    assert await informer.stop(10)


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


async def test_a_scim_webhook_and_its_secret_are_seen_when_they_are_made_changed_and_deleted(
    notebook: Notebook, installed: ControlPlane, objects: Objects
) -> None:
    key, name = Key(objects.namespace, "app"), ("app", "-n", objects.namespace)

    await asyncio.to_thread(applied, installed, webhook_manifest("app", objects.namespace))
    await until(lambda: bool(notebook.webhooks(key)))
    before = notebook.webhooks(key)[-1].fingerprint
    await asyncio.to_thread(installed.kubectl, "annotate", "scw", *name, "scim-operator.io/test=1")
    await until(lambda: notebook.webhooks(key)[-1].fingerprint != before)
    await objects.secret("app-scim-webhook", None, **{MANAGED_BY_LABEL: MANAGED_BY, WEBHOOK_LABEL: "app"})
    await until(lambda: bool(notebook.webhook_secrets(key)))
    await objects.core.delete_namespaced_secret("app-scim-webhook", objects.namespace)
    await until(lambda: bool(notebook.webhook_secrets(key, gone=True)))
    await asyncio.to_thread(installed.kubectl, "delete", "scw", *name)
    await until(lambda: bool(notebook.webhooks(key, gone=True)))
    assert not notebook.tokens(key)


async def test_while_the_crd_of_scimwebhook_is_missing_scimtokens_are_watched_and_they_as_soon_as_it_comes(
    tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As during an upgrade from a release that had no ScimWebhooks."""
    with ControlPlane.start(tools) as plane:
        plane.kubectl("apply", "--server-side", "-f", str(ROOT / "crds/scimtoken.yaml"))
        plane.wait_established("scimtokens.scim-operator.io")
        async with await client_of(plane.kubeconfig) as admin:
            obstacles: list[Obstacle] = []

            async def find_obstacle(target: WatchTarget) -> Obstacle | None:
                found = await WatchAccess(admin).obstacle(target)
                if found is not None:
                    obstacles.append(found)
                return found

            async with watching(plane.kubeconfig, "default", monkeypatch, find_obstacle) as notebook:
                await until(lambda: bool(obstacles))
                assert "kubectl apply -f crds/scimwebhook.yaml" in obstacles[0].reason
                assert notebook.informer.problem is None
                assert notebook.informer.unwatched_namespaces() == frozenset()
                await Objects(admin, "default").token("entra")
                await until(lambda: bool(notebook.tokens(Key("default", "entra"))))
                crd = str(ROOT / "crds/scimwebhook.yaml")
                await asyncio.to_thread(plane.kubectl, "apply", "--server-side", "-f", crd)
                await asyncio.to_thread(plane.wait_established, "scimwebhooks.scim-operator.io")
                await asyncio.to_thread(applied, plane, webhook_manifest("app", "default"))
                await until(lambda: bool(notebook.webhooks(Key("default", "app"))))
                assert notebook.restarts == 0


async def test_a_namespace_in_which_only_scimwebhooks_cannot_be_watched_counts_as_watched(
    installed: ControlPlane, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    async def refused(target: WatchTarget) -> Obstacle | None:
        nonlocal asked
        asked += not target.is_required
        return None if target.is_required else Obstacle("not permitted", in_namespace_only=True)

    async with watching(installed.kubeconfig, namespace, monkeypatch, refused) as notebook:
        await until(lambda: asked > 1)  # so the first answer has arrived
        assert notebook.informer.unwatched_namespaces() == frozenset()


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

"""The key for the admin API on a real API server: made once, kept, and its public half kept published."""

import asyncio
import base64
from collections.abc import AsyncIterator

import pytest
from kubernetes.aio import client, config

from localcluster import ControlPlane
from scim_operator.adapters.admin_key import CONFIG_MAP_NAME, SECRET_NAME, AdminKeyStore
from scim_operator.planning.ports import KubernetesRejected, NotLeading


def allowed() -> None:
    """This process leads."""


def refused() -> None:
    """This process does not lead."""
    raise NotLeading("standing by")


@pytest.fixture
def namespace(quiet_namespace: str) -> str:
    """One where no other test's operator is at work."""
    return quiet_namespace


@pytest.fixture
async def admin_client(installed: ControlPlane) -> AsyncIterator[client.ApiClient]:
    """An administrator's: each test keeps its key in a namespace of its own."""
    async with await config.new_client_from_config(str(installed.kubeconfig)) as api:  # type: ignore[no-untyped-call]
        yield api


@pytest.fixture
def core(admin_client: client.ApiClient) -> client.CoreV1Api:
    return client.CoreV1Api(admin_client)


@pytest.fixture
def store(admin_client: client.ApiClient, namespace: str) -> AdminKeyStore:
    return AdminKeyStore(admin_client, namespace, allowed)


async def test_the_first_start_makes_the_key_and_the_next_ones_keep_it(store: AdminKeyStore) -> None:
    first = await store.ensure()
    assert (await store.ensure()).published == first.published


async def test_the_config_map_holds_the_installation_and_the_public_key_only(
    store: AdminKeyStore, core: client.CoreV1Api, namespace: str
) -> None:
    key = await store.ensure()
    data = (await core.read_namespaced_config_map(CONFIG_MAP_NAME, namespace)).data or {}
    assert data["installation-id"] == key.installation_id
    (name,) = set(data) - {"installation-id"}
    assert name.endswith(".pem")
    assert data[name].startswith("-----BEGIN PUBLIC KEY-----")


async def test_two_that_start_at_once_agree_on_one_key(
    admin_client: client.ApiClient, namespace: str
) -> None:
    stores = [AdminKeyStore(admin_client, namespace, allowed) for _ in range(4)]
    results = await asyncio.gather(*(store.ensure() for store in stores), return_exceptions=True)
    published = [result.published for result in results if not isinstance(result, BaseException)]
    assert published
    assert all(one == published[0] for one in published)
    assert (await stores[0].ensure()).published == published[0]


@pytest.mark.parametrize("damage", ["edited", "added to", "deleted"])
async def test_a_config_map_that_somebody_changed_is_set_right(
    store: AdminKeyStore, core: client.CoreV1Api, namespace: str, damage: str
) -> None:
    key = await store.ensure()
    if damage == "deleted":
        await core.delete_namespaced_config_map(CONFIG_MAP_NAME, namespace)
    else:
        name = "installation-id" if damage == "edited" else "0000000000000000.pem"
        await core.patch_namespaced_config_map(CONFIG_MAP_NAME, namespace, {"data": {name: "an attacker's"}})
    await store.ensure()
    assert (await core.read_namespaced_config_map(CONFIG_MAP_NAME, namespace)).data == key.published


async def test_a_secret_without_a_usable_key_is_left_alone_and_explained(
    store: AdminKeyStore, core: client.CoreV1Api, namespace: str
) -> None:
    await store.ensure()
    broken = {"data": {"private-key.pem": base64.b64encode(b"nonsense").decode()}}
    await core.patch_namespaced_secret(SECRET_NAME, namespace, broken)
    with pytest.raises(KubernetesRejected, match="holds no usable Ed25519 key"):
        await store.ensure()
    data = (await core.read_namespaced_secret(SECRET_NAME, namespace)).data or {}
    assert data["private-key.pem"] == broken["data"]["private-key.pem"]


async def test_who_does_not_lead_writes_nothing(
    admin_client: client.ApiClient, core: client.CoreV1Api, namespace: str
) -> None:
    with pytest.raises(NotLeading):
        await AdminKeyStore(admin_client, namespace, refused).ensure()
    assert not (await core.list_namespaced_secret(namespace)).items


async def test_missing_permissions_are_named(operator_client: client.ApiClient, namespace: str) -> None:
    with pytest.raises(KubernetesRejected, match="needs create on secrets and configmaps"):
        await AdminKeyStore(operator_client, namespace, allowed).ensure()


async def test_the_operators_own_permissions_suffice_in_its_namespace(
    operator_client: client.ApiClient,
) -> None:
    key = await AdminKeyStore(operator_client, "scim-system", allowed).ensure()
    assert "PRIVATE" not in repr(key)

"""The dispatcher's key on a real API server: made once, kept, and read as whoever replaced it wants it."""

import asyncio
import base64
from collections.abc import AsyncIterator

import pytest
from kubernetes.aio import client, config

from localcluster import ControlPlane
from scim_api.contract.sealing import DispatcherKeys, key_id, new_private_key, read_public_key, seal
from scim_operator.adapters.webhook_key import PRIVATE_KEY, SECRET_NAME, WebhookKeyStore
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
async def api(installed: ControlPlane) -> AsyncIterator[client.ApiClient]:
    """An administrator's."""
    async with await config.new_client_from_config(str(installed.kubeconfig)) as api:  # type: ignore[no-untyped-call]
        yield api


async def stored(api: client.ApiClient, namespace: str) -> bytes:
    secret = await client.CoreV1Api(api).read_namespaced_secret(SECRET_NAME, namespace)
    return base64.b64decode((secret.data or {})[PRIVATE_KEY])


async def test_the_first_start_makes_the_key_and_what_is_sealed_to_it_opens_with_what_is_stored(
    api: client.ApiClient, namespace: str
) -> None:
    store = WebhookKeyStore(api, namespace, allowed)
    key = await store.ensure()
    assert key_id(await store.ensure()) == key_id(key)
    opened = DispatcherKeys(await stored(api, namespace)).open(seal("whsec_x", key, "team/app"), "team/app")
    assert opened == "whsec_x"


async def test_two_that_start_at_once_agree_on_one_key(api: client.ApiClient, namespace: str) -> None:
    stores = [WebhookKeyStore(api, namespace, allowed) for _ in range(4)]
    keys = await asyncio.gather(*(store.ensure() for store in stores))
    assert len({key_id(key) for key in keys}) == 1


async def test_who_does_not_lead_makes_none(api: client.ApiClient, namespace: str) -> None:
    with pytest.raises(NotLeading):
        await WebhookKeyStore(api, namespace, refused).ensure()
    with pytest.raises(client.ApiException):
        await stored(api, namespace)


async def test_of_several_keys_the_first_is_the_one_to_seal_to(api: client.ApiClient, namespace: str) -> None:
    store = WebhookKeyStore(api, namespace, allowed)
    await store.ensure()
    new = new_private_key()
    await put(api, namespace, new + await stored(api, namespace))
    assert key_id(await store.ensure()) == key_id(read_public_key(new))


@pytest.mark.parametrize(
    "content", [b"", b"hunter2", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"]
)
async def test_what_is_no_key_is_told_and_left_as_it_is(
    api: client.ApiClient, namespace: str, content: bytes
) -> None:
    store = WebhookKeyStore(api, namespace, allowed)
    await store.ensure()
    await put(api, namespace, content)
    with pytest.raises(KubernetesRejected, match="holds no usable X25519 key") as error:
        await store.ensure()
    assert "hunter2" not in str(error.value)
    assert await stored(api, namespace) == content


async def put(api: client.ApiClient, namespace: str, content: bytes) -> None:
    body = {"data": {PRIVATE_KEY: base64.b64encode(content).decode()}}
    await client.CoreV1Api(api).patch_namespaced_secret(SECRET_NAME, namespace, body)

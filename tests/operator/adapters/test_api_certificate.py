"""The API's certificate on a real API server: issued by the operator, renewed in time, mended when somebody edits it."""

import base64
import datetime as dt
import socket
import ssl
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from kubernetes.aio import client, config

from localcluster import ControlPlane
from scim_operator.adapters import api_certificate
from scim_operator.adapters.api_certificate import ApiCertificateStore, client_context, is_good, issue, trust
from scim_operator.planning.ports import KubernetesRejected, NotLeading
from scim_operator.settings import OperatorSettings
from support.installed import client_of

NOW = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
HOST = "scim-api-internal.scim-system.svc"
NAME = "scim-operator-api-tls"
KEY = Ed25519PrivateKey.generate()


def allowed() -> None:
    """This process leads."""


def refused() -> None:
    """This process does not lead."""
    raise NotLeading("standing by")


# -- pure ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("host", [HOST, "127.0.0.1", "::1"])
def test_what_is_issued_is_good_until_thirty_days_before_its_end(host: str) -> None:
    data = issue(KEY, host, NOW)
    assert is_good(data, KEY.public_key(), host, NOW)
    assert is_good(data, KEY.public_key(), host, NOW + 59 * DAY)
    assert not is_good(data, KEY.public_key(), host, NOW + 60 * DAY)
    assert not is_good(data, KEY.public_key(), host, NOW - DAY)


def test_another_host_another_authority_or_a_foreign_key_is_not_good() -> None:
    data, other = issue(KEY, HOST, NOW), issue(KEY, HOST, NOW)
    assert not is_good(data, KEY.public_key(), "other.svc", NOW)
    assert not is_good(data, Ed25519PrivateKey.generate().public_key(), HOST, NOW)
    assert not is_good({**data, "tls.key": other["tls.key"]}, KEY.public_key(), HOST, NOW)


@pytest.mark.parametrize("part", ["tls.crt", "tls.key"])
@pytest.mark.parametrize("content", [None, b"", b"garbage", b"\xff\xfe"])
def test_what_is_missing_or_damaged_is_not_good(part: str, content: bytes | None) -> None:
    data = issue(KEY, HOST, NOW)
    if content is None:
        del data[part]
    else:
        data[part] = content
    assert not is_good(data, KEY.public_key(), HOST, NOW)


def shake_hands(tmp_path: Path, served: dict[str, bytes], context: ssl.SSLContext, host: str) -> None:
    """A client and a server of the standard library. Raises ``ssl.SSLError``."""
    for name, content in served.items():
        (tmp_path / name).write_bytes(content)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    here, there = socket.socketpair()

    def serve() -> None:
        try:
            server.wrap_socket(there, server_side=True).close()
        except OSError:
            there.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        context.wrap_socket(here, server_hostname=host).close()
    finally:
        here.close()
        thread.join()


@pytest.mark.parametrize("strict", [False, True])
def test_a_strict_client_takes_it_and_no_other_host_or_authority(tmp_path: Path, *, strict: bool) -> None:
    now = dt.datetime.now(dt.UTC)
    context = client_context()
    if strict:  # the default from Python 3.13 on
        context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(tmp_path, issue(KEY, HOST, now), context, HOST)
    trust(context, KEY)
    shake_hands(tmp_path, issue(KEY, HOST, now), context, HOST)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(tmp_path, issue(KEY, HOST, now), context, "other.svc")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(tmp_path, issue(Ed25519PrivateKey.generate(), HOST, now), context, HOST)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(tmp_path, issue(KEY, HOST, now - 91 * DAY), context, HOST)


# -- with Kubernetes ------------------------------------------------------------------------------------
@pytest.fixture
async def admin_client(installed: ControlPlane) -> AsyncIterator[client.ApiClient]:
    async with await config.new_client_from_config(str(installed.kubeconfig)) as api:  # type: ignore[no-untyped-call]
        yield api


@pytest.fixture
def core(admin_client: client.ApiClient) -> client.CoreV1Api:
    return client.CoreV1Api(admin_client)


class Store:
    """The store, at a time of the test's own."""

    def __init__(self, api: client.ApiClient, namespace: str) -> None:
        self.now = NOW
        self.api, self.settings = api, OperatorSettings(
            endpoint_url="https://scim.example.com/scim/v2",
            admin_url=f"https://{HOST}:8443",
            namespace=namespace,
            api_tls_secret=NAME,
        )  # fmt: skip
        self.guard = allowed

    async def ensure(self, key: Ed25519PrivateKey = KEY) -> None:
        store = ApiCertificateStore(
            self.api, self.settings, context=client_context(), guard=self.guard, clock=lambda: self.now
        )
        await store.ensure(key)


@pytest.fixture
def store(admin_client: client.ApiClient, quiet_namespace: str) -> Store:
    return Store(admin_client, quiet_namespace)


async def read(core: client.CoreV1Api, namespace: str) -> tuple[str, dict[str, bytes]]:
    secret = await core.read_namespaced_secret(NAME, namespace)
    assert secret.type == "kubernetes.io/tls"
    assert secret.metadata is not None
    data = {name: base64.b64decode(value) for name, value in (secret.data or {}).items()}
    return secret.metadata.resource_version or "", data


async def test_it_is_issued_once_and_kept(store: Store, core: client.CoreV1Api, quiet_namespace: str) -> None:
    await store.ensure()
    first, data = await read(core, quiet_namespace)
    assert is_good(data, KEY.public_key(), HOST, NOW)
    store.now += 59 * DAY
    await store.ensure()
    assert (await read(core, quiet_namespace))[0] == first


async def test_it_is_renewed_before_its_end_and_after_a_new_key(
    store: Store, core: client.CoreV1Api, quiet_namespace: str
) -> None:
    await store.ensure()
    first, _ = await read(core, quiet_namespace)
    store.now += 61 * DAY
    await store.ensure()
    second, data = await read(core, quiet_namespace)
    assert second != first
    assert is_good(data, KEY.public_key(), HOST, store.now)
    another = Ed25519PrivateKey.generate()
    await store.ensure(another)
    assert is_good((await read(core, quiet_namespace))[1], another.public_key(), HOST, store.now)


@pytest.mark.parametrize("part", ["tls.crt", "tls.key"])
async def test_an_edited_secret_is_mended(
    store: Store, core: client.CoreV1Api, quiet_namespace: str, part: str
) -> None:
    await store.ensure()
    garbage = base64.b64encode(b"garbage").decode()
    await core.patch_namespaced_secret(NAME, quiet_namespace, {"data": {part: garbage}})
    await store.ensure()
    assert is_good((await read(core, quiet_namespace))[1], KEY.public_key(), HOST, NOW)


async def test_who_does_not_lead_writes_nothing(
    store: Store, core: client.CoreV1Api, quiet_namespace: str
) -> None:
    store.guard = refused
    with pytest.raises(NotLeading):
        await store.ensure()
    assert (await core.list_namespaced_secret(quiet_namespace)).items == []
    store.guard = allowed
    await store.ensure()
    store.guard = refused
    await store.ensure()


async def test_without_the_right_the_reason_names_it(installed: ControlPlane, quiet_namespace: str) -> None:
    installed.kubectl("create", "serviceaccount", "nobody", "-n", quiet_namespace)
    kubeconfig = installed.service_account_kubeconfig(quiet_namespace, "nobody")
    async with await client_of(kubeconfig) as nobody:
        with pytest.raises(KubernetesRejected, match="create on secrets there, and get and update"):
            await Store(nobody, quiet_namespace).ensure()


def test_the_authority_is_made_anew_each_time_and_signs_alike(tmp_path: Path) -> None:
    context = client_context()
    for _ in range(3):
        trust(context, KEY)  # each comparison with the API does it again
    assert len(context.get_ca_certs()) == 1
    shake_hands(tmp_path, issue(KEY, HOST, dt.datetime.now(dt.UTC)), context, HOST)
    assert api_certificate.authority(KEY).subject == api_certificate.authority(KEY).issuer

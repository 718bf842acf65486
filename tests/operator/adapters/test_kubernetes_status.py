"""Status, finalizers, Events and refusals, on a real API server."""

import asyncio
import base64
import logging
from collections.abc import Callable
from typing import Any

import pytest
from kubernetes.aio import client

from localcluster import ControlPlane
from scim_api.contract.tokens import new_token
from scim_operator.adapters.events import EventRecorder
from scim_operator.adapters.kubernetes import KubernetesCluster
from scim_operator.api.scimtoken import FINALIZER, ScimToken
from scim_operator.planning.ports import (
    Conflict,
    KubernetesRejected,
    KubernetesUnreachable,
    NotLeading,
    SecretSnapshot,
)
from support.installed import applied, client_of, manifest
from support.kubernetes_adapter import Leadership, cluster, draft, leadership, owner, scimtoken_object

__all__ = ["cluster", "leadership", "owner"]

UNTOLD = {"observedGeneration": -1}
"""What the CRD itself says of an object about which nobody has told anything yet."""
STATUS = {
    "endpoint": "https://scim.example.com/scim/v2",
    "conditions": [
        {
            "type": "Ready",
            "status": "True",
            "reason": "Published",
            "message": "m",
            "lastTransitionTime": "2026-11-01T00:00:00Z",
        }
    ],
    "users": 3,
}


async def test_the_same_status_again_writes_nothing(
    cluster: KubernetesCluster, owner: ScimToken, installed: ControlPlane
) -> None:
    await cluster.apply_status(owner, STATUS)
    first = scimtoken_object(installed, owner)
    await cluster.apply_status(owner, STATUS)
    second = scimtoken_object(installed, owner)
    assert first["status"] == UNTOLD | STATUS
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    assert second["metadata"]["generation"] == owner.metadata.generation


async def test_a_status_replaces_the_one_before_as_a_whole(
    cluster: KubernetesCluster, owner: ScimToken, installed: ControlPlane
) -> None:
    await cluster.apply_status(owner, STATUS | {"tenant": "contoso"})
    await cluster.apply_status(owner, {"users": 4})
    assert scimtoken_object(installed, owner)["status"] == UNTOLD | {"users": 4}


HANDED_OVER = {
    "type": "HandedOver",
    "status": "True",
    "reason": "InUse",
    "message": "m",
    "lastTransitionTime": "2026-11-01T00:00:00Z",
}


async def test_entras_part_of_the_status_and_the_rest_leave_each_other_alone(
    cluster: KubernetesCluster, owner: ScimToken, installed: ControlPlane
) -> None:
    entra = {"entra": {"jobID": "scim.1"}, "conditions": [HANDED_OVER]}
    await cluster.apply_status(owner, STATUS)
    await cluster.apply_entra_status(owner, entra)
    await cluster.apply_status(owner, STATUS | {"users": 4})
    both = STATUS | {"users": 4} | entra | {"conditions": [*STATUS["conditions"], HANDED_OVER]}  # type: ignore[misc]
    assert scimtoken_object(installed, owner)["status"] == UNTOLD | both
    await cluster.apply_status(owner, {"users": 5})
    assert scimtoken_object(installed, owner)["status"] == UNTOLD | {"users": 5} | entra
    await cluster.apply_entra_status(owner, {})
    assert scimtoken_object(installed, owner)["status"] == UNTOLD | {"users": 5}


async def test_a_status_never_creates_a_scimtoken(
    cluster: KubernetesCluster, owner: ScimToken, installed: ControlPlane
) -> None:
    installed.kubectl("delete", "sct", "entra", "-n", owner.metadata.namespace)
    with pytest.raises(Conflict):
        await cluster.apply_status(owner, STATUS)
    assert await cluster.token(owner.key) is None


async def test_the_finalizer_comes_and_goes_beside_those_of_others(
    cluster: KubernetesCluster, installed: ControlPlane, quiet_namespace: str
) -> None:
    body = manifest("entra", quiet_namespace, finalizers=["example.com/theirs"])
    owner = ScimToken.from_object(applied(installed, body))
    await cluster.set_finalizer(owner, present=True)
    with_ours = await cluster.token(owner.key)
    assert with_ours is not None
    assert with_ours.metadata.finalizers == ("example.com/theirs", FINALIZER)
    await cluster.set_finalizer(with_ours, present=False)
    without = await cluster.token(owner.key)
    assert without is not None
    assert without.metadata.finalizers == ("example.com/theirs",)
    installed.kubectl(
        "patch",
        "sct",
        "entra",
        "-n",
        quiet_namespace,
        "--type=merge",
        "-p",
        '{"metadata":{"finalizers":null}}',
    )


async def test_a_finalizer_that_is_right_already_is_not_written(
    cluster: KubernetesCluster, owner: ScimToken, leadership: Leadership
) -> None:
    await cluster.set_finalizer(owner, present=False)
    assert leadership.asked == 0


async def test_a_finalizer_is_not_written_over_a_change(
    cluster: KubernetesCluster, owner: ScimToken, installed: ControlPlane
) -> None:
    installed.kubectl("annotate", "sct", "entra", "x=y", "-n", owner.metadata.namespace)
    with pytest.raises(Conflict):
        await cluster.set_finalizer(owner, present=True)


Write = Callable[[KubernetesCluster, ScimToken, SecretSnapshot], Any]
WRITES: dict[str, Write] = {
    "create_secret": lambda c, o, p: c.create_secret(o, draft(o, name="new")),
    "replace_secret": lambda c, o, p: c.replace_secret(o, draft(o), p),
    "delete_secret": lambda c, o, p: c.delete_secret(o, p.name, resource_version=p.resource_version),
    "apply_status": lambda c, o, p: c.apply_status(o, STATUS),
    "set_finalizer": lambda c, o, p: c.set_finalizer(o, present=True),
}


@pytest.mark.parametrize("name", sorted(WRITES))
async def test_who_does_not_lead_writes_nothing(
    cluster: KubernetesCluster, owner: ScimToken, leadership: Leadership, installed: ControlPlane, name: str
) -> None:
    present = await cluster.create_secret(owner, draft(owner))
    leadership.leading = False
    with pytest.raises(NotLeading):
        await WRITES[name](cluster, owner, present)
    assert await cluster.secret(owner, "entra-scim-token") == present
    assert await cluster.secret(owner, "new") is None
    assert await cluster.token(owner.key) == owner


async def test_who_does_not_lead_records_no_event_and_hears_no_complaint(
    cluster: KubernetesCluster, owner: ScimToken, leadership: Leadership, installed: ControlPlane
) -> None:
    leadership.leading = False
    await cluster.event(owner, "Normal", "Issued", "m")
    assert installed.kubectl("get", "events", "-n", owner.metadata.namespace, "-o", "name").stdout == ""


async def test_what_is_forbidden_is_refused_with_the_servers_words(
    installed: ControlPlane, owner: ScimToken, leadership: Leadership
) -> None:
    installed.kubectl("create", "serviceaccount", "nobody", "-n", owner.metadata.namespace)
    kubeconfig = installed.service_account_kubeconfig(owner.metadata.namespace, "nobody")
    async with await client_of(kubeconfig) as nobody:
        cluster = KubernetesCluster(nobody, leadership, EventRecorder(nobody))
        with pytest.raises(KubernetesRejected, match=r"cannot get resource .secrets"):
            await cluster.secret(owner, "entra-scim-token")


async def test_a_refused_secret_tells_why_and_shows_no_data(
    cluster: KubernetesCluster, owner: ScimToken, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    token = new_token()
    wrong = draft(owner, data={"token": token, f"no key {token}": "plain-text-value"})
    with pytest.raises(KubernetesRejected) as caught:
        await cluster.create_secret(owner, wrong)
    error = caught.value
    assert "creating Secret entra-scim-token" in str(error)
    assert "Invalid value" in str(error)
    assert error.__cause__ is None
    assert error.__suppress_context__
    for text in (str(error), repr(wrong), caplog.text):
        assert token not in text
        assert base64.b64encode(token.encode()).decode() not in text


async def test_a_server_that_is_gone_is_unreachable(
    installed: ControlPlane, owner: ScimToken, leadership: Leadership
) -> None:
    nowhere = client.Configuration(host="http://127.0.0.1:9")
    async with client.ApiClient(nowhere) as api_client:
        cluster = KubernetesCluster(api_client, leadership, EventRecorder(api_client))
        with pytest.raises(KubernetesUnreachable, match="reading ScimToken"):
            await cluster.token(owner.key)
        with pytest.raises(KubernetesUnreachable, match="creating Secret"):
            await cluster.create_secret(owner, draft(owner))


async def test_a_server_that_never_answers_is_left_after_the_time_limit(
    owner: ScimToken, leadership: Leadership, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    monkeypatch.setattr("scim_operator.adapters.kubernetes.CALL_TIMEOUT", 0.2)
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with client.ApiClient(client.Configuration(host=f"http://127.0.0.1:{port}")) as api_client:
            cluster = KubernetesCluster(api_client, leadership, EventRecorder(api_client))
            with pytest.raises(KubernetesUnreachable, match="no answer"):
                await asyncio.wait_for(cluster.secret(owner, "x"), 5)

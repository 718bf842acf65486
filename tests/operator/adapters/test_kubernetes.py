"""``KubeCluster`` on a real API server, with the operator's own ServiceAccount."""

import asyncio
import base64
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from kubernetes.aio import client

from localcluster import ControlPlane
from scim_api.contract.tokens import new_token
from scim_operator.adapters.events import EventRecorder
from scim_operator.adapters.kubernetes import KubernetesCluster
from scim_operator.api.scimtoken import FINALIZER, TOKENS_ANNOTATION, Key, ScimToken
from scim_operator.planning.ports import (
    Conflict,
    KubernetesRejected,
    KubernetesUnreachable,
    NotLeading,
    SecretDraft,
)
from support.installed import applied, client_of, manifest

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


class Leadership:
    """Whether this process leads, for ``guard``."""

    def __init__(self) -> None:
        self.leading = True
        self.asked = 0

    def __call__(self) -> None:
        self.asked += 1
        if not self.leading:
            raise NotLeading("lost")


@pytest.fixture
def leadership() -> Leadership:
    return Leadership()


@pytest.fixture
def cluster(operator_client: client.ApiClient, leadership: Leadership) -> KubernetesCluster:
    return KubernetesCluster(operator_client, leadership, EventRecorder(operator_client))


@pytest.fixture
def owner(installed: ControlPlane, quiet_namespace: str) -> ScimToken:
    """A ScimToken with labels of a GitOps tool."""
    labels = {"argocd.argoproj.io/instance": "prod", "app.kubernetes.io/instance": "prod"}
    return ScimToken.from_object(applied(installed, manifest("entra", quiet_namespace, labels=labels)))


def draft(owner: ScimToken, **changes: Any) -> SecretDraft:
    values: dict[str, Any] = {
        "name": "entra-scim-token",
        "data": {"endpoint": "https://scim.example.com/scim/v2", "token": "one", "token-id": "1"},
        "labels": owner.secret_labels(),
        "annotations": {TOKENS_ANNOTATION: "[]"},
    }
    return SecretDraft(**(values | changes))


def secret_object(
    installed: ControlPlane, owner: ScimToken, name: str = "entra-scim-token"
) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        installed.kubectl("get", "secret", name, "-n", owner.metadata.namespace, "-o", "json").stdout
    )
    return found


def scimtoken_object(installed: ControlPlane, owner: ScimToken) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        installed.kubectl("get", "sct", "entra", "-n", owner.metadata.namespace, "-o", "json").stdout
    )
    return found


async def test_a_scimtoken_is_read_as_it_is_now(cluster: KubernetesCluster, owner: ScimToken) -> None:
    assert await cluster.token(owner.key) == owner


async def test_a_scimtoken_that_is_gone_is_none(cluster: KubernetesCluster, quiet_namespace: str) -> None:
    assert await cluster.token(Key(quiet_namespace, "nobody")) is None


async def test_a_secret_that_is_not_there_is_none(cluster: KubernetesCluster, owner: ScimToken) -> None:
    assert await cluster.secret(owner, "entra-scim-token") is None


async def test_a_created_secret_is_owned_opaque_and_readable(
    cluster: KubernetesCluster, owner: ScimToken, installed: ControlPlane
) -> None:
    created = await cluster.create_secret(owner, draft(owner))
    assert created == await cluster.secret(owner, "entra-scim-token")
    assert created.owned
    assert not created.deleting
    assert created.data == {"endpoint": "https://scim.example.com/scim/v2", "token": "one", "token-id": "1"}
    stored = secret_object(installed, owner)
    assert stored["type"] == "Opaque"
    assert stored["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "scim-operator.io/v1alpha1",
            "kind": "ScimToken",
            "name": "entra",
            "uid": owner.metadata.uid,
            "controller": True,
        }
    ]


async def test_labels_of_gitops_tools_are_not_copied(
    cluster: KubernetesCluster, owner: ScimToken, installed: ControlPlane
) -> None:
    await cluster.create_secret(owner, draft(owner))
    assert secret_object(installed, owner)["metadata"]["labels"] == {
        "app.kubernetes.io/managed-by": "scim-operator",
        "scim-operator.io/token": "entra",
    }


async def test_a_secret_created_meanwhile_by_somebody_means_again(
    cluster: KubernetesCluster, owner: ScimToken
) -> None:
    await cluster.create_secret(owner, draft(owner))
    with pytest.raises(Conflict):
        await cluster.create_secret(owner, draft(owner))


async def test_no_secret_is_created_for_a_scimtoken_under_deletion(
    cluster: KubernetesCluster, owner: ScimToken
) -> None:
    metadata = owner.metadata.model_copy(update={"deletion_timestamp": "2026-11-01T00:00:00Z"})
    with pytest.raises(KubernetesRejected, match="being deleted"):
        await cluster.create_secret(owner.model_copy(update={"metadata": metadata}), draft(owner))
    assert await cluster.secret(owner, "entra-scim-token") is None


async def test_a_replaced_secret_has_the_new_data_and_nothing_of_the_old(
    cluster: KubernetesCluster, owner: ScimToken
) -> None:
    data = {"token": "one", "next-token": "two"}
    first = await cluster.create_secret(owner, draft(owner, data=data))
    second = await cluster.replace_secret(
        owner, draft(owner, data={"token": "two"}), resource_version=first.resource_version
    )
    assert second.data == {"token": "two"}
    assert second == await cluster.secret(owner, "entra-scim-token")


async def test_a_late_write_changes_nothing(cluster: KubernetesCluster, owner: ScimToken) -> None:
    first = await cluster.create_secret(owner, draft(owner))
    second = await cluster.replace_secret(
        owner, draft(owner, data={"token": "two"}), resource_version=first.resource_version
    )
    with pytest.raises(Conflict):
        await cluster.replace_secret(
            owner, draft(owner, data={"token": "late"}), resource_version=first.resource_version
        )
    assert await cluster.secret(owner, "entra-scim-token") == second


async def test_two_writes_at_the_same_version_let_only_one_through(
    cluster: KubernetesCluster, owner: ScimToken
) -> None:
    first = await cluster.create_secret(owner, draft(owner))
    outcomes = await asyncio.gather(
        *(
            cluster.replace_secret(
                owner, draft(owner, data={"token": t}), resource_version=first.resource_version
            )
            for t in ("a", "b", "c", "d")
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 3


async def test_what_others_put_on_the_secret_stays_and_what_we_no_longer_want_goes(
    cluster: KubernetesCluster, owner: ScimToken, installed: ControlPlane
) -> None:
    labels = owner.secret_labels()
    wanted = draft(
        owner, labels=labels | {"team": "hr"}, annotations={TOKENS_ANNOTATION: "[]", "mirror": "yes"}
    )
    await cluster.create_secret(owner, wanted)
    where = ("-n", owner.metadata.namespace)
    installed.kubectl("label", "secret", "entra-scim-token", "theirs=1", *where)
    installed.kubectl("annotate", "secret", "entra-scim-token", "theirs=2", *where)
    present = await cluster.secret(owner, "entra-scim-token")
    assert present is not None
    written = await cluster.replace_secret(owner, draft(owner), resource_version=present.resource_version)
    assert written.labels == labels | {"theirs": "1"}
    assert written.annotations == {TOKENS_ANNOTATION: "[]", "theirs": "2"}


async def test_a_secret_of_somebody_else_is_seen_as_such_and_never_written(
    cluster: KubernetesCluster, owner: ScimToken, installed: ControlPlane
) -> None:
    installed.kubectl(
        "create",
        "secret",
        "generic",
        "entra-scim-token",
        "--from-literal=k=v",
        "-n",
        owner.metadata.namespace,
    )
    found = await cluster.secret(owner, "entra-scim-token")
    assert found is not None
    assert not found.owned
    with pytest.raises(KubernetesRejected, match="does not belong"):
        await cluster.replace_secret(owner, draft(owner), resource_version=found.resource_version)
    assert await cluster.secret(owner, "entra-scim-token") == found


async def test_a_secret_of_an_earlier_scimtoken_of_the_same_name_is_not_ours(
    cluster: KubernetesCluster, owner: ScimToken
) -> None:
    await cluster.create_secret(owner, draft(owner))
    metadata = owner.metadata.model_copy(update={"uid": "another"})
    found = await cluster.secret(owner.model_copy(update={"metadata": metadata}), "entra-scim-token")
    assert found is not None
    assert not found.owned


async def test_values_that_are_no_text_are_left_out(
    cluster: KubernetesCluster, owner: ScimToken, installed: ControlPlane
) -> None:
    await cluster.create_secret(owner, draft(owner))
    patch = json.dumps({"data": {"token": base64.b64encode(b"\xff\xfe").decode()}})
    installed.kubectl("patch", "secret", "entra-scim-token", "-n", owner.metadata.namespace, "-p", patch)
    found = await cluster.secret(owner, "entra-scim-token")
    assert found is not None
    assert set(found.data) == {"endpoint", "token-id"}


async def test_secrets_under_other_names_are_found_and_deleted_at_their_version(
    cluster: KubernetesCluster, owner: ScimToken, installed: ControlPlane
) -> None:
    old = await cluster.create_secret(owner, draft(owner, name="old"))
    await cluster.create_secret(owner, draft(owner, name="wanted"))
    installed.kubectl("create", "secret", "generic", "foreign", "-n", owner.metadata.namespace)
    installed.kubectl(
        "label", "secret", "foreign", "scim-operator.io/token=entra", "-n", owner.metadata.namespace
    )
    assert await cluster.other_secrets(owner, "wanted") == [old]
    with pytest.raises(Conflict):
        await cluster.delete_secret(owner, "old", resource_version="1")
    await cluster.delete_secret(owner, "old", resource_version=old.resource_version)
    await cluster.delete_secret(owner, "old", resource_version=old.resource_version)
    assert await cluster.other_secrets(owner, "wanted") == []


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


Write = Callable[[KubernetesCluster, ScimToken, str], Any]
WRITES: dict[str, Write] = {
    "create_secret": lambda c, o, v: c.create_secret(o, draft(o, name="new")),
    "replace_secret": lambda c, o, v: c.replace_secret(o, draft(o), resource_version=v),
    "delete_secret": lambda c, o, v: c.delete_secret(o, "entra-scim-token", resource_version=v),
    "apply_status": lambda c, o, v: c.apply_status(o, STATUS),
    "set_finalizer": lambda c, o, v: c.set_finalizer(o, present=True),
}


@pytest.mark.parametrize("name", sorted(WRITES))
async def test_who_does_not_lead_writes_nothing(
    cluster: KubernetesCluster, owner: ScimToken, leadership: Leadership, installed: ControlPlane, name: str
) -> None:
    present = await cluster.create_secret(owner, draft(owner))
    leadership.leading = False
    with pytest.raises(NotLeading):
        await WRITES[name](cluster, owner, present.resource_version)
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

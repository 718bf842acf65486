"""``KubeCluster`` on a real API server, with the operator's own ServiceAccount."""

import asyncio
import base64
import json

import pytest

from localcluster import ControlPlane
from scim_operator.adapters.kubernetes import KubernetesCluster
from scim_operator.api.custom_object import Key
from scim_operator.api.scimtoken import TOKENS_ANNOTATION, ScimToken
from scim_operator.planning.ports import (
    Conflict,
    KubernetesRejected,
)
from support.kubernetes_adapter import cluster, draft, leadership, owner, secret_object

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
    second = await cluster.replace_secret(owner, draft(owner, data={"token": "two"}), first)
    assert second.data == {"token": "two"}
    assert second == await cluster.secret(owner, "entra-scim-token")


async def test_a_late_write_changes_nothing(cluster: KubernetesCluster, owner: ScimToken) -> None:
    first = await cluster.create_secret(owner, draft(owner))
    second = await cluster.replace_secret(owner, draft(owner, data={"token": "two"}), first)
    with pytest.raises(Conflict):
        await cluster.replace_secret(owner, draft(owner, data={"token": "late"}), first)
    assert await cluster.secret(owner, "entra-scim-token") == second


async def test_two_writes_at_the_same_version_let_only_one_through(
    cluster: KubernetesCluster, owner: ScimToken
) -> None:
    first = await cluster.create_secret(owner, draft(owner))
    outcomes = await asyncio.gather(
        *(
            cluster.replace_secret(owner, draft(owner, data={"token": t}), first)
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
    written = await cluster.replace_secret(owner, draft(owner), present)
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
        await cluster.replace_secret(owner, draft(owner), found)
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
    assert found.undecoded == {"token"}
    written = await cluster.replace_secret(owner, draft(owner, data={"token-id": "2"}), found)
    assert set(written.data) == {"token-id"}, "and removed when they are not wanted"
    assert not written.undecoded


async def test_secrets_under_other_names_are_found_by_label_and_deleted_at_their_version(
    cluster: KubernetesCluster, owner: ScimToken, installed: ControlPlane
) -> None:
    old = await cluster.create_secret(owner, draft(owner, name="old"))
    await cluster.create_secret(owner, draft(owner, name="wanted"))
    installed.kubectl("create", "secret", "generic", "foreign", "-n", owner.metadata.namespace)
    installed.kubectl("create", "secret", "generic", "restored", "-n", owner.metadata.namespace)
    installed.kubectl(
        "label", "secret", "restored", "scim-operator.io/token=entra", "-n", owner.metadata.namespace
    )
    found = await cluster.other_secrets(owner, "wanted")
    assert [(item.name, item.owned) for item in found] == [("old", True), ("restored", False)]
    assert old in found
    with pytest.raises(Conflict):
        await cluster.delete_secret(owner, "old", resource_version="1")
    await cluster.delete_secret(owner, "old", resource_version=old.resource_version)
    await cluster.delete_secret(owner, "old", resource_version=old.resource_version)
    assert [item.name for item in await cluster.other_secrets(owner, "wanted")] == ["restored"]

"""Whose a Secret is, as a real API server has it, and how one is adopted; with the operator's ServiceAccount."""

import json
from typing import Any

import pytest

from localcluster import ControlPlane
from scim_operator.adapters.kubernetes import KubernetesCluster
from scim_operator.api.scimtoken import TOKENS_ANNOTATION, ScimToken
from scim_operator.planning.ports import Conflict, NotLeading, SecretSnapshot
from support.kubernetes_adapter import Leadership, cluster, draft, leadership, owner, secret_object

__all__ = ["cluster", "leadership", "owner"]

NAME = "entra-scim-token"


def scimtoken_reference(uid: str, **changes: Any) -> dict[str, Any]:
    """An ownerReference to a ScimToken."""
    reference = {
        "apiVersion": "scim-operator.io/v1alpha1", "kind": "ScimToken", "name": "entra", "uid": uid,
        "controller": True,
    }  # fmt: skip
    return reference | changes


def with_references(installed: ControlPlane, owner: ScimToken, references: list[dict[str, Any]]) -> None:
    """Give the Secret these ownerReferences and no others."""
    patch = json.dumps({"metadata": {"ownerReferences": references or None}})
    installed.kubectl("patch", "secret", NAME, "-n", owner.metadata.namespace, "--type=merge", "-p", patch)


def config_map_reference(installed: ControlPlane, owner: ScimToken, **changes: Any) -> dict[str, Any]:
    """An ownerReference to a ConfigMap that is there."""
    where = ("-n", owner.metadata.namespace)
    installed.kubectl("create", "configmap", "theirs", *where)
    uid = installed.kubectl("get", "configmap", "theirs", *where, "-o", "jsonpath={.metadata.uid}").stdout
    return {"apiVersion": "v1", "kind": "ConfigMap", "name": "theirs", "uid": uid} | changes


async def seen(cluster: KubernetesCluster, owner: ScimToken) -> SecretSnapshot:
    found = await cluster.secret(owner, NAME)
    assert found is not None
    return found


async def test_a_secret_without_owner_references_is_nobodys_and_is_adopted_as_it_is(
    cluster: KubernetesCluster, owner: ScimToken, installed: ControlPlane
) -> None:
    await cluster.create_secret(owner, draft(owner))
    with_references(installed, owner, [])
    found = await seen(cluster, owner)
    assert (found.owned, found.controller, found.former_owner) == (False, None, False)
    before = secret_object(installed, owner)
    adopted = await cluster.adopt_secret(owner, found)
    assert adopted == await seen(cluster, owner)
    assert adopted.owned
    after = secret_object(installed, owner)
    assert after["metadata"]["ownerReferences"] == [scimtoken_reference(owner.metadata.uid)]
    for part in ("labels", "annotations"):
        assert after["metadata"][part] == before["metadata"][part]
    assert (after["data"], after["type"]) == (before["data"], before["type"])
    again = await cluster.replace_secret(owner, draft(owner), adopted)
    assert again.owned


async def test_an_adoption_keeps_other_owners_and_labels(
    cluster: KubernetesCluster, owner: ScimToken, installed: ControlPlane
) -> None:
    await cluster.create_secret(owner, draft(owner))
    theirs = config_map_reference(installed, owner)
    with_references(installed, owner, [theirs])
    installed.kubectl("label", "secret", NAME, "theirs=1", "-n", owner.metadata.namespace)
    adopted = await cluster.adopt_secret(owner, await seen(cluster, owner))
    assert adopted.labels["theirs"] == "1"
    references = secret_object(installed, owner)["metadata"]["ownerReferences"]
    assert sorted(item["kind"] for item in references) == ["ConfigMap", "ScimToken"]


async def test_an_owner_reference_that_no_longer_says_controller_is_put_right(
    cluster: KubernetesCluster, owner: ScimToken, installed: ControlPlane
) -> None:
    await cluster.create_secret(owner, draft(owner))
    with_references(installed, owner, [scimtoken_reference(owner.metadata.uid, controller=False)])
    found = await seen(cluster, owner)
    assert (found.owned, found.controller, found.former_owner) == (False, None, False)
    assert (await cluster.adopt_secret(owner, found)).owned
    [reference] = secret_object(installed, owner)["metadata"]["ownerReferences"]
    assert reference == scimtoken_reference(owner.metadata.uid)


async def test_another_controller_is_named(
    cluster: KubernetesCluster, owner: ScimToken, installed: ControlPlane
) -> None:
    await cluster.create_secret(owner, draft(owner))
    with_references(installed, owner, [config_map_reference(installed, owner, controller=True)])
    found = await seen(cluster, owner)
    assert (found.owned, found.controller) == (False, "ConfigMap theirs")


@pytest.mark.parametrize("controller", [True, False])
async def test_an_earlier_scim_token_of_the_name_is_told_by_its_uid(
    cluster: KubernetesCluster, owner: ScimToken, installed: ControlPlane, controller: bool
) -> None:
    created = await cluster.create_secret(owner, draft(owner))
    with_references(installed, owner, [scimtoken_reference(owner.metadata.uid, controller=controller)])
    metadata = owner.metadata.model_copy(update={"uid": "of-a-later-one"})
    later = owner.model_copy(update={"metadata": metadata})
    found = await seen(cluster, later)
    assert (created.former_owner, found.former_owner, found.owned) == (False, True, False)


async def test_an_adoption_at_an_older_version_changes_nothing(
    cluster: KubernetesCluster, owner: ScimToken, installed: ControlPlane
) -> None:
    await cluster.create_secret(owner, draft(owner))
    with_references(installed, owner, [])
    found = await seen(cluster, owner)
    installed.kubectl("label", "secret", NAME, "theirs=1", "-n", owner.metadata.namespace)
    before = await seen(cluster, owner)
    with pytest.raises(Conflict):
        await cluster.adopt_secret(owner, found)
    installed.kubectl("delete", "secret", NAME, "-n", owner.metadata.namespace)
    with pytest.raises(Conflict):
        await cluster.adopt_secret(owner, before)
    assert await cluster.secret(owner, NAME) is None


async def test_nothing_is_adopted_without_leadership(
    cluster: KubernetesCluster, owner: ScimToken, installed: ControlPlane, leadership: Leadership
) -> None:
    await cluster.create_secret(owner, draft(owner))
    with_references(installed, owner, [])
    found = await seen(cluster, owner)
    leadership.leading = False
    with pytest.raises(NotLeading):
        await cluster.adopt_secret(owner, found)
    assert await seen(cluster, owner) == found


OURS = {TOKENS_ANNOTATION: "[]", "example.com/mirror": "yes"}


def wanting(owner: ScimToken, labels: dict[str, str], annotations: dict[str, str]) -> ScimToken:
    """The same ScimToken with these in ``spec.secret``."""
    spec = owner.understood_spec
    template = spec.secret.model_copy(update={"labels": labels, "annotations": annotations})
    return owner.model_copy(update={"spec": spec.model_copy(update={"secret": template})})


async def test_what_we_set_is_ours_by_the_api_servers_record_and_what_others_set_is_not(
    cluster: KubernetesCluster, owner: ScimToken, installed: ControlPlane
) -> None:
    labels = owner.secret_labels() | {"team": "hr"}
    created = await cluster.create_secret(owner, draft(owner, labels=labels, annotations=OURS))
    assert created.managed_labels == labels.keys()
    assert created.managed_annotations == OURS.keys()
    where = ("secret", NAME, "-n", owner.metadata.namespace, "--overwrite")
    installed.kubectl("label", *where, "theirs=1", "team=it")
    installed.kubectl("annotate", *where, "theirs=2")
    found = await seen(cluster, owner)
    assert found.managed_labels == owner.secret_labels().keys()
    assert found.managed_annotations == OURS.keys()


async def test_after_an_adoption_what_the_spec_wants_is_ours_and_what_it_never_wanted_stays(
    cluster: KubernetesCluster, owner: ScimToken, installed: ControlPlane
) -> None:
    """A restored Secret was written by the restoring tool: of two keys the record can't tell which was ours."""
    stored = {
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {
            "name": NAME, "namespace": owner.metadata.namespace,
            "labels": owner.secret_labels() | {"team": "hr", "unwanted": "1"},
            "annotations": OURS | {"unwanted": "2"},
        },
    }  # fmt: skip
    installed.kubectl("create", "-f", "-", input=json.dumps(stored))
    wanted = wanting(owner, {"team": "hr"}, {"example.com/mirror": "yes"})
    found = await seen(cluster, wanted)
    assert (found.managed_labels, found.managed_annotations) == (frozenset(), frozenset())
    adopted = await cluster.adopt_secret(wanted, found)
    assert adopted.managed_labels == owner.secret_labels().keys() | {"team"}
    assert adopted.managed_annotations == OURS.keys()
    left = await cluster.replace_secret(owner, draft(owner), adopted)
    assert left.owned
    assert left.labels == owner.secret_labels() | {"unwanted": "1"}
    assert left.annotations == {TOKENS_ANNOTATION: "[]", "unwanted": "2"}

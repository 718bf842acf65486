"""What ``scim-operator release`` does to a real API server, with the operator's own permissions."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from kubernetes.aio import client

from localcluster import ControlPlane
from scim_operator.api.scimtoken import FINALIZER
from scim_operator.commands.release_finalizers import HELD_SECONDS, release_finalizers
from scim_operator.settings import OperatorSettings
from support.installed import OPERATOR_NAMESPACE, applied, manifest

OTHER = "example.com/theirs"


class Pauses:
    """Remembers what would have been waited for."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def settings(*namespaces: str) -> OperatorSettings:
    return OperatorSettings(
        endpoint_url="https://scim.example.com/scim/v2",
        admin_url="http://scim-api:8081",
        namespace=OPERATOR_NAMESPACE,
        identity="uninstaller",
        watch_namespaces=namespaces,
    )


@pytest.fixture
async def leases(
    installed: ControlPlane, operator_client: client.ApiClient
) -> AsyncIterator[client.CoordinationV1Api]:
    """There is no Lease before, nor afterwards."""
    yield client.CoordinationV1Api(operator_client)
    installed.kubectl("delete", "lease", "scim-operator", "-n", OPERATOR_NAMESPACE, "--ignore-not-found")


def finalizers(installed: ControlPlane, namespace: str, name: str) -> list[str]:
    found: dict[str, Any] = json.loads(
        installed.kubectl("get", "sct", name, "-n", namespace, "-o", "json").stdout
    )
    return list(found["metadata"].get("finalizers", []))


async def test_only_our_finalizer_goes_and_only_in_watched_namespaces(
    installed: ControlPlane, operator_client: client.ApiClient, quiet_namespace: str, leases: object
) -> None:
    elsewhere = f"{quiet_namespace}-other"
    installed.kubectl("create", "namespace", elsewhere)
    for namespace, name, held in (
        (quiet_namespace, "both", [OTHER, FINALIZER]),
        (quiet_namespace, "theirs", [OTHER]),
        (quiet_namespace, "free", []),
        (elsewhere, "ours", [FINALIZER]),
    ):
        applied(installed, manifest(name, namespace, finalizers=held))
    assert await release_finalizers(operator_client, settings(quiet_namespace), Pauses()) == 1
    assert finalizers(installed, quiet_namespace, "both") == [OTHER]
    assert finalizers(installed, quiet_namespace, "theirs") == [OTHER]
    assert finalizers(installed, elsewhere, "ours") == [FINALIZER]
    assert await release_finalizers(operator_client, settings(elsewhere), Pauses()) == 1
    assert await release_finalizers(operator_client, settings(elsewhere), Pauses()) == 0


async def test_where_no_operator_ever_ran_nothing_is_waited_for(
    operator_client: client.ApiClient, quiet_namespace: str, leases: object
) -> None:
    pauses = Pauses()
    assert await release_finalizers(operator_client, settings(quiet_namespace), pauses) == 0
    assert pauses.seconds == []


async def test_a_leader_is_waited_for_and_others_are_kept_from_leading(
    operator_client: client.ApiClient, quiet_namespace: str, leases: client.CoordinationV1Api
) -> None:
    now = datetime.now(UTC)
    held = client.V1LeaseSpec(
        holder_identity="leader", lease_duration_seconds=15, acquire_time=now, renew_time=now
    )
    body = client.V1Lease(metadata=client.V1ObjectMeta(name="scim-operator"), spec=held)
    await leases.create_namespaced_lease(OPERATOR_NAMESPACE, body)
    pauses = Pauses()
    await release_finalizers(operator_client, settings(quiet_namespace), pauses)
    assert pauses.seconds == [15.0]
    lease = await leases.read_namespaced_lease("scim-operator", OPERATOR_NAMESPACE)
    assert lease.spec is not None
    assert lease.spec.holder_identity == "released-uninstaller"
    assert lease.spec.lease_duration_seconds == 15 + HELD_SECONDS


async def test_how_long_nobody_leads_can_be_said(
    operator_client: client.ApiClient, quiet_namespace: str, leases: client.CoordinationV1Api
) -> None:
    body = client.V1Lease(
        metadata=client.V1ObjectMeta(name="scim-operator"), spec=client.V1LeaseSpec(holder_identity="")
    )
    await leases.create_namespaced_lease(OPERATOR_NAMESPACE, body)
    await release_finalizers(operator_client, settings(quiet_namespace), Pauses(), hold=30)
    lease = await leases.read_namespaced_lease("scim-operator", OPERATOR_NAMESPACE)
    assert lease.spec is not None
    assert lease.spec.lease_duration_seconds == 30


@pytest.mark.parametrize(("age", "patience"), [(6, 9), (600, 0), (-600, 15)])
async def test_a_release_that_was_tried_before_is_not_waited_for_but_the_leader_before_it_is(
    operator_client: client.ApiClient,
    quiet_namespace: str,
    leases: client.CoordinationV1Api,
    age: int,
    patience: int,
) -> None:
    before = datetime.now(UTC) - timedelta(seconds=age)
    held = client.V1LeaseSpec(
        holder_identity="released-earlier", lease_duration_seconds=330, acquire_time=before, renew_time=before
    )
    body = client.V1Lease(metadata=client.V1ObjectMeta(name="scim-operator"), spec=held)
    await leases.create_namespaced_lease(OPERATOR_NAMESPACE, body)
    pauses = Pauses()
    await release_finalizers(operator_client, settings(quiet_namespace), pauses, hold=30)
    waited = sum(pauses.seconds)
    assert waited == pytest.approx(patience, abs=3 if 0 < age < 15 else 0)
    lease = await leases.read_namespaced_lease("scim-operator", OPERATOR_NAMESPACE)
    assert lease.spec is not None
    assert lease.spec.lease_duration_seconds == waited + 30

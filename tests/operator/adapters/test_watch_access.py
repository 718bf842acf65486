"""What is in the way of a watch, asked of a real API server."""

import pytest
from kubernetes.aio import client

from localcluster import ControlPlane
from scim_operator.adapters import watch_access
from scim_operator.adapters.watch_access import RESOURCES, Resource, WatchAccess, WatchTarget
from support.installed import ROOT, client_of


@pytest.mark.parametrize("resource", RESOURCES)
async def test_nothing_is_in_the_way_of_the_operator(
    operator_client: client.ApiClient, quiet_namespace: str, resource: Resource
) -> None:
    access = WatchAccess(operator_client)
    for namespace in (None, quiet_namespace):
        assert await access.obstacle(WatchTarget(resource, namespace)) is None


async def test_a_missing_right_is_reported_with_what_is_needed(
    installed: ControlPlane, quiet_namespace: str
) -> None:
    installed.kubectl("create", "serviceaccount", "nobody", "-n", quiet_namespace)
    async with await client_of(installed.service_account_kubeconfig(quiet_namespace, "nobody")) as nobody:
        access = WatchAccess(nobody)
        everywhere = await access.obstacle(WatchTarget("scimtokens", None))
        here = await access.obstacle(WatchTarget("secrets", quiet_namespace))
    assert everywhere is not None
    assert here is not None
    assert (everywhere.in_namespace_only, here.in_namespace_only) == (False, True)
    assert "needs get, list and watch" in everywhere.reason
    assert f"in namespace {quiet_namespace}: does it exist" in here.reason


@pytest.mark.parametrize("resource", ["scimtokens", "scimwebhooks"])
async def test_a_missing_crd_is_in_the_way_of_all_namespaces(
    installed: ControlPlane, monkeypatch: pytest.MonkeyPatch, resource: Resource
) -> None:
    monkeypatch.setattr(watch_access, "GROUP", "absent.example.com")
    async with await client_of(installed.kubeconfig) as admin:
        found = await WatchAccess(admin).obstacle(WatchTarget(resource, "default"))
    assert found is not None
    assert not found.in_namespace_only
    file = f"crds/{resource.removesuffix('s')}.yaml"
    assert f"the CRD {resource}.absent.example.com is not installed: kubectl apply -f {file}" in found.reason
    assert (ROOT / file).exists()


async def test_a_missing_right_to_list_scimwebhooks_names_them(
    installed: ControlPlane, quiet_namespace: str
) -> None:
    installed.kubectl("create", "serviceaccount", "nobody", "-n", quiet_namespace)
    async with await client_of(installed.service_account_kubeconfig(quiet_namespace, "nobody")) as nobody:
        found = await WatchAccess(nobody).obstacle(WatchTarget("scimwebhooks", None))
    assert found is not None
    assert "not permitted to list scimwebhooks.scim-operator.io" in found.reason


def test_without_scimwebhooks_alone_the_operator_is_ready() -> None:
    required = {resource for resource in RESOURCES if WatchTarget(resource, None).is_required}
    assert required == {"scimtokens", "secrets"}


async def test_an_api_server_that_does_not_answer_is_in_the_way_of_all_namespaces() -> None:
    configuration = client.Configuration(host="http://127.0.0.1:1")
    async with client.ApiClient(configuration) as nowhere:
        found = await WatchAccess(nowhere).obstacle(WatchTarget("secrets", "default"))
    assert found is not None
    assert not found.in_namespace_only
    assert "did not answer" in found.reason

"""Listing ScimTokens on a real API server, in few namespaces or in all."""

import pytest
from kubernetes.aio import client

from localcluster import ControlPlane
from scim_operator.adapters import object_list
from scim_operator.adapters.object_list import list_keys, list_objects
from scim_operator.api.custom_object import Key
from scim_operator.api.scimtoken import ScimToken
from support.installed import applied, client_of, manifest


async def names(api: client.ApiClient, *namespaces: str) -> tuple[set[tuple[str, str]], list[str]]:
    """What is listed, and where it was forbidden."""
    forbidden: list[str] = []
    found = {
        (item["metadata"]["namespace"], item["metadata"]["name"])
        async for item in list_objects(api, ScimToken, namespaces, forbidden.append)
    }
    return found, forbidden


async def test_all_pages_of_all_namespaces_are_listed(
    installed: ControlPlane,
    operator_client: client.ApiClient,
    quiet_namespace: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(object_list, "LIST_PAGE", 1)
    expected = {(quiet_namespace, name) for name in ("a", "b", "c")}
    for _, name in expected:
        applied(installed, manifest(name, quiet_namespace))
    assert await names(operator_client, quiet_namespace) == (expected, [])
    everywhere, _ = await names(operator_client)
    assert expected <= everywhere


async def test_a_namespace_that_does_not_exist_is_empty(
    operator_client: client.ApiClient, quiet_namespace: str
) -> None:
    assert await names(operator_client, "missing", quiet_namespace) == (set(), [])


async def test_a_namespace_in_which_it_is_forbidden_is_named_and_the_others_are_listed(
    installed: ControlPlane, quiet_namespace: str
) -> None:
    installed.kubectl("create", "serviceaccount", "narrow", "-n", quiet_namespace)
    installed.kubectl(
        "create", "rolebinding", "narrow", "-n", quiet_namespace, "--clusterrole=scim-operator",
        f"--serviceaccount={quiet_namespace}:narrow",
    )  # fmt: skip
    applied(installed, manifest("a", quiet_namespace))
    async with await client_of(installed.service_account_kubeconfig(quiet_namespace, "narrow")) as narrow:
        assert await names(narrow, "default", quiet_namespace) == ({(quiet_namespace, "a")}, ["default"])
        with pytest.raises(client.ApiException):
            await names(narrow)


async def test_of_a_namespace_in_which_it_is_forbidden_those_that_are_known_are_told(
    installed: ControlPlane, quiet_namespace: str
) -> None:
    installed.kubectl("create", "serviceaccount", "narrow", "-n", quiet_namespace)
    installed.kubectl(
        "create", "rolebinding", "narrow", "-n", quiet_namespace, "--clusterrole=scim-operator",
        f"--serviceaccount={quiet_namespace}:narrow",
    )  # fmt: skip
    applied(installed, manifest("a", quiet_namespace))
    known = [Key("default", "x"), Key(quiet_namespace, "gone")]
    async with await client_of(installed.service_account_kubeconfig(quiet_namespace, "narrow")) as narrow:
        found = await list_keys(narrow, ScimToken, ("default", quiet_namespace), known)
    assert found == {Key(quiet_namespace, "a"), Key("default", "x")}

"""``scim-operator apply``, as the chart runs it: on a real API server, with just the rights it needs."""

import json
import secrets
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from kubernetes.aio import client

from localcluster import ControlPlane
from scim_api.contract.backoff import Backoff
from scim_operator.commands.apply import NotApplied, apply, read
from support.installed import client_of

ROLE = "scimtokens"

STEADY = Backoff(first=2.0, longest=2.0, jitter=0.0)


def text(name: str, namespace: str, **spec: Any) -> str:
    """One ScimToken, as the chart writes it."""
    return json.dumps(
        {
            "apiVersion": "scim-operator.io/v1alpha1",
            "kind": "ScimToken",
            "metadata": {"name": name, "namespace": namespace},
            "spec": spec,
        }
    )


@pytest.fixture
async def applier(installed: ControlPlane, quiet_namespace: str) -> AsyncIterator[client.ApiClient]:
    """A ServiceAccount with the chart's rights in this namespace."""
    installed.kubectl("create", "serviceaccount", ROLE, "-n", quiet_namespace)
    verbs = "--verb=get,create,patch"
    installed.kubectl(
        "create", "role", ROLE, verbs, "--resource=scimtokens.scim-operator.io", "-n", quiet_namespace
    )
    account = f"--serviceaccount={quiet_namespace}:{ROLE}"
    installed.kubectl("create", "rolebinding", ROLE, f"--role={ROLE}", account, "-n", quiet_namespace)
    async with await client_of(installed.service_account_kubeconfig(quiet_namespace, ROLE)) as api_client:
        yield api_client


class Pauses:
    """Remembers what would have been waited for, and does something meanwhile."""

    def __init__(self, meanwhile: Callable[[], object] = lambda: None) -> None:
        self.seconds: list[float] = []
        self._meanwhile = meanwhile

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self._meanwhile()


def stored(installed: ControlPlane, namespace: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        installed.kubectl("get", "sct", name, "-n", namespace, "-o", "json").stdout
    )
    return found


async def test_a_scim_token_is_made_and_later_changed_in_place(
    installed: ControlPlane, applier: client.ApiClient, quiet_namespace: str
) -> None:
    said: list[str] = []
    await apply(applier, read(text("entra", quiet_namespace, lifetime="90d"), namespace="x"), say=said.append)
    first = stored(installed, quiet_namespace, "entra")
    await apply(applier, read(text("entra", quiet_namespace, lifetime="30d"), namespace="x"), say=said.append)
    second = stored(installed, quiet_namespace, "entra")
    assert (first["spec"]["lifetime"], second["spec"]["lifetime"]) == ("90d", "30d")
    assert second["metadata"]["uid"] == first["metadata"]["uid"]
    assert said == [f"{quiet_namespace}/entra is applied"] * 2


async def test_what_others_set_beside_it_stays_and_what_it_sets_counts(
    installed: ControlPlane, applier: client.ApiClient, quiet_namespace: str
) -> None:
    documents = read(text("entra", quiet_namespace, lifetime="90d"), namespace="x")
    await apply(applier, documents, say=lambda _: None)
    change = '{"spec":{"lifetime":"1h","suspend":true},"metadata":{"labels":{"team":"identity"}}}'
    installed.kubectl("patch", "sct", "entra", "-n", quiet_namespace, "--type=merge", "-p", change)
    await apply(applier, documents, say=lambda _: None)
    after = stored(installed, quiet_namespace, "entra")
    assert (after["spec"]["lifetime"], after["spec"]["suspend"]) == ("90d", True)
    assert after["metadata"]["labels"] == {"team": "identity"}


async def test_a_refusal_says_what_the_kind_says(applier: client.ApiClient, quiet_namespace: str) -> None:
    documents = read(text("entra", quiet_namespace, lifetime="1y"), namespace="x")
    with pytest.raises(NotApplied, match="write a number and s, m, h or d, such as 90d or 12h"):
        await apply(applier, documents, say=lambda _: None)


async def test_missing_rights_are_named(applier: client.ApiClient, quiet_namespace: str) -> None:
    with pytest.raises(NotApplied, match="default/entra: not permitted; get, create and patch on scimtokens"):
        await apply(applier, read(text("entra", "default"), namespace="x"), say=lambda _: None)


async def test_a_namespace_that_comes_late_is_waited_for(
    installed: ControlPlane, admin: client.ApiClient
) -> None:
    namespace = f"late-{secrets.token_hex(4)}"
    pauses = Pauses(lambda: installed.kubectl("create", "namespace", namespace))
    documents = read(text("entra", namespace), namespace="x")
    await apply(admin, documents, say=lambda _: None, backoff=STEADY, pause=pauses)
    assert pauses.seconds == [2]
    assert stored(installed, namespace, "entra")


async def test_a_namespace_that_does_not_come_is_named(admin: client.ApiClient) -> None:
    pauses = Pauses()
    with pytest.raises(NotApplied, match="nowhere/entra: there is no namespace nowhere"):
        await apply(
            admin,
            read(text("entra", "nowhere"), namespace="x"),
            say=print,
            backoff=STEADY,
            patience=5,
            pause=pauses,
        )
    assert pauses.seconds == [2, 2, 1]


@pytest.fixture
async def admin(installed: ControlPlane) -> AsyncIterator[client.ApiClient]:
    """Who may do everything."""
    async with await client_of(installed.kubeconfig) as api_client:
        yield api_client


def test_documents_without_a_namespace_get_one_and_empty_ones_are_nothing() -> None:
    found = read(f"---\n{text('a', '')}\n---\n# nothing\n---\n{text('b', 'theirs')}\n", namespace="ours")
    assert [document["metadata"]["namespace"] for document in found] == ["ours", "theirs"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("a: [", "the file is no YAML"),
        ("kind: Secret", "document 1 is no ScimToken: write apiVersion: scim-operator.io/v1alpha1"),
        ("- 1", "document 1 is no ScimToken"),
        ("apiVersion: scim-operator.io/v1alpha1\nkind: ScimToken", "document 1 has no metadata.name"),
    ],
)
def test_a_wrong_file_is_refused_in_words(content: str, sentence: str) -> None:
    with pytest.raises(NotApplied, match=sentence):
        read(content, namespace="ours")

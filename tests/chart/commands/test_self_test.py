"""What ``helm test`` runs, against a running installation and with exactly the rights the chart gives it."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import yaml
from kubernetes.aio import client

from localcluster import ControlPlane
from localcluster.ports import free_port
from scim_operator.commands.self_test import NotYet, Scim, SelfTest, SelfTestFailed, Settings
from scim_operator.planning.ports import Key
from support.chart import HOST, NAMESPACE, Helm
from support.installed import client_of
from support.stack import Stack

ACCOUNT = "scim-operator-self-test"
NAME = "helm-test"


@pytest.fixture
async def kube(helm: Helm, stack: Stack, namespace: str) -> AsyncIterator[client.ApiClient]:
    """The ServiceAccount of the chart's Job, with its Role in this test's namespace."""
    rendered = helm.render({**HOST, "tests": {"namespace": namespace}})
    mine = [
        rendered.one(kind, ACCOUNT, where)
        for kind, where in (("ServiceAccount", NAMESPACE), ("Role", namespace), ("RoleBinding", namespace))
    ]
    stack.kubectl("apply", "-f", "-", input=yaml.safe_dump_all(mine))
    kubeconfig = stack.control_plane.service_account_kubeconfig(NAMESPACE, ACCOUNT)
    async with await client_of(kubeconfig) as api_client:
        yield api_client


async def run(kube: client.ApiClient, namespace: str, **parts: Any) -> list[str]:
    """One run; what it said.

    Args:
        kube: as whom.
        namespace: of the ScimToken.
        parts: ``transport`` of the requests to the endpoint, or ``pause``.
    """
    said: list[str] = []
    settings = Settings(key=Key(namespace, NAME), seconds=60)
    async with httpx.AsyncClient(trust_env=False, transport=parts.pop("transport", None)) as http:
        await SelfTest(kube, http, settings, said.append, **parts).run()
    return said


def left(stack: Stack, namespace: str) -> list[str]:
    """ScimTokens of the namespace. Their Secrets are Kubernetes' to collect."""
    items = json.loads(stack.kubectl("get", "sct", "-n", namespace, "-o", "json"))["items"]
    return [item["metadata"]["name"] for item in items]


async def test_it_plays_a_whole_life_and_leaves_nothing(
    kube: client.ApiClient, stack: Stack, namespace: str
) -> None:
    said = await run(kube, namespace)
    assert said == [
        f"ScimToken {namespace}/{NAME} is created",
        f"ScimToken {namespace}/{NAME} is Ready",
        f"Secret {NAME}-scim-token holds an endpoint and a token",
        f"Test Connection succeeds at {stack.scim_url}",
        "a user is created (POST 201)",
        "it is found by userName and read back (GET 200)",
        "it is disabled (PATCH 200)",
        "it is deleted (DELETE 204, then GET 404)",
        "the token endpoint refuses who has no credentials (RFC 6749)",
        "everything that was made is gone again",
    ]
    assert left(stack, namespace) == []


async def test_what_an_earlier_run_left_is_no_hindrance(
    kube: client.ApiClient, stack: Stack, namespace: str
) -> None:
    stack.apply(namespace, NAME, tenant="of-an-earlier-run", deletionPolicy="Delete")
    said = await run(kube, namespace)
    assert said[-1] == "everything that was made is gone again"
    assert left(stack, namespace) == []


async def test_after_a_failure_all_is_cleaned(kube: client.ApiClient, stack: Stack, namespace: str) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(401))
    with pytest.raises(SelfTestFailed, match="answers 401 to the token from the Secret: it leads to another"):
        await run(kube, namespace, transport=transport)
    assert left(stack, namespace) == []


async def test_without_an_operator_it_says_so_and_leaves_nothing(
    installed: ControlPlane, quiet_namespace: str
) -> None:
    async def time_is_up(_seconds: float) -> None:
        raise TimeoutError

    async with await client_of(installed.kubeconfig) as kube:
        with pytest.raises(
            SelfTestFailed, match=r"is not Ready: no operator has reconciled it \(kubectl describe sct"
        ):
            await run(kube, quiet_namespace, pause=time_is_up)
    assert installed.kubectl("get", "sct", "-n", quiet_namespace, "-o", "name").stdout == ""


async def test_missing_rights_are_named(kube: client.ApiClient) -> None:
    with pytest.raises(SelfTestFailed, match="not permitted: get, create and delete on scimtokens"):
        await run(kube, "default")


def scim(status: int, body: object) -> Scim:
    """An endpoint that answers everything alike."""

    def answer(_request: httpx.Request) -> httpx.Response:
        return (
            httpx.Response(status, text=body) if isinstance(body, str) else httpx.Response(status, json=body)
        )

    return Scim(
        httpx.AsyncClient(transport=httpx.MockTransport(answer)), "https://scim.test/scim/v2", "token"
    )


async def test_an_endpoint_that_is_not_there_is_waited_for_and_named() -> None:
    port = free_port()
    async with httpx.AsyncClient(trust_env=False) as http:
        with pytest.raises(NotYet, match=f"127.0.0.1:{port} refuses connections: nothing listens there"):
            await Scim(http, f"http://127.0.0.1:{port}/scim/v2", "token").test_connection()


async def test_an_ingress_that_does_not_lead_here_yet_is_waited_for_and_explained() -> None:
    with pytest.raises(NotYet, match="answers 404: host and TLS are right, the path is not"):
        await scim(404, "no route").test_connection()


async def test_a_page_that_answers_200_is_no_scim_api() -> None:
    with pytest.raises(SelfTestFailed, match="answers 200 without a JSON object"):
        await scim(200, "<html>").test_connection()
    with pytest.raises(SelfTestFailed, match="answers 200, but not as a SCIM API does"):
        await scim(200, {"hello": 1}).test_connection()


@pytest.mark.parametrize("status", [400, 401])
async def test_a_token_endpoint_is_known_by_its_refusal(status: int) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(status, json={"error": "invalid_client"})

    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    await Scim(http, "https://scim.test/scim/v2", "token").token_endpoint()
    [request] = asked
    assert (request.method, str(request.url)) == ("POST", "https://scim.test/oauth2/token")
    assert request.content == b"grant_type=client_credentials"
    assert "authorization" not in request.headers


async def test_an_ingress_that_leaves_the_token_endpoint_out_is_waited_for_and_told_which_path() -> None:
    with pytest.raises(
        NotYet, match="answers 404: let the Ingress pass /oauth2/token on as well as /scim/v2"
    ):
        await scim(404, "no route").token_endpoint()
    with pytest.raises(NotYet, match="answers 503"):
        await scim(503, "no pod").token_endpoint()


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (200, {"access_token": "x"}, "answers 200, but not as a token endpoint does"),
        (401, {"detail": "log in"}, "answers 401, but not as a token endpoint does"),
        (400, "<html>", "answers 400 without a JSON object"),
        (302, "", "answers 302, but not as a token endpoint does"),
    ],
)
async def test_what_answers_otherwise_is_no_token_endpoint(status: int, body: object, message: str) -> None:
    with pytest.raises(SelfTestFailed, match=message):
        await scim(status, body).token_endpoint()


async def test_a_step_that_is_answered_otherwise_is_named_with_the_answer() -> None:
    with pytest.raises(SelfTestFailed, match=r"POST /Users was answered 503, not 201: .*no database"):
        await scim(503, {"detail": "no database"}).life(print)

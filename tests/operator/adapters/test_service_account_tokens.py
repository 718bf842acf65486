"""Tokens of ServiceAccounts from a real API server, with the operator's ServiceAccount and a Role that people make."""

from collections.abc import AsyncIterator

import jwt
import pytest
from kubernetes.aio import client

from localcluster import ControlPlane
from scim_operator.adapters.service_account_tokens import EXPIRATION_SECONDS, ServiceAccountTokens
from scim_operator.planning.entra.ports import EntraError, Obstacle
from scim_operator.planning.ports import KubernetesUnreachable
from support.installed import OPERATOR, OPERATOR_NAMESPACE, client_of

AUDIENCE = "api://AzureADTokenExchange"
ACCOUNT = "entra-hand-over"


@pytest.fixture
def tokens(operator_client: client.ApiClient) -> ServiceAccountTokens:
    return ServiceAccountTokens(operator_client)


@pytest.fixture
def account(installed: ControlPlane, quiet_namespace: str) -> str:
    """A namespace with the ServiceAccount, and one that must not be had along with it."""
    for name in (ACCOUNT, "other"):
        installed.kubectl("create", "serviceaccount", name, "-n", quiet_namespace)
    return quiet_namespace


async def refused(tokens: ServiceAccountTokens, namespace: str, name: str = ACCOUNT) -> str:
    with pytest.raises(EntraError) as told:
        await tokens.token(namespace, name, AUDIENCE)
    assert told.value.obstacle is Obstacle.IDENTITY_NOT_READABLE
    assert told.value.__cause__ is None
    return told.value.message


async def test_without_the_role_the_message_has_the_commands_that_make_it(
    installed: ControlPlane, tokens: ServiceAccountTokens, account: str
) -> None:
    message = await refused(tokens, account)
    commands = message.partition(": ")[2]
    assert f"--serviceaccount={OPERATOR_NAMESPACE}:{OPERATOR}" in commands
    for command in commands.split(" && "):
        program, *arguments = command.split(" ")
        assert program == "kubectl"
        installed.kubectl(*arguments)
    token = await tokens.token(account, ACCOUNT, AUDIENCE)
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["sub"] == f"system:serviceaccount:{account}:{ACCOUNT}"
    assert claims["aud"] == [AUDIENCE]
    assert claims["exp"] - claims["iat"] == EXPIRATION_SECONDS
    assert "may not ask for a token of ServiceAccount other" in await refused(tokens, account, "other")


async def test_a_service_account_that_is_not_there_is_told(
    installed: ControlPlane, admin: client.ApiClient, account: str
) -> None:
    message = await refused(ServiceAccountTokens(admin), account, "absent")
    assert f"kubectl create serviceaccount absent -n {account}" in message


async def test_what_the_api_server_takes_for_wrong_is_told(admin: client.ApiClient, account: str) -> None:
    message = await refused(ServiceAccountTokens(admin), account, "Not_A_Name!")
    assert "serviceAccountRef" in message or "gives no token" in message


async def test_an_api_server_that_is_away_may_come_back(admin: client.ApiClient, account: str) -> None:
    admin.configuration.host = "https://127.0.0.1:1"
    with pytest.raises(KubernetesUnreachable, match="no answer"):
        await ServiceAccountTokens(admin).token(account, ACCOUNT, AUDIENCE)


@pytest.fixture
async def admin(installed: ControlPlane) -> AsyncIterator[client.ApiClient]:
    """With the rights of an administrator."""
    async with await client_of(installed.kubeconfig) as api_client:
        yield api_client

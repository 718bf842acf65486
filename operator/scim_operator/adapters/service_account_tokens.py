"""Tokens of ServiceAccounts for others than Kubernetes: the API server's TokenRequest."""

import re
from typing import Final, NoReturn

import aiohttp
from kubernetes.aio import client

from scim_operator.adapters.core_v1 import CoreV1
from scim_operator.adapters.kubernetes import CALL_TIMEOUT, server_message
from scim_operator.planning.entra.ports import EntraError, Obstacle
from scim_operator.planning.ports import KubernetesUnreachable

EXPIRATION_SECONDS: Final = 600
"""The least that Kubernetes gives; the token is used at once."""
_WHO: Final = re.compile(r'User "system:serviceaccount:([a-z0-9-]+):([a-z0-9.-]+)"')


class ServiceAccountTokens:
    """Asks for one token at a time, and keeps none.

    Args:
        api_client: with the right to create ``serviceaccounts/token`` of each ServiceAccount that is asked for.
    """

    def __init__(self, api_client: client.ApiClient) -> None:
        self._core = CoreV1(api_client)

    async def token(self, namespace: str, name: str, audience: str) -> str:
        """A token of the ServiceAccount for ``audience``, valid for ten minutes.

        Raises:
            EntraError: IDENTITY_NOT_READABLE, when there is no such ServiceAccount or no right; the message has the
                commands that cure it.
            KubernetesUnreachable: the same may work later.
        """
        request = client.AuthenticationV1TokenRequest(
            spec=client.V1TokenRequestSpec(audiences=[audience], expiration_seconds=EXPIRATION_SECONDS)
        )
        try:
            answer = await self._core.create_namespaced_service_account_token(
                name, namespace, request, _request_timeout=CALL_TIMEOUT
            )
        except client.ApiException as error:
            _raise_for(error, namespace, name)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise KubernetesUnreachable(
                f"asking for a token of ServiceAccount {name}: no answer ({type(error).__name__})"
            ) from None
        token = getattr(answer.status, "token", None)
        if not isinstance(token, str) or not token:
            raise KubernetesUnreachable(f"asking for a token of ServiceAccount {name}: none in the answer")
        return token


def _raise_for(error: client.ApiException, namespace: str, name: str) -> NoReturn:
    """The cause is cut off: the client's exception carries bodies."""
    status, message = error.status or 0, server_message(error)
    if status == 403:
        raise EntraError(Obstacle.IDENTITY_NOT_READABLE, _missing_role(namespace, name, message)) from None
    if status == 404:
        raise EntraError(
            Obstacle.IDENTITY_NOT_READABLE,
            f"there is no ServiceAccount {name} in namespace {namespace}: correct spec.entra.signIn.serviceAccountRef, "
            f"or kubectl create serviceaccount {name} -n {namespace}",
        ) from None
    if 400 <= status < 500 and status not in (401, 408, 409, 429):
        raise EntraError(
            Obstacle.IDENTITY_NOT_READABLE,
            f"Kubernetes gives no token of ServiceAccount {name}: {message}",
        ) from None
    raise KubernetesUnreachable(f"asking for a token of ServiceAccount {name}: {message}") from None


def _missing_role(namespace: str, name: str, message: str) -> str:
    found = _WHO.search(message)
    operator = f"{found[1]}:{found[2]}" if found else "<the operator's namespace>:<its ServiceAccount>"
    role = f"scim-operator-token-{name}"
    return (
        f"the operator may not ask for a token of ServiceAccount {name}: kubectl create role {role} -n {namespace} "
        f"--verb=create --resource=serviceaccounts/token --resource-name={name} && kubectl create rolebinding {role} "
        f"-n {namespace} --role={role} --serviceaccount={operator}"
    )

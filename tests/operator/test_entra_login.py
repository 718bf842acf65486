"""The stand-in for Microsoft's login takes the tokens of a real cluster's ServiceAccounts, by its real keys."""

import json
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from entra_standin.graph import FederatedCredential, MicrosoftCloud
from entra_standin.graph.registrations import EXCHANGE_AUDIENCE
from entra_standin.token_endpoint import ASSERTION_TYPE

Kubectl = Callable[..., str]


@pytest.fixture
def cloud(kubectl: Kubectl) -> Iterator[MicrosoftCloud]:
    def jwks() -> dict[str, Any]:
        keys: dict[str, Any] = json.loads(kubectl("get", "--raw", "/openid/v1/jwks"))
        return keys

    with MicrosoftCloud(jwks=jwks) as cloud:
        yield cloud


def code_of(cloud: MicrosoftCloud, tenant_id: str, client_id: str, assertion: str) -> int:
    """0 when it passes, else the number after AADSTS."""
    form = {
        "client_id": client_id,
        "client_assertion": assertion.strip(),
        "client_assertion_type": ASSERTION_TYPE,
        "grant_type": "client_credentials",
        "scope": "https://graph.microsoft.com/.default",
    }
    answer = httpx.post(cloud.token_url(tenant_id), data=form, trust_env=False, timeout=30).json()
    return 0 if "access_token" in answer else int(answer["error_codes"][0])


def test_the_token_of_a_service_account_signs_in_and_others_are_told_what_differs(
    cloud: MicrosoftCloud, kubectl: Kubectl, namespace: str
) -> None:
    issuer = json.loads(kubectl("get", "--raw", "/.well-known/openid-configuration"))["issuer"]
    names = [f"entra-{secrets.token_hex(4)}" for _ in range(2)]
    for name in names:
        kubectl("create", "serviceaccount", name, "--namespace", namespace)
    tenant = cloud.add_tenant()
    subject = f"system:serviceaccount:{namespace}:{names[0]}"
    client_id = tenant.add_caller(federated=[FederatedCredential(issuer, subject)]).client_id

    def token(name: str, audience: str) -> str:
        return kubectl("create", "token", name, "--namespace", namespace, "--audience", audience)

    right = token(names[0], EXCHANGE_AUDIENCE)
    assert code_of(cloud, tenant.id, client_id, right) == 0
    assert code_of(cloud, tenant.id, client_id, token(names[1], EXCHANGE_AUDIENCE)) == 700213
    assert code_of(cloud, tenant.id, client_id, token(names[0], "another")) == 700212
    header, claims, signature = right.strip().split(".")
    forged = f"{header}.{claims}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
    assert code_of(cloud, tenant.id, client_id, forged) == 7000272

"""A ReadOnly ScimToken beside the one that Entra writes with: operator, API and Kubernetes together."""

from typing import Any

import httpx
import pytest

from support.stack import Stack

ENTRA: dict[str, Any] = {"tenant": "contoso", "matching": "userName", "groups": "Disabled"}


def ask(stack: Stack, token: str, method: str, path: str, body: dict[str, Any] | None = None) -> int:
    """The status of a request."""
    with httpx.Client(trust_env=False, timeout=10) as client:
        headers = {"authorization": f"Bearer {token}"}
        return client.request(method, f"{stack.scim_url}{path}", json=body, headers=headers).status_code


@pytest.mark.parametrize("first", ["entra", "reports"])
def test_what_entra_writes_an_application_reads_and_cannot_change(
    stack: Stack, namespace: str, first: str
) -> None:
    specs = {"entra": ENTRA, "reports": {"tenant": "contoso", "access": "ReadOnly"}}
    oauth = {"tenant": "contoso", "access": "ReadOnly", "auth": {"type": "OAuthClientCredentials"}}
    secrets = {}
    for name in sorted(specs, key=lambda name: name != first):
        stack.apply(namespace, name, **specs[name])
        secrets[name] = stack.wait_ready(namespace, name)
    stack.apply(namespace, "reports-oauth", **oauth)
    client = stack.wait_ready(namespace, "reports-oauth")
    writes, reads = secrets["entra"]["token"], secrets["reports"]["token"]
    access_token = stack.sign_in(client).json()["access_token"]

    user = {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": "ada@example.com",
        "externalId": "1",
    }
    assert ask(stack, writes, "POST", "/Users", user) == 201
    for token in (reads, access_token):
        assert ask(stack, token, "GET", "/Users") == 200
        assert ask(stack, token, "POST", "/Users", {**user, "userName": "eve@example.com"}) == 403
    assert ask(stack, writes, "GET", "/Groups") == ask(stack, reads, "GET", "/Groups")
    for name in ("reports", "reports-oauth"):
        assert "Entra" not in str(stack.object(namespace, name)["status"]["conditions"])

"""What Kubernetes shows of the ScimTokens and their Secrets, and how it is changed, as an administrator."""

import base64
import contextlib
import ssl
from typing import Any, Final

import httpx

from localcluster import ControlPlane
from scim_api.contract.tls import without_strict_profile

OPERATOR_NAMESPACE: Final = "scim-system"
NAMESPACE: Final = "torture"
SPEC: Final = {
    "tenant": "colours",
    "lifetime": "60s",
    "rotateBefore": "30s",
    "rateLimit": {"requestsPerSecond": 5000, "burst": 5000},
}
SCIMTOKENS: Final = f"/apis/scim-operator.io/v1alpha1/namespaces/{NAMESPACE}/scimtokens"
CRD: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/scimtokens.scim-operator.io"
FUTURE: Final = "Tomorrow"
"""A value of ``spec.groups`` that only a newer operator would know."""


class Objects:
    """Objects of one control plane; what it does not answer is as if it were not there."""

    def __init__(self, plane: ControlPlane) -> None:
        context = without_strict_profile(ssl.create_default_context(cafile=str(plane.ca_file)))
        context.load_cert_chain(plane.directory / "pki/admin.crt", plane.directory / "pki/admin.key")
        self._client = httpx.AsyncClient(base_url=plane.url, verify=context, trust_env=False, timeout=5)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def get(self, path: str) -> dict[str, Any]:
        """An object; empty when there is none, or nobody answers."""
        with contextlib.suppress(httpx.HTTPError):
            answer = await self._client.get(path)
            if answer.status_code == 200:
                found: dict[str, Any] = answer.json()
                return found
        return {}

    async def patch(self, path: str, body: dict[str, Any], form: str = "merge-patch") -> bool:
        """Whether it was taken. Raises ``httpx.HTTPError`` when nobody answers."""
        headers = {"content-type": f"application/{form}+json"}
        return (await self._client.patch(path, json=body, headers=headers)).status_code == 200

    async def delete(self, path: str) -> bool:
        """Whether it was taken. Raises ``httpx.HTTPError`` when nobody answers."""
        return (await self._client.delete(path)).status_code in (200, 202, 404)

    async def create_scimtoken(self, name: str) -> bool:
        """Whether it is there. Raises ``httpx.HTTPError`` when nobody answers."""
        body = {
            "apiVersion": "scim-operator.io/v1alpha1",
            "kind": "ScimToken",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": SPEC,
        }
        return (await self._client.post(SCIMTOKENS, json=body)).status_code in (201, 409)

    async def know_the_future(self) -> None:
        """The CRD is a newer one: ``spec.groups`` has a value that the operator does not know."""
        crd = await self.get(CRD)
        spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
        spec["groups"]["enum"].append(FUTURE)
        answer = await self._client.put(CRD, json=crd)
        answer.raise_for_status()

    async def secret(self, name: str) -> dict[str, str]:
        """A ScimToken's Secret, decoded."""
        found = await self.get(secret_of(name))
        data: dict[str, str] = found.get("data") or {}
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    async def scimtoken(self, name: str) -> dict[str, Any]:
        """A ScimToken."""
        return await self.get(f"{SCIMTOKENS}/{name}")

    async def states(self, name: str) -> dict[str, str]:
        """The states of a ScimToken's tokens, by id."""
        status = (await self.scimtoken(name)).get("status", {})
        return {item["id"]: item["state"] for item in status.get("tokens") or []}

    async def annotate(self, name: str, what: str, value: str) -> bool:
        """``kubectl annotate``; whether it was taken."""
        body = {"metadata": {"annotations": {f"scim-operator.io/{what}": value}}}
        return await self.patch(f"{SCIMTOKENS}/{name}", body)

    async def leader(self) -> str:
        """Who holds the Lease."""
        lease = await self.get(
            f"/apis/coordination.k8s.io/v1/namespaces/{OPERATOR_NAMESPACE}/leases/scim-operator"
        )
        return str(lease.get("spec", {}).get("holderIdentity", ""))


def secret_of(name: str) -> str:
    """The path of a ScimToken's Secret."""
    return f"/api/v1/namespaces/{NAMESPACE}/secrets/{name}-scim-token"


def is_ready(scimtoken: dict[str, Any]) -> bool:
    """Whether it is Ready, as it is now."""
    status = scimtoken.get("status", {})
    return status.get("observedGeneration") == scimtoken["metadata"]["generation"] and any(
        item["type"] == "Ready" and item["status"] == "True" for item in status.get("conditions") or []
    )

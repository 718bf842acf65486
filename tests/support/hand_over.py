"""Microsoft's side beside a real control plane: an application in Entra, and who may hand credentials to it."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from entra_standin.graph import Application, Caller, FederatedCredential, MicrosoftCloud, Tenant
from localcluster import ControlPlane
from support.stack import OPERATOR_NAMESPACE, Stack

ACCOUNT = "entra-hand-over"
ROLE = "Synchronization.ReadWrite.All"
SETTINGS = {"SCIM_OPERATOR_ENTRA_CHECK_SECONDS": "1", "SCIM_OPERATOR_ENTRA_REQUESTS_PER_SECOND": "200"}
"""Minutes become seconds."""


def issuer_of(plane: ControlPlane) -> str:
    """Who signs the ServiceAccounts' tokens."""
    found: str = json.loads(plane.kubectl("get", "--raw", "/.well-known/openid-configuration").stdout)[
        "issuer"
    ]
    return found


def keys_of(plane: ControlPlane) -> dict[str, Any]:
    """What they are signed with, as Entra would fetch it."""
    found: dict[str, Any] = json.loads(plane.kubectl("get", "--raw", "/openid/v1/jwks").stdout)
    return found


@contextlib.contextmanager
def microsoft(stack: Stack, **settings: str) -> Iterator[MicrosoftCloud]:
    """Play Microsoft, and run the operator against it; afterwards the operator runs as before."""
    with MicrosoftCloud(jwks=keys_of(stack.control_plane)) as cloud:
        addresses = {
            "SCIM_OPERATOR_ENTRA_LOGIN_URL": cloud.login_url,
            "SCIM_OPERATOR_ENTRA_GRAPH_URL": cloud.graph_url,
        }
        stack.stop_operators()
        stack.start_operator(environment={**SETTINGS, **addresses, **settings})
        try:
            yield cloud
        finally:
            stack.stop_operators()
            stack.start_operator()


class Handing:
    """A tenant with an application, and an identity in a namespace that may hand credentials to it."""

    def __init__(self, stack: Stack, cloud: MicrosoftCloud, namespace: str, **application: Any) -> None:
        self.stack, self.cloud, self.namespace = stack, cloud, namespace
        self.tenant: Tenant = cloud.add_tenant()
        subject = f"system:serviceaccount:{namespace}:{ACCOUNT}"
        self.caller: Caller = self.tenant.add_caller(
            federated=[FederatedCredential(issuer_of(stack.control_plane), subject)], roles=[ROLE]
        )
        self.application: Application = self.tenant.add_application(**application)
        stack.kubectl("create", "serviceaccount", ACCOUNT, "-n", namespace)

    def grant(self) -> None:
        """Let the operator have tokens of the ServiceAccount, as the documentation shows it."""
        for body in identity_role(self.namespace):
            self.stack.kubectl("apply", "-f", "-", input=json.dumps(body))

    def spec(self, **more: Any) -> dict[str, Any]:
        """``spec.entra``."""
        sign_in = {"clientID": self.caller.client_id, "serviceAccountRef": {"name": ACCOUNT}}
        return {
            "tenantID": self.tenant.id,
            "servicePrincipalID": self.application.service_principal_id,
            "signIn": sign_in,
        } | more

    @property
    def held(self) -> dict[str, str]:
        """What Entra has saved."""
        return self.application.credentials


def identity_role(namespace: str) -> list[dict[str, Any]]:
    """A Role for tokens of one ServiceAccount, and its binding to the operator."""
    group = "rbac.authorization.k8s.io"
    metadata = {"name": ACCOUNT, "namespace": namespace}
    return [
        {
            "apiVersion": f"{group}/v1",
            "kind": "Role",
            "metadata": metadata,
            "rules": [
                {
                    "apiGroups": [""],
                    "resources": ["serviceaccounts/token"],
                    "resourceNames": [ACCOUNT],
                    "verbs": ["create"],
                }
            ],
        },
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": group, "kind": "Role", "name": ACCOUNT},
            "subjects": [
                {"kind": "ServiceAccount", "name": "scim-operator", "namespace": OPERATOR_NAMESPACE}
            ],
        },
    ]

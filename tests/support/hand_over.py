"""Microsoft's side beside a real control plane: an application in Entra, and who may hand credentials to it."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from entra_standin.graph import Application, Caller, FederatedCredential, MicrosoftCloud, Tenant
from localcluster import ControlPlane
from support.stack import OPERATOR_NAMESPACE, Stack, until

NAME = "entra"
"""Of the ScimToken."""
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


Reached = Callable[[MicrosoftCloud], Mapping[str, str]]
"""Settings by which the operator reaches the played Microsoft."""


def directly(cloud: MicrosoftCloud) -> Mapping[str, str]:
    """On loopback, in the clear."""
    return {
        "SCIM_OPERATOR_ENTRA_LOGIN_URL": cloud.login_url,
        "SCIM_OPERATOR_ENTRA_GRAPH_URL": cloud.graph_url,
    }


@contextlib.contextmanager
def microsoft(
    stack: Stack,
    reached: Reached = directly,
    *,
    clock: Callable[[], float] = time.time,
    port: int = 0,
) -> Iterator[MicrosoftCloud]:
    """Play Microsoft, and run the operator against it; afterwards the operator runs as before.

    Args:
        stack: the installation.
        reached: how the operator reaches it.
        clock: Microsoft's, POSIX time.
        port: of it; 0 takes a free one.
    """
    with MicrosoftCloud(jwks=keys_of(stack.control_plane), clock=clock, port=port) as cloud:
        stack.stop_operators()
        stack.start_operator(environment={**SETTINGS, **reached(cloud)})
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
        grant_tokens(self.stack, self.namespace)

    def spec(self, **more: Any) -> dict[str, Any]:
        """``spec.entra``."""
        sign_in = {"clientID": self.caller.client_id, "serviceAccountRef": {"name": ACCOUNT}}
        return {
            "tenantID": self.tenant.id,
            "servicePrincipalID": self.application.service_principal_id,
            "signIn": sign_in,
        } | more

    def sign_in(self, **reference: Any) -> dict[str, Any]:
        """``spec.entra`` with another way to sign in."""
        return self.spec(signIn={"clientID": self.caller.client_id} | reference)

    def store(self, name: str, kind: str = "Opaque", **data: str) -> None:
        """Write a Secret into the namespace; keys have ``_`` for ``.``."""
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": self.namespace},
            "type": kind,
            "stringData": {part.replace("_", "."): value for part, value in data.items()},
        }
        self.stack.kubectl("apply", "-f", "-", input=json.dumps(body))

    @property
    def held(self) -> dict[str, str]:
        """What Entra has saved."""
        return self.application.credentials


def grant_tokens(stack: Stack, namespace: str) -> None:
    """Let the operator have tokens of the ServiceAccount."""
    for body in identity_role(namespace):
        stack.kubectl("apply", "-f", "-", input=json.dumps(body))


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


def is_told(stack: Stack, namespace: str, kind: str, reason: str) -> dict[str, Any]:
    """Wait for a condition's reason."""

    def told() -> dict[str, Any] | None:
        condition = stack.condition(namespace, NAME, kind)
        return condition if condition.get("reason") == reason else None

    found: dict[str, Any] = until(f"{kind} says {reason}", told, 90, lambda: stack.story(namespace, NAME))
    return found


def wait_handed_over(stack: Stack, namespace: str) -> dict[str, str]:
    """Wait until Entra uses what the Secret publishes; the Secret."""

    def done() -> dict[str, str] | None:
        secret = stack.secret(namespace, f"{NAME}-scim-token")
        given = stack.object(namespace, NAME).get("status", {}).get("entra", {}).get("handedOver", {})
        return secret if given.get("credentialID") == published(secret) and "inUseAt" in given else None

    found: dict[str, str] = until(
        "Entra uses what the Secret publishes", done, 90, lambda: stack.story(namespace, NAME)
    )
    return found


def rotate(stack: Stack, namespace: str, value: str) -> dict[str, str]:
    """Ask for a rotation, and wait until Entra uses what came of it; the Secret."""
    before = published(stack.secret(namespace, f"{NAME}-scim-token"))
    stack.kubectl("annotate", "--overwrite", "sct", NAME, "-n", namespace, f"scim-operator.io/rotate={value}")
    # The next token stands in the Secret before it is published.
    until(
        "another token",
        lambda: published(stack.secret(namespace, f"{NAME}-scim-token")) not in (None, before),
        shown=lambda: stack.story(namespace, NAME),
    )
    return wait_handed_over(stack, namespace)


def published(secret: dict[str, str]) -> str | None:
    """The id of the credential that a Secret publishes; None where there is none."""
    return secret.get("token-id") or secret.get("client-secret-id")

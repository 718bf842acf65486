"""Which credential people are read with: of a Secret that the caller's own rights let them read."""

import base64
import binascii
import contextlib
import dataclasses
import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from kubectl_scim.kubectl import Forbidden, Kubectl, KubectlError
from kubectl_scim.scimtoken import GROUP, KIND, ScimToken


class NothingToReadWith(KubectlError):
    """The Secret has nothing that a request could be sent with; the message says what to do."""


class NoSecret(NothingToReadWith):
    """The client signs in with a workload identity, which keeps no credential in the Secret."""


@dataclasses.dataclass(frozen=True, slots=True)
class Credential:
    """What a Secret has: either a token, or what a token is fetched with."""

    namespace: str
    name: str
    """Of the ScimToken."""
    secret_name: str
    is_read_only: bool
    endpoint: str
    """SCIM base URL, as Entra has it."""
    token: str | None = dataclasses.field(default=None, repr=False)
    client_id: str | None = None
    client_secret: str | None = dataclasses.field(default=None, repr=False)

    @property
    def origin(self) -> str:
        """Of whom it is, for messages."""
        return f"ScimToken {self.name} -n {self.namespace}"


def for_reading(kubectl: Kubectl, token: ScimToken) -> Credential:
    """The one to read a tenant with: of a ReadOnly ScimToken of the tenant where there is one, or else its own.

    Raises:
        KubectlError: ``Forbidden`` names the right that is missing; ``NothingToReadWith`` says what to make.
    """
    if not token.is_read_only:
        for other in _readers(kubectl, token):
            with contextlib.suppress(KubectlError):
                return read(kubectl, other)
    return read(kubectl, token)


def read(kubectl: Kubectl, token: ScimToken) -> Credential:
    """What the Secret of a ScimToken has now.

    Raises:
        KubectlError: as ``for_reading``.
    """
    secret = kubectl.get("secret", token.secret_name, "-n", token.namespace)
    data: Mapping[str, Any] = secret.get("data") or {}
    endpoint = _entry(data, "endpoint")
    # What the Secret has counts, not spec.auth: while the type changes, they differ.
    bearer, client_id, client_secret = (_entry(data, key) for key in ("token", "client-id", "client-secret"))
    if endpoint is None or (bearer is None and client_id is None):
        raise NothingToReadWith(
            f"Secret {token.secret_name} has no endpoint and no credential yet: "
            f"kubectl scim status {token.name} -n {token.namespace}"
        )
    # Who may write Secrets and not read them is not to be sent what is in one.
    stated = str(token.status.get("endpoint") or "")
    if not stated:
        raise NothingToReadWith(
            f"no operator has said yet where the endpoint of {token.name} is, so nothing is sent: "
            f"kubectl scim status {token.name} -n {token.namespace}"
        )
    if stated.rstrip("/") != endpoint.rstrip("/"):
        raise NothingToReadWith(
            f"Secret {token.secret_name} has the endpoint {endpoint}, and the operator says {stated}: nothing is sent "
            f"until they agree, which the operator sees to: kubectl scim status {token.name} -n {token.namespace}"
        )
    if bearer is None and client_secret is None:
        raise NoSecret(_needs_a_reader(token))
    named = (token.namespace, token.name, token.secret_name, token.is_read_only, endpoint)
    if bearer is not None:
        return Credential(*named, token=bearer)
    return Credential(*named, client_id=client_id, client_secret=client_secret)


def _readers(kubectl: Kubectl, token: ScimToken) -> Iterator[ScimToken]:
    """ReadOnly ScimTokens of the same tenant; none where the caller may not list."""
    try:
        found = kubectl.list(KIND, "-n", token.namespace)
    except Forbidden:
        return
    for one in map(ScimToken, found):
        if one.is_read_only and one.tenant == token.tenant and one.active is not None:
            yield one


def _needs_a_reader(token: ScimToken) -> str:
    manifest = {
        "apiVersion": f"{GROUP}/v1alpha1",
        "kind": "ScimToken",
        "metadata": {"name": f"{token.name}-reader", "namespace": token.namespace},
        "spec": {"tenant": token.tenant, "access": "ReadOnly"},
    }
    return (
        f"{token.name} signs in with a workload identity, so its Secret has nothing to read with. "
        f"A ReadOnly ScimToken of the tenant has: echo {shlex.quote(json.dumps(manifest))} | kubectl apply -f -"
    )


def _entry(data: Mapping[str, Any], key: str) -> str | None:
    try:
        return base64.b64decode(data[key], validate=True).decode() or None
    except (KeyError, TypeError, binascii.Error, UnicodeDecodeError):
        return None

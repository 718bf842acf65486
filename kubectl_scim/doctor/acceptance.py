"""Whether the SCIM API accepts what a Secret holds, asked through a port-forward: neither ingress nor TLS can be why not."""

import contextlib
from typing import Final, Self

from kubectl_scim import credential as credentials
from kubectl_scim import port_forward
from kubectl_scim.credential import Credential, NoSecret
from kubectl_scim.doctor.checks_token import title
from kubectl_scim.doctor.facts import Unread, failed, not_checkable, passed, read, unread
from kubectl_scim.kubectl import Kubectl
from kubectl_scim.port_forward import PortForward
from kubectl_scim.scim_service import SCIM, Connection
from kubectl_scim.scimtoken import ScimToken, pods_command
from scim_console.model import Check, Denied, Unreachable

PATH: Final = f"{SCIM}/ServiceProviderConfig"
"""Reads nobody's data, and needs a credential."""


class Acceptance:
    """Tries credentials, all through one port-forward that is opened for the first.

    Args:
        kubectl: with the caller's rights.
        installation: namespace of the chart; None: find it.
    """

    def __init__(self, kubectl: Kubectl, installation: str | None) -> None:
        self._kubectl, self._installation = kubectl, installation
        self._stack = contextlib.ExitStack()
        self._way: PortForward | Unread | None = None

    def __enter__(self) -> Self:
        """Open nothing yet."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """End the port-forward."""
        self._stack.close()

    def __call__(self, token: ScimToken) -> Check:
        """Try what the Secret of a ScimToken holds now."""
        name = title(token, "credential at the SCIM API")
        found = read(lambda: self._credential(token))
        if found is None:
            return not_checkable(
                name, "workload identity keeps no credential in the Secret; see the condition SignInRefused"
            )
        if isinstance(found, Unread):
            return unread(name, found)
        if self._way is None:
            self._way = read(self._open)
        way = self._way
        if isinstance(way, Unread):
            return unread(name, way)
        with contextlib.closing(Connection(way.url, lambda: found)) as connection:
            try:
                answer = connection.send("GET", PATH)
            except Denied as error:
                again = f"kubectl scim rotate {token.name} -n {token.namespace}"
                return failed(name, str(error), again)
            except Unreachable as error:
                return failed(name, str(error), pods_command("api"))
        if answer.status == 200:
            return passed(name, "accepted")
        return failed(name, f"it answers {answer.detail}", "is the Service of the SCIM API another's?")

    def _credential(self, token: ScimToken) -> Credential | None:
        """None: there is none to be had."""
        try:
            return credentials.read(self._kubectl, token)
        except NoSecret:
            return None

    def _open(self) -> PortForward:
        return self._stack.enter_context(port_forward.to_installation(self._kubectl, self._installation))

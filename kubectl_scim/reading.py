"""From a ScimToken to its tenant's people: which credential, and which way to the SCIM API."""

import contextlib
import functools
import ipaddress
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final
from urllib.parse import urlsplit

from kubectl_scim import credential as credentials
from kubectl_scim import port_forward
from kubectl_scim.credential import Credential, NoSecret, NothingToReadWith
from kubectl_scim.kubectl import Forbidden, Kubectl, KubectlError
from kubectl_scim.port_forward import PortForward
from kubectl_scim.scim_service import SCIM, USER_AGENT, Connection, ScimService
from kubectl_scim.scimtoken import ScimToken

Say = Callable[[str], object]
_FORWARD: Final = "ask for create on pods/portforward in the installation's namespace"


@contextlib.contextmanager
def reading(kubectl: Kubectl, token: ScimToken, installation: str | None, say: Say) -> Iterator[ScimService]:
    """The tenant's people, read through a port-forward, or over the network where the caller may not forward.

    Args:
        kubectl: with the caller's rights.
        token: whose tenant.
        installation: namespace of the installation; None: find it.
        say: told when it goes over the network, and why.

    Raises:
        KubectlError: there is no credential that the caller may read, or no way; the message says what to do.
    """
    with contextlib.ExitStack() as stack:
        # Both take several calls of kubectl, each a process.
        opening = stack.enter_context(ThreadPoolExecutor(1)).submit(_opened, kubectl, installation)
        stack.callback(_close, opening)
        first = credentials.for_reading(kubectl, token)
        present = _present(first, functools.partial(credentials.for_reading, kubectl, token))
        try:
            forward = opening.result()
        except KubectlError as error:
            if installation is not None and not isinstance(error, Forbidden):
                raise
            root = _root(first, f"no port-forward to the SCIM API ({error}), and ", _FORWARD)
            say(
                f"no port-forward to the SCIM API ({error}); asked over the network instead: {first.endpoint}"
            )
            connection = Connection(lambda: root, present, over_network=root.startswith("https:"))
        else:
            connection = Connection(forward.url, present)
        stack.callback(connection.close)
        yield ScimService(connection)


def _opened(kubectl: Kubectl, installation: str | None) -> PortForward:
    return port_forward.to_installation(kubectl, installation).__enter__()


def _close(opening: "Future[PortForward]") -> None:
    if opening.exception() is None:
        opening.result().__exit__()


@contextlib.contextmanager
def using(
    kubectl: Kubectl, token: ScimToken, *, agent: str, through_cluster: bool, installation: str | None
) -> Iterator[Connection]:
    """Requests with a ScimToken's own credential, as whoever it was issued for sends them.

    Args:
        kubectl: with the caller's rights.
        token: whose.
        agent: User-Agent.
        through_cluster: by a port-forward, and not to the Secret's endpoint.
        installation: namespace of the installation; None: find it.

    Raises:
        KubectlError: there is no credential that the caller may read, or no way.
    """
    if agent == USER_AGENT:
        raise ValueError("a use of a credential is not to pass for a look")
    try:
        first = credentials.read(kubectl, token)
    except NoSecret:
        raise NothingToReadWith(
            f"{token.name} uses workload identity, so its Secret has no credential to simulate with. Create a ReadWrite ScimToken "
            f"of type BearerToken for tenant {token.tenant}, simulate with that, then delete it"
        ) from None
    present = _present(first, functools.partial(credentials.read, kubectl, token))
    with contextlib.ExitStack() as stack:
        if through_cluster:
            way = port_forward.to_installation(kubectl, installation, outlives_interrupt=True)
            connection = Connection(stack.enter_context(way).url, present, agent=agent)
        else:
            root = _root(first, "", "--port-forward goes another way")
            connection = Connection(
                lambda: root, present, agent=agent, over_network=root.startswith("https:")
            )
        stack.callback(connection.close)
        yield connection


def _present(first: Credential, again: Callable[[], Credential]) -> Callable[[], Credential]:
    """The one that was read already, and from then on what the Secret has."""
    waiting = [first]
    return lambda: waiting.pop() if waiting else again()


def _root(credential: Credential, before: str, remedy: str) -> str:
    """Where the endpoint is, without ``/scim/v2``.

    Args:
        credential: that goes there.
        before: what led to that, for the error.
        remedy: what to do instead, likewise.

    Raises:
        KubectlError: a credential does not go there in clear.
    """
    url = urlsplit(credential.endpoint)
    if url.scheme != "https" and not _is_here(url.hostname or ""):
        raise KubectlError(
            f"{before}the endpoint {credential.endpoint} is not https, so no credential is sent there. Next: {remedy}"
        )
    return credential.endpoint.rstrip("/").removesuffix(SCIM)


def _is_here(host: str) -> bool:
    """Whether it is this machine."""
    if host == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False

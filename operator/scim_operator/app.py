"""The operator as a process: what each of its commands does with Kubernetes, and how that is reached."""

import asyncio
import signal
import ssl
from collections.abc import Callable, Sequence
from typing import Final

import httpx
import structlog
from kubernetes.aio import config

from scim_api.contract.tls import without_strict_profile
from scim_operator.adapters.api_certificate import client_context
from scim_operator.adapters.proxies import inside_client, kubernetes_client, outside_client
from scim_operator.commands import apply as applying
from scim_operator.commands import release_finalizers as releasing
from scim_operator.commands import self_test as self_test_command
from scim_operator.controller.resync import KUBERNETES_ERRORS
from scim_operator.replica import Operator, StartError
from scim_operator.settings import OperatorSettings

log = structlog.get_logger(__name__)

_HTTP_TIMEOUT: Final = httpx.Timeout(10.0, connect=3.0)


async def run(settings: OperatorSettings, trace: Callable[[str], None] | None = None) -> None:
    """Run until SIGTERM or SIGINT.

    Args:
        settings: checked settings.
        trace: called with the name of each step of each reconcile; for tests of crashes.

    Raises:
        StartError: when it cannot start.
        ExceptionGroup: when a part failed that must not; restart the process.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await load_kube_config()
    tls = client_context() if settings.api_tls_secret else None
    async with (
        kubernetes_client() as kube,
        kubernetes_client() as lease_api,
        inside_client(verify=tls or True, timeout=_HTTP_TIMEOUT) as inside,
        outside_client(timeout=_HTTP_TIMEOUT) as outside,
    ):
        await Operator(
            settings, kube=kube, lease_api=lease_api, inside=inside, tls=tls, outside=outside, trace=trace
        ).run(stop)
    log.info("stopped")


async def release(settings: OperatorSettings, *, hold: int) -> int:
    """Take the finalizer off every ScimToken, before an uninstallation; returns off how many.

    Args:
        settings: checked settings.
        hold: seconds for which nobody leads afterwards.

    Raises:
        StartError: it could not be done.
    """
    await load_kube_config()
    async with kubernetes_client() as kube:
        try:
            return await releasing.release_finalizers(kube, settings, hold=hold)
        except releasing.NotReleased as error:
            raise StartError(str(error)) from None
        except KUBERNETES_ERRORS as error:
            problem = f"{type(error).__name__} {getattr(error, 'status', '')}".strip()
            raise StartError(f"Kubernetes did not do it ({problem}); run it again") from None


async def apply(documents: Sequence[applying.Document], say: Callable[[str], None]) -> None:
    """Apply ScimTokens, telling of each.

    Raises:
        StartError: there is no way to reach Kubernetes.
        NotApplied: it refused one.
    """
    await load_kube_config()
    async with kubernetes_client() as kube:
        await applying.apply(kube, documents, say=say)


async def self_test(settings: self_test_command.Settings, say: Callable[[str], None]) -> None:
    """Try the installation out, telling of each step.

    Raises:
        StartError: there is no way to reach Kubernetes.
        SelfTestFailed: a step failed.
    """
    await load_kube_config()
    try:
        context = (
            without_strict_profile(ssl.create_default_context(cafile=settings.ca_file))
            if settings.ca_file
            else None
        )
    except (ssl.SSLError, OSError) as error:
        raise StartError(f"{settings.ca_file} holds no certificates in PEM ({error})") from None
    async with kubernetes_client() as kube, outside_client(verify=context, timeout=_HTTP_TIMEOUT) as http:
        await self_test_command.SelfTest(kube, http, settings, say).run()


async def load_kube_config() -> None:
    """Configure the Kubernetes client: the pod's ServiceAccount, else KUBECONFIG.

    Raises:
        StartError: when there is neither.
    """
    try:
        config.load_incluster_config()  # type: ignore[no-untyped-call]
    except config.ConfigException:
        try:
            await config.load_kube_config()  # type: ignore[no-untyped-call]
        except (config.ConfigException, OSError, TypeError) as error:
            raise StartError(
                f"no way to reach Kubernetes: not in a pod, and no usable kubeconfig ({error}). Set KUBECONFIG"
            ) from error

"""Runs the hand-overs beside the reconciles, with a workqueue and workers of their own."""

from prometheus_client import CollectorRegistry

from scim_api.contract.backoff import Backoff
from scim_operator.api.entra import EntraSpec
from scim_operator.api.status import HANDED_OVER, ScimTokenStatus
from scim_operator.controller.controller import Controller
from scim_operator.controller.entra_reconciler import EntraReconciler
from scim_operator.controller.workqueue import Result
from scim_operator.entra_metrics import EntraMetrics, EntraSample
from scim_operator.planning.ports import Key, NotLeading
from scim_operator.settings import OperatorSettings


class EntraController:
    """Hands over while this process leads.

    Args:
        settings: workers and periods.
        registry: where the metrics are shown.

    Attributes:
        metrics: to be told of requests.
    """

    def __init__(self, settings: OperatorSettings, registry: CollectorRegistry) -> None:
        self.metrics = EntraMetrics(registry)
        self._reconciler: EntraReconciler | None = None
        self._controller = Controller(
            self._reconcile,
            workers=settings.entra_workers,
            max_interval=lambda _key: None,
            metrics=self.metrics,
            backoff=Backoff(
                first=min(2.0, settings.entra_check_seconds), longest=settings.entra_check_seconds
            ),
        )

    def add(self, key: Key, *, has_entra: bool) -> None:
        """Look at what Entra has of ``key`` soon.

        Args:
            key: of a ScimToken that was reconciled.
            has_entra: whether it names an application, or did; without that only what is still shown of it is taken out.
        """
        if has_entra or self.metrics.shows(key):
            self._controller.add(key)

    def resume(self, reconciler: EntraReconciler) -> None:
        """Act from now on: this process leads."""
        self._reconciler = reconciler
        self._controller.resume()

    def pause(self) -> None:
        """Start nothing more: another process leads."""
        self._controller.pause()
        self._reconciler = None
        self.metrics.clear()

    async def run(self) -> None:
        """Dispatch until cancelled."""
        await self._controller.run()

    async def drain(self, seconds: float) -> None:
        """Let what runs come to its end for so long, then cancel it: a cancelled step is repeated later."""
        await self._controller.drain(seconds)

    def show(self, key: Key, spec: EntraSpec | None, status: ScimTokenStatus) -> None:
        """Show what is known of an application in the metrics; without a spec there is none any more."""
        if spec is None:
            self.metrics.show(key, None)
            return
        entra, handed_over = status.entra, status.condition(HANDED_OVER)
        is_told = spec.hand_over == "Automatic" and handed_over is not None
        quarantine = entra.quarantine if entra is not None else None
        self.metrics.show(
            key,
            EntraSample(
                handed_over=handed_over.status == "True" if is_told and handed_over is not None else None,
                job_state=entra.job_state if entra is not None else None,
                disabled_at=quarantine.disabled_at if quarantine is not None else None,
                last_success_at=entra.last_success_at if entra is not None else None,
            ),
        )

    async def _reconcile(self, key: Key) -> Result:
        if self._reconciler is None:
            raise NotLeading("this process does not lead")
        return await self._reconciler.reconcile(key)

"""A write that lost: observe again and decide anew, some times at once, then by the controller's backoff."""

from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from scim_api.contract.backoff import Backoff
from scim_operator.controller.workqueue import Result
from scim_operator.planning.ports import Conflict, Key, KubernetesRejected

log = structlog.get_logger(__name__)
MAX_CONFLICTS: Final = 5
"""How often a conflict is followed by another try at once, before the controller's backoff."""
_CONFLICT_BACKOFF: Final = Backoff(first=0.02, longest=1.0, jitter=1.0)


async def until_no_conflict(
    key: Key, reconcile_once: Callable[[Key], Awaitable[Result]], pause: Callable[[float], Awaitable[None]]
) -> Result:
    """Reconcile, and again after a conflict; what Kubernetes refuses of the status is logged.

    Args:
        key: what is reconciled.
        reconcile_once: observes and decides anew each time. May raise ``Conflict`` and ``KubernetesRejected``.
        pause: waits so many seconds.
    """
    for attempt in range(1, MAX_CONFLICTS + 1):
        try:
            return await reconcile_once(key)
        except Conflict as error:
            log.debug("conflict; trying again", key=str(key), reason=str(error))
            await pause(_CONFLICT_BACKOFF.seconds(attempt))
        except KubernetesRejected as error:
            log.warning("status not written", key=str(key), reason=str(error))
            return Result(requeue=True, reason="KubernetesRejected")
    return Result(requeue=True, reason="Conflict")

"""Reports what a reconcile came to: the status, written when it differs, and Events for what is news."""

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime

from scim_operator.api.scimtoken import ScimToken
from scim_operator.api.status import ScimTokenStatus
from scim_operator.planning.conditions import (
    SECRET_METADATA_DENIED,
    SUPERSEDED_TOKEN_IN_USE,
    ReconcileOutcome,
    build_status,
    is_same_status,
    rotation_delayed,
)
from scim_operator.planning.ports import Cluster, Gone
from scim_operator.planning.sign_in_refusals import SIGN_IN_REFUSED


class StatusWriter:
    """Writes status and Events of one ScimToken after another.

    Args:
        cluster: Kubernetes.
        endpoint: the SCIM base URL.
        trace: called with each step's name before it is done.
    """

    def __init__(self, cluster: Cluster, endpoint: str, trace: Callable[[str], None]) -> None:
        self._cluster, self._endpoint, self._trace = cluster, endpoint, trace

    async def write(self, outcome: ReconcileOutcome, now: datetime) -> None:
        """Write the status if it differs, and the Events that go with the difference.

        An Event is recorded when Ready flips or its reason changes, but for a first True, which the Event of the issued
        token tells; when the message about a superseded token in
        use changes (once a day at most, since last uses move in days) or that about denied metadata, when the revoke
        annotation is invalid, when a rotation that was asked for has to wait, and when the token endpoint refuses a
        sign-in for another reason than before.

        Args:
            outcome: of the reconcile.
            now: for ``lastTransitionTime``.
        """
        token = outcome.token
        if token.deleting and not token.metadata.finalizers:
            return
        status = build_status(outcome, self._endpoint, now.astimezone(UTC))
        if not is_same_status(status, token.status):
            self._trace("apply-status")
            with contextlib.suppress(Gone):  # the ScimToken is gone meanwhile
                await self._cluster.apply_status(token, status.to_object())
        await self._report_ready(token, status)
        await self._report_warning(token, status, SUPERSEDED_TOKEN_IN_USE)
        await self._report_warning(token, status, SECRET_METADATA_DENIED)
        await self._report_refusal(token, status)
        await self._report_invalid_revoke(token, outcome)
        await self._report_delayed_rotation(token, outcome)

    async def _report_ready(self, token: ScimToken, status: ScimTokenStatus) -> None:
        before, after = token.status.condition("Ready"), status.condition("Ready")
        if after is None or (before is None and after.status == "True"):
            return
        if before is None or (before.status, before.reason) != (after.status, after.reason):
            is_normal = after.status == "True" or after.reason == "Deleting"
            await self._cluster.event(
                token, "Normal" if is_normal else "Warning", after.reason, after.message
            )

    async def _report_warning(self, token: ScimToken, status: ScimTokenStatus, kind: str) -> None:
        before, after = token.status.condition(kind), status.condition(kind)
        if after is None or after.status != "True":
            return
        if before is None or before.message != after.message:
            await self._cluster.event(token, "Warning", kind, after.message)

    async def _report_refusal(self, token: ScimToken, status: ScimTokenStatus) -> None:
        """By reason alone: anybody can have a sign-in refused, each time with something else in it."""
        before, after = token.status.condition(SIGN_IN_REFUSED), status.condition(SIGN_IN_REFUSED)
        if after is None or after.status != "True":
            return
        if before is None or (before.status, before.reason) != ("True", after.reason):
            await self._cluster.event(token, "Warning", SIGN_IN_REFUSED, after.message)

    async def _report_invalid_revoke(self, token: ScimToken, outcome: ReconcileOutcome) -> None:
        problem = outcome.invalid_revoke
        before = token.status.condition("Ready")
        if problem is not None and (before is None or problem not in before.message):
            await self._cluster.event(token, "Warning", "InvalidRevoke", problem)

    async def _report_delayed_rotation(self, token: ScimToken, outcome: ReconcileOutcome) -> None:
        until = outcome.done.delayed_rotation if outcome.done is not None else None
        before = token.status.condition("Ready")
        if until is not None and (before is None or rotation_delayed(until) not in before.message):
            await self._cluster.event(token, "Normal", "RotationDelayed", rotation_delayed(until))

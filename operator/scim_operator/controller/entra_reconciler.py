"""Hands the published credential of one ScimToken over to Microsoft Entra, and looks after its job: thin I/O around
``planning.entra.hand_over``.

Apart from ``reconciler``, with a workqueue and workers of its own, so that a slow Graph holds up no rotation. It reads
the API's state, the ScimToken and the Secret in the same order, writes nothing but ``status.entra``, and never ends a
credential: that is the planner's, by what is written here.
"""

import contextlib
import dataclasses
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import structlog

from scim_api.contract.admin import Connection, CredentialStatus
from scim_operator.api.entra import EntraSpec
from scim_operator.api.scimtoken import ScimToken
from scim_operator.api.status import ENTRA_CONDITIONS, Condition, EntraStatus, HandOverStatus, ScimTokenStatus
from scim_operator.controller.hand_over_executor import HandOverExecutor, HandOverPass
from scim_operator.controller.state import observed_secret
from scim_operator.controller.workqueue import Result
from scim_operator.planning.conditions import local_now
from scim_operator.planning.entra import entra_status, hand_over
from scim_operator.planning.entra.hand_over import HandOverState
from scim_operator.planning.entra.ports import TRANSIENT, EntraError, Graph, Job, Obstacle
from scim_operator.planning.ledger_signature import LedgerSigner
from scim_operator.planning.ports import (
    AdminApi,
    Cluster,
    Gone,
    Key,
    KubernetesRejected,
    ScimApiRejected,
    ScimApiUnreachable,
    SecretSnapshot,
)

log = structlog.get_logger(__name__)
MAX_STEPS: Final = 20
"""More steps than any pass needs; a bound, so that a mistake in the plan can't spin."""
MISSED_LOOKS: Final = 3
"""After so many looks that were due and came to nothing, what the last one told is told no more."""
JOB_IS_KEPT: Final = 15.0
"""Seconds for which the job of one pass serves the next, which tries what was saved a second before."""


@dataclasses.dataclass(slots=True)
class _Memory:
    """What is known of a ScimToken since this process began; nothing but time is lost with it."""

    check_at: float
    """When its job is to be looked at next, by the monotonic clock."""
    looked_at: float
    """When it was looked at last, or first to be."""
    tried: str | None = None
    """The credential with which Entra's Test Connection has passed."""
    saved_tried: HandOverStatus | None = None
    """What Entra had been given when the test passed with what it had saved."""
    job: tuple[EntraSpec, Job] | None = None
    """As the pass that saved a credential has read it, and by which spec; until that is tried as saved."""
    job_until: float = 0.0
    """Until when that may be used, by the monotonic clock."""


class EntraReconciler:
    """Brings what Entra has to where it should be, one call at a time for each ScimToken.

    Args:
        api: the admin API.
        cluster: Kubernetes; each write of it asks first whether this process leads.
        graph: Microsoft Graph; likewise.
        endpoint: the SCIM base URL, which Entra is given as Tenant URL.
        ledger_key: signs the token ledgers in the Secrets' annotations.
        check_period: how often each job is looked at.
        owner: the other ScimToken that hands over to the same application, by its object id; None where there is none.
        in_use: called with the key of a ScimToken when it has become known, or is no longer, that Entra uses its
            credential.
        seen: called with what is known of Entra's side; the spec is None when there is nothing to look after any more.
        trace: called with each step's name before it is done.
        clock: seconds, monotonic.
        spread: uniform in [0, 1), for the first look after a start.
    """

    def __init__(
        self,
        *,
        api: AdminApi,
        cluster: Cluster,
        graph: Graph,
        endpoint: str,
        ledger_key: bytes,
        check_period: timedelta,
        owner: Callable[[Key, str], Key | None] = lambda _key, _application: None,
        in_use: Callable[[Key], None] = lambda _key: None,
        seen: Callable[[Key, EntraSpec | None, ScimTokenStatus], None] = lambda _key, _spec, _status: None,
        trace: Callable[[str], None] = lambda _step: None,
        clock: Callable[[], float] = time.monotonic,
        spread: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._api, self._cluster, self._endpoint = api, cluster, endpoint
        self._signer, self._check_period = LedgerSigner(ledger_key), check_period
        self._owner, self._in_use, self._seen, self._trace = owner, in_use, seen, trace
        self._clock, self._spread = clock, spread
        self._executor = HandOverExecutor(api=api, cluster=cluster, graph=graph, trace=trace)
        self._memory: dict[Key, _Memory] = {}

    async def reconcile(self, key: Key) -> Result:
        """Do what is to be done about ``key`` at Entra's side, and write its part of the status.

        Raises:
            Conflict, NotLeading, KubernetesUnreachable: as the ports do.
        """
        try:
            return await self._reconcile(key)
        except (ScimApiUnreachable, ScimApiRejected, KubernetesRejected) as error:
            log.info("hand-over waits", key=str(key), reason=str(error))
            return Result(requeue=True, reason=type(error).__name__)

    async def _reconcile(self, key: Key) -> Result:
        connection = await self._connection(key)
        self._trace("entra-read-token")
        token = await self._cluster.token(key)
        if token is None or token.deleting:
            return self._forget(key)
        if token.spec is None:
            return Result()
        if token.spec.entra is None:
            return await self._leave(token)
        self._trace("entra-read-secret")
        secret = await self._cluster.secret(token, token.secret_name)
        memory = self._memory_of(key)
        here = HandOverPass(token, secret, self._observe(token, token.spec.entra, connection, secret, memory))
        pause, error = self._check_period, None
        try:
            pause = await self._carry_out(here)
        except EntraError as stopped:
            error = stopped
        self._remember(memory, here.state, error)
        await self._write(here, error)
        if error is not None:
            return self._after(key, error)
        if connection is None:
            return Result(requeue=True, reason="ScimApiUnreachable")
        return Result(min(pause, timedelta(seconds=max(0.0, memory.check_at - self._clock()))))

    async def _connection(self, key: Key) -> Connection | None:
        """What the API holds; None when it does not answer: that is when jobs get into quarantine."""
        self._trace("entra-get-connection")
        try:
            return await self._api.get(key)
        except (ScimApiUnreachable, ScimApiRejected) as error:
            log.info("hand-over waits", key=str(key), reason=str(error))
            return None

    def _memory_of(self, key: Key) -> _Memory:
        first = self._clock() + self._spread() * self._check_period.total_seconds()
        return self._memory.setdefault(key, _Memory(first, first))

    def _forget(self, key: Key) -> Result:
        self._memory.pop(key, None)
        self._seen(key, None, ScimTokenStatus())
        return Result()

    async def _leave(self, token: ScimToken) -> Result:
        """It has no application in Entra, or no longer one: nothing of it stays in the status."""
        status = token.status
        if status.entra is not None or any(item.type in ENTRA_CONDITIONS for item in status.conditions):
            self._trace("entra-apply-status")
            await self._cluster.apply_entra_status(token, {})
            self._in_use(token.key)
        return self._forget(token.key)

    def _observe(
        self,
        token: ScimToken,
        spec: EntraSpec,
        connection: Connection | None,
        secret: SecretSnapshot | None,
        memory: _Memory,
    ) -> HandOverState:
        published, others = self._credentials(token, connection, secret)
        silence = self._clock() - memory.looked_at
        status = token.status.entra or EntraStatus(
            answered_full_cycle=token.full_cycle_request,
            answered_provision_on_demand=token.on_demand_request,
        )
        return HandOverState(
            spec=spec,
            endpoint=self._endpoint,
            now=local_now() if connection is None else connection.now,
            status=status,
            published=published,
            others=others,
            is_api_known=connection is not None,
            is_look_overdue=silence > MISSED_LOOKS * self._check_period.total_seconds(),
            check_due=self._clock() >= memory.check_at,
            check_period=self._check_period,
            job=self._kept_job(spec, memory),
            owner=self._owner(token.key, spec.service_principal_id)
            if spec.hand_over == "Automatic"
            else None,
            full_cycle=token.full_cycle_request,
            provision_on_demand=token.on_demand_request,
            is_tried=spec.hand_over == "ValidateOnly"
            and published is not None
            and memory.tried == published.id,
            is_saved_tried=status.handed_over is not None and memory.saved_tried == status.handed_over,
        )

    def _kept_job(self, spec: EntraSpec, memory: _Memory) -> Job | None:
        if memory.job is None or memory.job[0] != spec or self._clock() >= memory.job_until:
            return None
        return memory.job[1]

    def _credentials(
        self, token: ScimToken, connection: Connection | None, secret: SecretSnapshot | None
    ) -> tuple[CredentialStatus | None, tuple[CredentialStatus, ...]]:
        """What the Secret publishes and the API accepts, and what else it accepts."""
        if connection is None:
            return None, ()
        accepted = [item for item in connection.credentials if connection.now < item.ends_at]
        seen = observed_secret(token, secret, self._signer)
        published = None
        if seen is not None and seen.owned and seen.token is not None:
            wanted = (seen.token, seen.kind)
            published = next((item for item in accepted if (item.digest, item.kind) == wanted), None)
        return published, tuple(item for item in accepted if item is not published)

    async def _carry_out(self, here: HandOverPass) -> timedelta:
        """Carry out steps until there is none left. Raises ``EntraError``."""
        for _ in range(MAX_STEPS):
            step = hand_over.plan(here.state)
            if isinstance(step, hand_over.Rest):
                return step.requeue_after
            if isinstance(step, hand_over.RecordUse):
                here.note(
                    status=here.state.status.model_copy(update={"handed_over": hand_over.used(here.state)})
                )
                continue
            await self._executor.execute(here, step)
        raise EntraError(
            Obstacle.REQUEST_REFUSED, "this is a mistake in the operator; please report it with its log"
        )

    def _remember(self, memory: _Memory, state: HandOverState, error: EntraError | None) -> None:
        """A look that failed for a reason that may go by itself is tried again before the next one is due."""
        if state.job is not None:
            memory.looked_at = self._clock()
        if state.check_due and (error is None or error.obstacle not in TRANSIENT):
            memory.check_at = self._clock() + self._check_period.total_seconds()
        if state.is_tried and state.published is not None:
            memory.tried = state.published.id
        if state.is_saved_tried:
            memory.saved_tried = state.status.handed_over
        if error is not None or state.job is None or not hand_over.has_saved_to_try(state):
            memory.job = None
        elif memory.job is None or memory.job[1] is not state.job:
            memory.job, memory.job_until = (state.spec, state.job), self._clock() + JOB_IS_KEPT

    async def _write(self, here: HandOverPass, error: EntraError | None) -> None:
        """Write Entra's part of the status if it differs, and the Events that go with the difference."""
        token, state = here.token, here.state
        conditions = entra_status.conditions(token, state, error, state.now)
        if not entra_status.is_same(token, state.status, conditions):
            self._trace("entra-apply-status")
            status = ScimTokenStatus(entra=state.status, conditions=conditions)
            with contextlib.suppress(Gone):  # the ScimToken is gone meanwhile
                await self._cluster.apply_entra_status(token, status.only_entra())
        before = token.status.entra.handed_over if token.status.entra is not None else None
        if _is_used(before) != _is_used(state.status.handed_over):
            self._in_use(token.key)
        self._seen(token.key, state.spec, ScimTokenStatus(entra=state.status, conditions=conditions))
        for condition in conditions:
            await self._report(token, condition)

    async def _report(self, token: ScimToken, condition: Condition) -> None:
        before = token.status.condition(condition.type)
        if before is not None and (before.status, before.reason) == (condition.status, condition.reason):
            return
        if condition.status == "Unknown" or condition.reason in entra_status.PASSING:
            return
        if condition.status == "True":
            await self._cluster.event(token, "Normal", condition.type, condition.message)
        else:
            await self._cluster.event(token, "Warning", condition.reason, condition.message)

    def _after(self, key: Key, error: EntraError) -> Result:
        log.info(
            "hand-over stopped",
            key=str(key),
            reason=error.obstacle.value,
            message=error.message,
            request_id=error.request_id,
        )
        if error.retry_after is not None:
            return Result(error.retry_after)
        return Result(requeue=True, reason=error.obstacle.value)


def _is_used(given: HandOverStatus | None) -> str | None:
    """The credential that Entra is known to use."""
    return given.credential_id if given is not None and given.in_use_at is not None else None
